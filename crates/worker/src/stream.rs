//! One of a runner's output streams: a pipe, and the lines that it makes.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    unistd::{pipe2, read},
};
use rework_core::task::progress::Line;
use tokio::net::unix::pipe::Receiver;

use crate::lines::Splitter;

const READ_BYTES: usize = 16 << 10;

/// The reading end.
#[derive(Debug)]
pub(crate) struct Stream {
    pipe: Pipe,
    /// Whose line is it?
    pub splitter: Splitter,
    open: bool,
}

/// A pipe that wakes us with all that is written, or one that we look into when we like.
#[derive(Debug)]
enum Pipe {
    Loud(Receiver),
    Quiet(OwnedFd),
    Gone,
}

impl Pipe {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Pipe::Loud(receiver) => Some(receiver.as_fd()),
            Pipe::Quiet(fd) => Some(fd.as_fd()),
            Pipe::Gone => None,
        }
    }
}

impl Stream {
    /// A new pipe: the stream, and the end that the runner writes to.
    pub(crate) fn new(name: &'static str, level: &'static str) -> io::Result<(Stream, OwnedFd)> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let (pipe, splitter) =
            (Pipe::Loud(Receiver::from_owned_fd(ours)?), Splitter::new(name, level));
        Ok((Stream { pipe, splitter, open: true }, theirs))
    }

    /// From now on what is written wakes us again.
    pub(crate) fn loud(&mut self) -> io::Result<()> {
        if let Pipe::Quiet(_) = self.pipe
            && let Pipe::Quiet(fd) = std::mem::replace(&mut self.pipe, Pipe::Gone)
        {
            self.pipe = Pipe::Loud(Receiver::from_owned_fd(fd)?);
        }
        Ok(())
    }

    /// From now on it wakes nobody.
    pub(crate) fn quiet(&mut self) -> io::Result<()> {
        if let Pipe::Loud(_) = self.pipe
            && let Pipe::Loud(receiver) = std::mem::replace(&mut self.pipe, Pipe::Gone)
        {
            self.pipe = Pipe::Quiet(receiver.into_nonblocking_fd()?);
        }
        Ok(())
    }

    /// Whether anything may still come.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Waits until something can be read, and reads once: to be given to [`Stream::split`]. Losing
    /// the wait loses nothing. Of a quiet stream nothing is ever heard.
    pub(crate) async fn read(&mut self) -> io::Result<Vec<u8>> {
        let Pipe::Loud(pipe) = &self.pipe else { return std::future::pending().await };
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

    /// Reads all that is in the pipe now. It asks the kernel and not the reactor, which may not
    /// have heard yet of what was written before a frame that it did hear of.
    pub(crate) fn drain(&mut self, lines: &mut Vec<Line>) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES];
        while self.open {
            let Some(fd) = self.pipe.fd() else { break };
            match read(fd, &mut buffer) {
                Ok(0) => self.open = false,
                Ok(count) => {
                    self.splitter.push(&buffer[..count], lines);
                    // What comes in the meantime may be left for the next time.
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
