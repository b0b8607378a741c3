//! The sending half of a runner's socket: whole frames, from any thread.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use rework_core::frame::{FrameError, encode};
use rework_core::protocol::FromRunner;

use crate::leave::{self, Leave};

/// Sends to the worker.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Mutex<UnixStream>,
}

impl Link {
    pub(crate) fn new(socket: UnixStream) -> Link {
        Link { socket: Mutex::new(socket) }
    }

    /// Sends a frame.
    pub(crate) fn send(&self, message: &FromRunner, body: &[u8]) -> Result<(), FrameError> {
        self.send_encoded(&encode(message, body)?);
        Ok(())
    }

    /// Sends frames that belong together, with one call of the kernel.
    pub(crate) fn send_encoded(&self, frames: &[u8]) {
        let sent = {
            let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
            socket.write_all(frames)
        };
        if sent.is_err() {
            leave::now(Leave::WorkerGone);
        }
    }
}
