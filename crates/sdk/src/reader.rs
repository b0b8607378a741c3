//! The thread that reads what the worker says: it is never busy with an operation, so that an abort
//! and the end of the worker are always heard.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rework_core::frame::{Decoder, Frame, FrameError};
use rework_core::protocol::{FromRunner, RunRequest, ToRunner, VERSION};

use crate::inbox::Inbox;
use crate::leave::{self, Leave};
use crate::link::Link;
use crate::task::{Outlet, State, Task};
use crate::{current, say};

/// How much is read at once; small frames come many at a time.
const READ_BYTES: usize = 64 << 10;

/// What the thread needs.
#[derive(Debug)]
pub(crate) struct Reader {
    inbox: Arc<Inbox>,
    link: Arc<Link>,
    state: Arc<State>,
}

impl Reader {
    pub(crate) fn new(inbox: Arc<Inbox>, link: Arc<Link>, state: Arc<State>) -> Reader {
        Reader { inbox, link, state }
    }

    /// Reads to the end of the socket, which is the end of the process.
    pub(crate) fn read(&self, mut socket: UnixStream) -> ! {
        let mut decoder = Decoder::default();
        let mut bytes = vec![0; READ_BYTES];
        loop {
            match socket.read(&mut bytes) {
                Ok(0) => leave::now(Leave::WorkerGone),
                Ok(read) => decoder.push(&bytes[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => leave::now(Leave::WorkerGone),
            }
            if let Err(error) = self.take_frames(&mut decoder) {
                say::error(&format!("the worker sent {error}"));
                leave::now(Leave::NotOurs);
            }
        }
    }

    fn take_frames(&self, decoder: &mut Decoder) -> Result<(), FrameError> {
        while let Some(frame) = decoder.next_frame()? {
            self.take(frame)?;
        }
        Ok(())
    }

    fn take(&self, frame: Frame) -> Result<(), FrameError> {
        if let Some(request) = frame.of_type("run") {
            self.add(request?, frame.body);
            return Ok(());
        }
        match frame.message()? {
            ToRunner::Hello { version: VERSION } => {}
            ToRunner::Hello { version } => {
                say::error(&format!(
                    "the worker speaks version {version} of the runner protocol, and this program \
                     version {VERSION}: build both with versions of rework that fit"
                ));
                leave::now(Leave::NotOurs);
            }
            ToRunner::Run(request) => self.add(request, frame.body),
            ToRunner::Revoke { task, run } => {
                self.revoke(task, run)?;
            }
            ToRunner::Abort { task, run, reason } => {
                // Only what was taken back cannot begin in between.
                if !self.revoke(task, run)? {
                    Inbox::abort((task, run), &reason, || leave::now(Leave::Aborted));
                }
            }
            ToRunner::Scheduled { number, task, error } => {
                let answer = task.ok_or_else(|| error.unwrap_or_else(|| "no task was made".into()));
                current::with(|current| current.requests().answer(number, answer));
            }
            ToRunner::Exit => self.inbox.close(),
        }
        Ok(())
    }

    fn add(&self, request: RunRequest, input: Vec<u8>) {
        let outlet = Outlet::Worker(self.link.clone());
        self.inbox.push(Task::new(request, input, outlet, self.state.clone()));
    }

    fn revoke(&self, task: i64, run: i64) -> Result<bool, FrameError> {
        self.inbox.revoke((task, run), || self.link.send(&FromRunner::Revoked { task, run }))
    }
}
