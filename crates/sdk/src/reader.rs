//! What the worker says, and what becomes of it.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::sys::socket::{MsgFlags, recv};
use rework_wire::frame::{Decoder, Frame, FrameError};
use rework_wire::runner::{FromRunner, RunRequest, ToRunner, VERSION};

use crate::inbox::Inbox;
use crate::leave::{self, Leave};
use crate::link::Link;
use crate::task::{Outlet, State, Task};
use crate::{current, stderr};

/// How much is read at once; small frames come many at a time.
const READ_BYTES: usize = 64 << 10;

/// The receiving half of a runner's socket.
#[derive(Debug)]
pub(crate) struct Reader {
    socket: UnixStream,
    decoder: Decoder,
    bytes: Vec<u8>,
    inbox: Arc<Inbox>,
    link: Arc<Link>,
    state: Arc<State>,
}

impl Reader {
    pub(crate) fn new(
        socket: UnixStream,
        inbox: Arc<Inbox>,
        link: Arc<Link>,
        state: Arc<State>,
    ) -> Reader {
        let (decoder, bytes) = (Decoder::default(), vec![0; READ_BYTES]);
        Reader { socket, decoder, bytes, inbox, link, state }
    }

    /// Waits until the worker says something.
    pub(crate) fn hear(&mut self) {
        let read = self.socket.read(&mut self.bytes);
        self.take_bytes(read);
    }

    /// Takes what it has said by now, as far as one look brings it; false: nothing.
    pub(crate) fn glance(&mut self) -> bool {
        let read = recv(self.socket.as_raw_fd(), &mut self.bytes, MsgFlags::MSG_DONTWAIT);
        let any = read.is_ok();
        self.take_bytes(read.map_err(io::Error::from));
        any
    }

    /// The end of the socket is the end of the process.
    fn take_bytes(&mut self, read: io::Result<usize>) {
        match read {
            Ok(0) => leave::now(Leave::WorkerGone),
            Ok(read) => self.decoder.push(&self.bytes[..read]),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock => return,
                _ => leave::now(Leave::WorkerGone),
            },
        }
        if let Err(error) = self.take_frames() {
            stderr::error(&format!("the worker sent {error}"));
            leave::now(Leave::NotOurs);
        }
    }

    fn take_frames(&mut self) -> Result<(), FrameError> {
        while let Some(frame) = self.decoder.next_frame()? {
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
                stderr::error(&format!(
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
            ToRunner::Scheduled { parent, parent_run, number, task, error } => {
                let answer = task.ok_or_else(|| error.unwrap_or_else(|| "no task was made".into()));
                current::with(|current| {
                    if (current.id(), current.run()) == (parent, parent_run) {
                        current.requests().answer(number, answer);
                    }
                });
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
