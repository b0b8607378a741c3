//! One of a runner's output streams (stdout or stderr): a pipe, and the splitter that makes log lines of its bytes.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    unistd::{pipe2, read},
};
use rework_core::task::progress::NewLogLine;
use tokio::net::unix::pipe::Receiver;

use crate::line_splitter::LineSplitter;

const READ_BYTES: usize = 16 << 10;

/// The reading end of a runner's stdout or stderr.
#[derive(Debug)]
pub(crate) struct OutputStream {
    pipe: Pipe,
    /// Splits the bytes into lines and assigns these to runs.
    pub splitter: LineSplitter,
    open: bool,
}

/// A pipe that wakes the worker whenever data arrives, or one that the worker polls.
#[derive(Debug)]
enum Pipe {
    /// Registered with tokio's reactor, so data wakes the worker.
    WakeOnData(Receiver),
    /// Not registered with tokio's reactor: data does not wake the worker, which polls the pipe
    /// instead.
    PollOnly(OwnedFd),
    /// The state during a switch between the two. It remains if the switch failed.
    Closed,
}

impl Pipe {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Pipe::WakeOnData(receiver) => Some(receiver.as_fd()),
            Pipe::PollOnly(fd) => Some(fd.as_fd()),
            Pipe::Closed => None,
        }
    }
}

impl OutputStream {
    /// Creates a pipe. Returns the stream and the end that the runner writes to.
    pub(crate) fn new(
        name: &'static str,
        level: &'static str,
    ) -> io::Result<(OutputStream, OwnedFd)> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let (pipe, splitter) =
            (Pipe::WakeOnData(Receiver::from_owned_fd(ours)?), LineSplitter::new(name, level));
        Ok((OutputStream { pipe, splitter, open: true }, theirs))
    }

    /// Makes data in the pipe wake the worker again.
    pub(crate) fn wake_on_data(&mut self) -> io::Result<()> {
        if let Pipe::PollOnly(_) = self.pipe
            && let Pipe::PollOnly(fd) = std::mem::replace(&mut self.pipe, Pipe::Closed)
        {
            self.pipe = Pipe::WakeOnData(Receiver::from_owned_fd(fd)?);
        }
        Ok(())
    }

    /// Stops data in the pipe from waking the worker, so that it must be polled.
    pub(crate) fn poll_only(&mut self) -> io::Result<()> {
        if let Pipe::WakeOnData(_) = self.pipe
            && let Pipe::WakeOnData(receiver) = std::mem::replace(&mut self.pipe, Pipe::Closed)
        {
            self.pipe = Pipe::PollOnly(receiver.into_nonblocking_fd()?);
        }
        Ok(())
    }

    /// Returns whether more data may come.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Waits until data can be read, and reads once. The caller passes the bytes to the splitter. Waits forever if the
    /// pipe is only polled. Cancel safe.
    pub(crate) async fn read(&mut self) -> io::Result<Vec<u8>> {
        let Pipe::WakeOnData(pipe) = &self.pipe else { return std::future::pending().await };
        loop {
            pipe.readable().await?;
            let mut buffer = vec![0; READ_BYTES];
            match pipe.try_read(&mut buffer) {
                Ok(count) => {
                    buffer.truncate(count);
                    self.open = count > 0;
                    return Ok(buffer);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads everything that is in the pipe now. It reads from the kernel directly: tokio's reactor may have reported a
    /// frame and not yet the output that was written before it.
    pub(crate) fn drain(&mut self, lines: &mut Vec<NewLogLine>) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES];
        while self.open {
            let Some(fd) = self.pipe.fd() else { break };
            match read(fd, &mut buffer) {
                Ok(0) => self.open = false,
                Ok(count) => {
                    self.splitter.push(&buffer[..count], lines);
                    // A short read emptied the pipe. What arrives meanwhile is read the next time.
                    if count < READ_BYTES {
                        break;
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
