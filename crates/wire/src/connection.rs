//! Frames over a socket, both ways at once: a peer that does not read never keeps us from hearing
//! it.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream as QuietStream},
};

use serde::Serialize;
use tokio::{io::Interest, net::UnixStream};

use crate::{
    frame::{Decoder, Frame, FrameError, encode},
    outbox::{Outbox, Unsent},
};

const READ_BYTES: usize = 16 << 10;

/// So much is read at one look, 16 KiB each.
const MOST_READS: usize = 16;

/// One end of a socket that carries frames.
#[derive(Debug)]
pub struct Frames {
    socket: Socket,
    decoder: Decoder,
    unsent: VecDeque<u8>,
    ended: bool,
    outbox: Option<Outbox>,
    /// Bytes that came over the socket.
    received: u64,
    /// Bytes that went to the decoder, those that were found in the outbox before they were sent among them.
    taken: u64,
}

/// A socket whose peer wakes us with every frame, or one that we look at when we like: a peer that
/// says much would wake us more often than we have use for it.
#[derive(Debug)]
enum Socket {
    Loud(UnixStream),
    Quiet(QuietStream),
    Gone,
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
    pub fn over(socket: QuietStream) -> io::Result<Frames> {
        socket.set_nonblocking(true)?;
        let socket = Socket::Loud(UnixStream::from_std(socket)?);
        Ok(Frames {
            socket,
            decoder: Decoder::default(),
            unsent: VecDeque::new(),
            ended: false,
            outbox: None,
            received: 0,
            taken: 0,
        })
    }

    /// A new pair: our end, and the one that a child inherits.
    pub fn pair() -> io::Result<(Frames, OwnedFd)> {
        let (ours, theirs) = QuietStream::pair()?;
        Ok((Frames::over(ours)?, theirs.into()))
    }

    /// The peer may leave frames here, which are found by [looking](Frames::look).
    pub fn share(&mut self, outbox: Outbox) {
        self.outbox = Some(outbox);
    }

    /// Sends a frame, as far as the socket takes it now; the rest goes while the next is awaited.
    pub fn send<M: Serialize>(&mut self, message: &M, body: &[u8]) -> Result<(), FrameError> {
        self.put(message, body)?;
        self.push();
        Ok(())
    }

    /// Adds a frame to those that go with the next one that is sent, or [pushed](Frames::push).
    pub fn put<M: Serialize>(&mut self, message: &M, body: &[u8]) -> Result<(), FrameError> {
        self.unsent.extend(encode(message, body)?);
        Ok(())
    }

    /// Sends what waits, as far as the socket takes it now.
    pub fn push(&mut self) {
        while !self.unsent.is_empty() {
            let bytes = self.unsent.as_slices().0;
            let sent = match &mut self.socket {
                Socket::Loud(socket) => socket.try_write(bytes),
                Socket::Quiet(socket) => socket.write(bytes),
                Socket::Gone => return self.unsent.clear(),
            };
            match sent {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A peer that is gone is noticed by reading.
                Err(_) => self.unsent.clear(),
            }
        }
    }

    /// The next frame; none when the peer has closed. Losing the wait loses nothing. Of a quiet
    /// socket none is ever heard.
    pub async fn next(&mut self) -> Result<Option<Frame>, FramesError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            if self.ended {
                return Ok(None);
            }
            let Socket::Loud(socket) = &self.socket else { return std::future::pending().await };
            let interest = if self.unsent.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let ready = socket.ready(interest).await?;
            if ready.is_writable() {
                self.push();
            }
            if ready.is_readable() {
                self.read()?;
            }
        }
    }

    /// The next frame of those that have been read already.
    pub fn at_hand(&mut self) -> Result<Option<Frame>, FramesError> {
        Ok(self.decoder.next_frame()?)
    }

    /// Reads what is there now, though no more than one can hold in mind, and sends what waits; false
    /// when the peer has closed.
    pub fn look(&mut self) -> Result<bool, FramesError> {
        self.push();
        for _ in 0..MOST_READS {
            if self.read()? < READ_BYTES && self.collect() {
                break;
            }
        }
        Ok(!self.ended)
    }

    /// From now on the peer wakes nobody.
    pub fn quiet(&mut self) -> io::Result<()> {
        if let Socket::Loud(_) = self.socket
            && let Socket::Loud(socket) = std::mem::replace(&mut self.socket, Socket::Gone)
        {
            self.socket = Socket::Quiet(socket.into_std()?);
        }
        Ok(())
    }

    /// From now on it does again.
    pub fn loud(&mut self) -> io::Result<()> {
        if let Socket::Quiet(_) = self.socket
            && let Socket::Quiet(socket) = std::mem::replace(&mut self.socket, Socket::Gone)
        {
            self.socket = Socket::Loud(UnixStream::from_std(socket)?);
        }
        Ok(())
    }

    /// Reads once; tells how much.
    fn read(&mut self) -> io::Result<usize> {
        let mut buffer = [0; READ_BYTES];
        let read = match &mut self.socket {
            Socket::Loud(socket) => socket.try_read(&mut buffer),
            Socket::Quiet(socket) => socket.read(&mut buffer),
            Socket::Gone => Ok(0),
        };
        match read {
            Ok(count) => {
                self.take(&buffer[..count]);
                if count == 0 {
                    self.end();
                }
                return Ok(count);
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                io::ErrorKind::ConnectionReset => self.end(),
                _ => return Err(error),
            },
        }
        Ok(0)
    }

    /// Takes what came over the socket, less what was found in the outbox before.
    fn take(&mut self, bytes: &[u8]) {
        let known = self.taken.saturating_sub(self.received).min(bytes.len() as u64);
        self.received += bytes.len() as u64;
        self.taken = self.taken.max(self.received);
        self.decoder.push(&bytes[known as usize..]);
    }

    /// Takes what lies in the outbox; false: something comes before it, over the socket.
    fn collect(&mut self) -> bool {
        match self.outbox.as_ref().map(|outbox| outbox.unsent(self.taken)) {
            Some(Unsent::Next(bytes)) => {
                self.taken += bytes.len() as u64;
                self.decoder.push(&bytes);
                true
            }
            Some(Unsent::Later) => false,
            None => true,
        }
    }

    /// The peer sends nothing more, and will not empty its outbox.
    fn end(&mut self) {
        self.ended = true;
        self.collect();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use serde_json::{Value, json};
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::outbox::OUTBOX_BYTES;

    /// Our end, and a peer's socket and outbox.
    fn pair(runtime: &Runtime) -> (Frames, QuietStream, Outbox) {
        let file: File = tempfile::tempfile().unwrap();
        file.set_len(OUTBOX_BYTES).unwrap();
        let _guard = runtime.enter();
        let (mut ours, theirs) = Frames::pair().unwrap();
        ours.share(Outbox::of(&file).unwrap());
        ours.quiet().unwrap();
        (ours, theirs.into(), Outbox::of(&file).unwrap())
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_io().build().unwrap()
    }

    fn frame(number: u32) -> Vec<u8> {
        encode(&json!(number), &[]).unwrap()
    }

    /// What is heard at one look.
    fn heard(frames: &mut Frames) -> Vec<u32> {
        frames.look().unwrap();
        let frames = std::iter::from_fn(|| frames.at_hand().unwrap());
        frames.map(|frame| frame.message::<u32>().unwrap()).collect()
    }

    #[test]
    fn what_was_found_in_the_outbox_is_not_heard_again() {
        let (mut ours, mut theirs, outbox) = pair(&runtime());
        theirs.write_all(&frame(1)).unwrap();
        outbox.sent(frame(1).len());
        assert!(outbox.put(&frame(2)));
        assert_eq!(heard(&mut ours), [1, 2]);
        assert!(outbox.put(&frame(3)));
        // Half of what lies there is on its way.
        let both = [frame(2), frame(3)].concat();
        theirs.write_all(&both[..frame(2).len() + 3]).unwrap();
        assert_eq!(heard(&mut ours), [3]);
        theirs.write_all(&both[frame(2).len() + 3..]).unwrap();
        outbox.sent(0);
        theirs.write_all(&frame(4)).unwrap();
        outbox.sent(frame(4).len());
        assert!(outbox.put(&frame(5)));
        assert_eq!(heard(&mut ours), [4, 5]);
    }

    #[test]
    fn the_end_of_the_socket_is_not_the_end_of_the_outbox() {
        let runtime = runtime();
        let (mut ours, mut theirs, outbox) = pair(&runtime);
        theirs.write_all(&frame(1)).unwrap();
        outbox.sent(frame(1).len());
        assert!(outbox.put(&frame(2)) && outbox.put(&frame(3)));
        // It was killed in the middle of sending them.
        theirs.write_all(&frame(2)[..5]).unwrap();
        drop(theirs);
        runtime.block_on(async {
            ours.loud().unwrap();
            for expected in 1..=3 {
                let frame = ours.next().await.unwrap().unwrap();
                assert_eq!(frame.message::<Value>().unwrap(), json!(expected));
            }
            assert!(ours.next().await.unwrap().is_none());
        });
    }
}
