//! Receives frames from the worker, and acts on each: adds, revokes or aborts runs, and delivers answers.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::sys::socket::{MsgFlags, recv};
use rework_wire::frame::{Decoder, Frame, FrameError};
use rework_wire::runner::{FromRunner, RunRequest, ToRunner, VERSION};

use crate::exit::{self, ExitReason};
use crate::frame_sender::FrameSender;
use crate::run_queue::{CheckRequest, RunQueue};
use crate::task::{Destination, State, Task};
use crate::{current, stderr};

/// The most bytes of one read. A worker sends many small frames together, so one read brings many of them.
const READ_BYTES: usize = 64 << 10;

/// The receiving half of the socket to the worker.
#[derive(Debug)]
pub(crate) struct FrameReader {
    socket: UnixStream,
    decoder: Decoder,
    buffer: Vec<u8>,
    queue: Arc<RunQueue>,
    sender: Arc<FrameSender>,
    state: Arc<State>,
}

impl FrameReader {
    pub(crate) fn new(
        socket: UnixStream,
        queue: Arc<RunQueue>,
        sender: Arc<FrameSender>,
        state: Arc<State>,
    ) -> FrameReader {
        let (decoder, buffer) = (Decoder::default(), vec![0; READ_BYTES]);
        FrameReader { socket, decoder, buffer, queue, sender, state }
    }

    /// Waits until the worker sends something, and handles the complete frames.
    pub(crate) fn receive(&mut self) {
        let read = self.socket.read(&mut self.buffer);
        self.handle_bytes(read);
    }

    /// Does one read without waiting, and handles the complete frames. Returns whether there was anything to read.
    pub(crate) fn poll(&mut self) -> bool {
        let read = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT);
        let any = read.is_ok();
        self.handle_bytes(read.map_err(io::Error::from));
        any
    }

    /// Handles the result of a read. Ends the process if the worker has closed the socket.
    fn handle_bytes(&mut self, read: io::Result<usize>) {
        match read {
            Ok(0) => exit::now(ExitReason::WorkerGone),
            Ok(length) => self.decoder.push(&self.buffer[..length]),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock => return,
                _ => exit::now(ExitReason::WorkerGone),
            },
        }
        if let Err(error) = self.handle_frames() {
            stderr::error(&format!("the worker sent {error}"));
            exit::now(ExitReason::ProtocolError);
        }
    }

    fn handle_frames(&mut self) -> Result<(), FrameError> {
        while let Some(frame) = self.decoder.next_frame()? {
            self.handle(frame)?;
        }
        Ok(())
    }

    fn handle(&self, frame: Frame) -> Result<(), FrameError> {
        // `run` is by far the most frequent message, and reading it directly is cheaper than reading a `ToRunner`.
        if let Some(request) = frame.message_of_type("run") {
            self.add(request?, frame.body);
            return Ok(());
        }
        match frame.message()? {
            ToRunner::Hello { version: VERSION } => {}
            ToRunner::Hello { version } => {
                stderr::error(&format!(
                    "the worker speaks version {version} of the runner protocol, and this program \
                     speaks version {VERSION}: build it with the `rework` crate of the worker's version"
                ));
                exit::now(ExitReason::ProtocolError);
            }
            ToRunner::Run(request) => self.add(request, frame.body),
            ToRunner::Revoke { task, run } => {
                self.revoke(task, run)?;
            }
            ToRunner::Abort { task, run, reason } => {
                // A run that has not started is revoked instead: it must not start between the two steps.
                if !self.revoke(task, run)? {
                    RunQueue::abort_current((task, run), &reason, || {
                        exit::now(ExitReason::Aborted)
                    });
                }
            }
            ToRunner::Scheduled { parent, parent_run, number, task, error } => {
                let answer =
                    task.ok_or_else(|| error.unwrap_or_else(|| "no task was scheduled".into()));
                current::with(|current| {
                    if (current.id(), current.run()) == (parent, parent_run) {
                        current.schedule_requests().answer(number, answer);
                    }
                });
            }
            ToRunner::Check { number, domain, operation } => {
                self.queue.push_check(CheckRequest { number, domain, operation });
            }
            ToRunner::Exit => self.queue.close(),
        }
        Ok(())
    }

    fn add(&self, request: RunRequest, input: Vec<u8>) {
        let destination = Destination::Worker(self.sender.clone());
        self.queue.push(Task::new(request, input, destination, self.state.clone()));
    }

    /// Revokes a run that has not started, and informs the worker. Returns `false` if the run has started.
    fn revoke(&self, task: i64, run: i64) -> Result<bool, FrameError> {
        self.queue.revoke((task, run), || self.sender.send(&FromRunner::Revoked { task, run }))
    }
}
