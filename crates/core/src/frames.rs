//! Frames over a socket, both ways at once: a peer that does not read never keeps us from hearing
//! it.

use std::{collections::VecDeque, io, os::fd::OwnedFd};

use serde::Serialize;
use tokio::{io::Interest, net::UnixStream};

use crate::frame::{Decoder, Frame, FrameError, encode};

const READ_BYTES: usize = 16 << 10;

/// One end of a socket that carries frames.
#[derive(Debug)]
pub struct Frames {
    socket: UnixStream,
    decoder: Decoder,
    unsent: VecDeque<u8>,
}

/// Why no more frames come.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// What came is not a frame of ours.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Frames {
    /// Over a socket that is already there.
    pub fn over(socket: std::os::unix::net::UnixStream) -> io::Result<Frames> {
        socket.set_nonblocking(true)?;
        let socket = UnixStream::from_std(socket)?;
        Ok(Frames { socket, decoder: Decoder::default(), unsent: VecDeque::new() })
    }

    /// A new pair: our end, and the one that a child inherits.
    pub fn pair() -> io::Result<(Frames, OwnedFd)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        Ok((Frames::over(ours)?, theirs.into()))
    }

    /// Sends a frame, as far as the socket takes it now; the rest goes while the next is awaited.
    pub fn send<M: Serialize>(&mut self, message: &M, body: &[u8]) -> Result<(), FrameError> {
        let bytes = encode(message, body)?;
        if self.unsent.is_empty() {
            // A peer that is gone is noticed by reading.
            let sent = self.socket.try_write(&bytes).unwrap_or(0);
            self.unsent.extend(&bytes[sent..]);
        } else {
            self.unsent.extend(&bytes);
        }
        Ok(())
    }

    /// The next frame; none when the peer has closed. Losing the wait loses nothing.
    pub async fn next(&mut self) -> Result<Option<Frame>, FramesError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            let interest = if self.unsent.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let ready = self.socket.ready(interest).await?;
            if ready.is_writable() && !self.unsent.is_empty() {
                match self.socket.try_write(self.unsent.as_slices().0) {
                    Ok(sent) => drop(self.unsent.drain(..sent)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => self.unsent.clear(),
                }
            }
            if ready.is_readable() && !self.read()? {
                return Ok(self.decoder.next_frame()?);
            }
        }
    }

    /// Reads once; false at the end.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; READ_BYTES];
        match self.socket.try_read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.decoder.push(&buffer[..count]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error),
        }
    }
}
