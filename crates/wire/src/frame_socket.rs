//! A socket that carries frames in both directions at once. It never blocks: frames that the peer does not read yet are
//! kept, and reading continues meanwhile. The worker reads a runner's send buffer through it, too.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
};

use serde::Serialize;
use tokio::{io::Interest, net::UnixStream};

use crate::{
    frame::{Decoder, Frame, FrameError, encode},
    send_buffer::{SendBuffer, Unsent},
};

const READ_BYTES: usize = 16 << 10;

/// The most reads of one poll, 16 KiB each, so that a peer that never stops sending cannot occupy the caller.
const MAX_READS_PER_POLL: usize = 16;

/// One end of a socket that carries frames.
#[derive(Debug)]
pub struct FrameSocket {
    socket: Socket,
    decoder: Decoder,
    unsent: VecDeque<u8>,
    closed: bool,
    send_buffer: Option<SendBuffer>,
    /// The number of bytes received over the socket.
    received: u64,
    /// The number of bytes passed to the decoder. It is larger than `received` while bytes that were read from the send
    /// buffer have not arrived over the socket.
    decoded: u64,
}

/// A socket that wakes this process with every frame, or one that is polled. A peer that sends many frames would wake
/// it more often than useful.
#[derive(Debug)]
enum Socket {
    /// Registered with tokio's reactor.
    WakeOnData(UnixStream),
    /// Not registered, so a frame does not wake this process.
    PollOnly(StdUnixStream),
    /// The state during a switch between the two. It remains if the switch failed.
    Closed,
}

/// The reason why no more frames come.
#[derive(Debug, thiserror::Error)]
pub enum FrameSocketError {
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// The peer sent bytes that are not a valid frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl FrameSocket {
    /// Creates a frame socket from a connected socket.
    pub fn new(socket: StdUnixStream) -> io::Result<FrameSocket> {
        socket.set_nonblocking(true)?;
        let socket = Socket::WakeOnData(UnixStream::from_std(socket)?);
        Ok(FrameSocket {
            socket,
            decoder: Decoder::default(),
            unsent: VecDeque::new(),
            closed: false,
            send_buffer: None,
            received: 0,
            decoded: 0,
        })
    }

    /// Creates a connected pair: a frame socket, and the end that a child process inherits.
    pub fn pair() -> io::Result<(FrameSocket, OwnedFd)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        Ok((FrameSocket::new(ours)?, theirs.into()))
    }

    /// Attaches the memory in which the peer keeps frames that it has not sent yet. [`FrameSocket::poll`] reads them
    /// there.
    pub fn attach_send_buffer(&mut self, send_buffer: SendBuffer) {
        self.send_buffer = Some(send_buffer);
    }

    /// Sends a frame, as far as the socket accepts it now. The rest is sent by
    /// [`FrameSocket::next`] or a later flush. `Err` if the frame is too large; a socket that
    /// failed is reported by the next read.
    pub fn send<M: Serialize>(&mut self, message: &M, body: &[u8]) -> Result<(), FrameError> {
        self.queue(message, body)?;
        self.flush();
        Ok(())
    }

    /// Queues a frame. It is sent together with the next frame, or by [`FrameSocket::flush`]. `Err`
    /// if the frame is too large.
    pub fn queue<M: Serialize>(&mut self, message: &M, body: &[u8]) -> Result<(), FrameError> {
        self.unsent.extend(encode(message, body)?);
        Ok(())
    }

    /// Sends the queued bytes, as far as the socket accepts them now.
    pub fn flush(&mut self) {
        while !self.unsent.is_empty() {
            let bytes = self.unsent.as_slices().0;
            let sent = match &mut self.socket {
                Socket::WakeOnData(socket) => socket.try_write(bytes),
                Socket::PollOnly(socket) => socket.write(bytes),
                Socket::Closed => return self.unsent.clear(),
            };
            match sent {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A closed peer is noticed when reading.
                Err(_) => self.unsent.clear(),
            }
        }
    }

    /// Waits for the next frame. `None` if the peer has closed the socket. Waits forever if the socket is only polled.
    /// Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Frame>, FrameSocketError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            if self.closed {
                return Ok(None);
            }
            let Socket::WakeOnData(socket) = &self.socket else {
                return std::future::pending().await;
            };
            let interest = if self.unsent.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let ready = socket.ready(interest).await?;
            if ready.is_writable() {
                self.flush();
            }
            if ready.is_readable() {
                self.read()?;
            }
        }
    }

    /// Returns the next frame of the bytes that were read before; `None` if no frame is complete.
    pub fn next_decoded(&mut self) -> Result<Option<Frame>, FrameSocketError> {
        Ok(self.decoder.next_frame()?)
    }

    /// Sends queued bytes and reads what has arrived, from the socket and from the send buffer, up to a limit. Returns
    /// `false` if the peer has closed the socket. The frames are returned by [`FrameSocket::next_decoded`].
    pub fn poll(&mut self) -> Result<bool, FrameSocketError> {
        self.flush();
        for _ in 0..MAX_READS_PER_POLL {
            if self.read()? < READ_BYTES && self.read_send_buffer() {
                break;
            }
        }
        Ok(!self.closed)
    }

    /// Stops arriving frames from waking this process, so that the socket must be polled.
    pub fn poll_only(&mut self) -> io::Result<()> {
        if let Socket::WakeOnData(_) = self.socket
            && let Socket::WakeOnData(socket) = std::mem::replace(&mut self.socket, Socket::Closed)
        {
            self.socket = Socket::PollOnly(socket.into_std()?);
        }
        Ok(())
    }

    /// Makes arriving frames wake this process again.
    pub fn wake_on_data(&mut self) -> io::Result<()> {
        if let Socket::PollOnly(_) = self.socket
            && let Socket::PollOnly(socket) = std::mem::replace(&mut self.socket, Socket::Closed)
        {
            self.socket = Socket::WakeOnData(UnixStream::from_std(socket)?);
        }
        Ok(())
    }

    /// Reads once. Returns the number of bytes.
    fn read(&mut self) -> io::Result<usize> {
        let mut buffer = [0; READ_BYTES];
        let read = match &mut self.socket {
            Socket::WakeOnData(socket) => socket.try_read(&mut buffer),
            Socket::PollOnly(socket) => socket.read(&mut buffer),
            Socket::Closed => Ok(0),
        };
        match read {
            Ok(count) => {
                self.receive(&buffer[..count]);
                if count == 0 {
                    self.on_closed();
                }
                return Ok(count);
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                io::ErrorKind::ConnectionReset => self.on_closed(),
                _ => return Err(error),
            },
        }
        Ok(0)
    }

    /// Passes bytes from the socket to the decoder, except those that were already read from the send buffer.
    fn receive(&mut self, bytes: &[u8]) {
        let already_decoded = self.decoded.saturating_sub(self.received).min(bytes.len() as u64);
        self.received += bytes.len() as u64;
        self.decoded = self.decoded.max(self.received);
        self.decoder.push(&bytes[already_decoded as usize..]);
    }

    /// Passes the bytes in the send buffer to the decoder. Returns `false` if bytes that precede them have not arrived
    /// over the socket yet.
    fn read_send_buffer(&mut self) -> bool {
        match self.send_buffer.as_ref().map(|send_buffer| send_buffer.unsent(self.decoded)) {
            Some(Unsent::Next(bytes)) => {
                self.decoded += bytes.len() as u64;
                self.decoder.push(&bytes);
                true
            }
            Some(Unsent::SocketFirst) => false,
            None => true,
        }
    }

    /// Handles that the peer has closed the socket. It will not send what is left in its send buffer, so that is read
    /// now.
    fn on_closed(&mut self) {
        self.closed = true;
        self.read_send_buffer();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use serde_json::{Value, json};
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::send_buffer::SEND_BUFFER_BYTES;

    /// Returns a frame socket, and the socket and send buffer of its peer.
    fn pair(runtime: &Runtime) -> (FrameSocket, StdUnixStream, SendBuffer) {
        let file: File = tempfile::tempfile().unwrap();
        file.set_len(SEND_BUFFER_BYTES).unwrap();
        let _guard = runtime.enter();
        let (mut ours, theirs) = FrameSocket::pair().unwrap();
        ours.attach_send_buffer(SendBuffer::map(&file).unwrap());
        ours.poll_only().unwrap();
        (ours, theirs.into(), SendBuffer::map(&file).unwrap())
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_io().build().unwrap()
    }

    fn frame(number: u32) -> Vec<u8> {
        encode(&json!(number), &[]).unwrap()
    }

    /// Polls once and returns the frames.
    fn poll_frames(frames: &mut FrameSocket) -> Vec<u32> {
        frames.poll().unwrap();
        let frames = std::iter::from_fn(|| frames.next_decoded().unwrap());
        frames.map(|frame| frame.message::<u32>().unwrap()).collect()
    }

    #[test]
    fn frames_read_from_the_send_buffer_are_not_read_from_the_socket_again() {
        let (mut ours, mut theirs, send_buffer) = pair(&runtime());
        theirs.write_all(&frame(1)).unwrap();
        send_buffer.record_sent(frame(1).len());
        assert!(send_buffer.append(&frame(2)));
        assert_eq!(poll_frames(&mut ours), [1, 2]);
        assert!(send_buffer.append(&frame(3)));
        // The peer has sent half of the send buffer.
        let both = [frame(2), frame(3)].concat();
        theirs.write_all(&both[..frame(2).len() + 3]).unwrap();
        assert_eq!(poll_frames(&mut ours), [3]);
        theirs.write_all(&both[frame(2).len() + 3..]).unwrap();
        send_buffer.record_sent(0);
        theirs.write_all(&frame(4)).unwrap();
        send_buffer.record_sent(frame(4).len());
        assert!(send_buffer.append(&frame(5)));
        assert_eq!(poll_frames(&mut ours), [4, 5]);
    }

    #[test]
    fn frames_in_the_send_buffer_are_read_after_the_socket_was_closed() {
        let runtime = runtime();
        let (mut ours, mut theirs, send_buffer) = pair(&runtime);
        theirs.write_all(&frame(1)).unwrap();
        send_buffer.record_sent(frame(1).len());
        assert!(send_buffer.append(&frame(2)) && send_buffer.append(&frame(3)));
        // The peer is killed while it sends them.
        theirs.write_all(&frame(2)[..5]).unwrap();
        drop(theirs);
        runtime.block_on(async {
            ours.wake_on_data().unwrap();
            for expected in 1..=3 {
                let frame = ours.next().await.unwrap().unwrap();
                assert_eq!(frame.message::<Value>().unwrap(), json!(expected));
            }
            assert!(ours.next().await.unwrap().is_none());
        });
    }
}
