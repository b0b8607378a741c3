//! The sending half of a runner's socket: whole frames, from any thread, and of a run none after
//! its last. A worker that hears of a run that it does not hold takes the runner for broken, and a
//! thread that an operation left behind must not do that to the next run.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rework_core::frame::{FrameError, encode};
use rework_core::protocol::FromRunner;

use crate::leave::{self, Leave};
use crate::watch::Watch;

/// Sends to the worker.
#[derive(Debug)]
pub(crate) struct Link {
    socket: Mutex<UnixStream>,
    watch: Arc<Watch>,
}

/// Whether the last frame of a run was sent. Read and written by [`Link`], under its lock.
#[derive(Debug, Default)]
pub(crate) struct Over(AtomicBool);

impl Link {
    pub(crate) fn new(socket: UnixStream, watch: Arc<Watch>) -> Link {
        Link { socket: Mutex::new(socket), watch }
    }

    /// The run in hand waits for an answer: somebody is to listen.
    pub(crate) fn await_answer(&self) {
        self.watch.call();
    }

    /// Sends a frame that is of no run, or says that one will not begin.
    pub(crate) fn send(&self, message: &FromRunner) -> Result<(), FrameError> {
        let frame = encode(message, &[])?;
        self.write(&frame, || true);
        Ok(())
    }

    /// Sends a frame of a run; false if the run is over.
    pub(crate) fn send_within(&self, over: &Over, frame: &[u8]) -> bool {
        self.write(frame, || !over.0.load(Ordering::Relaxed))
    }

    /// Sends the last frame of a run.
    pub(crate) fn send_last(&self, over: &Over, frame: &[u8]) {
        self.write(frame, || !over.0.swap(true, Ordering::Relaxed));
    }

    fn write(&self, frames: &[u8], may: impl FnOnce() -> bool) -> bool {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if !may() {
            return false;
        }
        let sent = socket.write_all(frames);
        // Leaving runs the exit handlers of the program, which may still log.
        drop(socket);
        if sent.is_err() {
            leave::now(Leave::WorkerGone);
        }
        true
    }
}
