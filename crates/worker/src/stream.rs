//! One of a runner's output streams: a pipe, and the lines that it makes.

use std::{io, os::fd::OwnedFd};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    unistd::{pipe2, read},
};
use rework_core::report::Line;
use tokio::net::unix::pipe::Receiver;

use crate::lines::Splitter;

const READ_BYTES: usize = 16 << 10;

/// The reading end.
#[derive(Debug)]
pub(crate) struct Stream {
    pipe: Receiver,
    splitter: Splitter,
    open: bool,
}

impl Stream {
    /// A new pipe: the stream, and the end that the runner writes to.
    pub(crate) fn new(name: &'static str, level: &'static str) -> io::Result<(Stream, OwnedFd)> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let pipe = Receiver::from_owned_fd(ours)?;
        Ok((Stream { pipe, splitter: Splitter::new(name, level), open: true }, theirs))
    }

    /// Whether anything may still come.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Waits until something can be read, and reads once: to be given to [`Stream::split`]. Losing
    /// the wait loses nothing.
    pub(crate) async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            self.pipe.readable().await?;
            match self.pipe.try_read(&mut buffer) {
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

    /// The lines of what was read.
    pub(crate) fn split(&mut self, bytes: &[u8], lines: &mut Vec<Line>) {
        self.splitter.push(bytes, lines);
    }

    /// Reads all that is in the pipe now. It asks the kernel and not the reactor, which may not
    /// have heard yet of what was written before a frame that it did hear of.
    pub(crate) fn drain(&mut self, lines: &mut Vec<Line>) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES];
        while self.open {
            match read(&self.pipe, &mut buffer) {
                Ok(0) => self.open = false,
                Ok(count) => self.splitter.push(&buffer[..count], lines),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The unterminated rest becomes a line: the run is over.
    pub(crate) fn finish(&mut self, lines: &mut Vec<Line>) {
        self.splitter.finish(lines);
    }
}
