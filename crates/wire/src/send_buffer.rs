//! The send buffer: frames that a runner has not sent yet, in memory shared with its worker. Appending a frame needs no
//! system call, and frames survive the death of the runner. Without it each end of a run is a frame over the socket,
//! and a full queue of tasks that do nothing drains 5 % slower (`bench/figures drain`).
//!
//! Everything that a runner sends is one stream of bytes. Each byte has a position in the stream, whether it is read
//! from the socket or from the send buffer. So the worker, which reads both, reads no byte twice. The runner later
//! sends the bytes of the send buffer over the socket, unless it dies before.
//!
//! The memory begins with two `u64`: the position of the first byte in the buffer, and the position after the last one.
//! The bytes follow.

#![expect(
    unsafe_code,
    clippy::cast_ptr_alignment,
    reason = "memory that is shared with another process"
)]

use std::{
    fs::File,
    io::{self, ErrorKind},
    sync::atomic::{AtomicU8, AtomicU64, Ordering, fence},
};

use memmap2::MmapRaw;

/// The size of the shared memory, in bytes.
pub const SEND_BUFFER_BYTES: u64 = 16 << 10;

const HEADER_BYTES: usize = 16;

/// The mapped memory, in the runner or in the worker.
#[derive(Debug)]
pub struct SendBuffer(MmapRaw);

/// The result of reading the send buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The bytes that come next in the stream; empty if there are none.
    Next(Vec<u8>),
    /// The bytes that come next must be read from the socket first.
    SocketFirst,
}

impl SendBuffer {
    /// Maps the memory in this file. A new file that holds only zeros is an empty send buffer.
    /// `Err` if the file is too small.
    pub fn map(file: &File) -> io::Result<SendBuffer> {
        let map = MmapRaw::map_raw(file)?;
        if map.len() <= HEADER_BYTES {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "the send buffer has no room for frames",
            ));
        }
        Ok(SendBuffer(map))
    }

    /// Appends a frame. Returns `false` if there is no room. Only one thread at a time may append or send.
    pub fn append(&self, frame: &[u8]) -> bool {
        let (start, end, bytes) = self.parts();
        let (from, to) = (start.load(Ordering::Relaxed), end.load(Ordering::Relaxed));
        let Some(room) = bytes.get(to.wrapping_sub(from) as usize..) else { return false };
        if room.len() < frame.len() {
            return false;
        }
        room.iter().zip(frame).for_each(|(target, byte)| target.store(*byte, Ordering::Relaxed));
        end.store(to + frame.len() as u64, Ordering::Release);
        true
    }

    /// Empties the buffer, after all of its bytes and `also_sent` further bytes were sent over the socket.
    pub fn record_sent(&self, also_sent: usize) {
        let (start, end, _) = self.parts();
        let to = end.load(Ordering::Relaxed) + also_sent as u64;
        // The order matters: a reader in between sees a start after the end, and never mistakes sent bytes for unsent
        // ones.
        start.store(to, Ordering::Release);
        end.store(to, Ordering::Release);
        // A reader that sees a byte appended later must also see the new start.
        fence(Ordering::Release);
    }

    /// Returns the bytes in the buffer after the first `read` bytes of the stream.
    pub fn unsent(&self, read: u64) -> Unsent {
        let (start, end, bytes) = self.parts();
        let from = start.load(Ordering::Acquire);
        let to = end.load(Ordering::Acquire);
        if from > read {
            return Unsent::SocketFirst;
        }
        // If something other than the SDK wrote here, the range may be out of bounds. Then nothing is read.
        let range = (read - from) as usize..to.saturating_sub(from) as usize;
        let next = bytes.get(range).unwrap_or_default();
        let next = next.iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
        fence(Ordering::Acquire);
        if start.load(Ordering::Relaxed) == from { Unsent::Next(next) } else { Unsent::SocketFirst }
    }

    fn parts(&self) -> (&AtomicU64, &AtomicU64, &[AtomicU8]) {
        // SAFETY: the map is longer than the header, begins at a page boundary, and lives as long as `self`. This
        // process accesses it only by atomic operations.
        unsafe {
            let header = self.0.as_mut_ptr().cast::<u64>();
            let bytes = self.0.as_mut_ptr().add(HEADER_BYTES).cast::<AtomicU8>();
            (
                AtomicU64::from_ptr(header),
                AtomicU64::from_ptr(header.add(1)),
                std::slice::from_raw_parts(bytes, self.0.len() - HEADER_BYTES),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_ends() -> (SendBuffer, SendBuffer) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SEND_BUFFER_BYTES).unwrap();
        (SendBuffer::map(&file).unwrap(), SendBuffer::map(&file).unwrap())
    }

    #[test]
    fn each_byte_is_read_once() {
        let (runner, worker) = both_ends();
        runner.record_sent(5);
        assert!(runner.append(b"one") && runner.append(b"two"));
        assert_eq!(worker.unsent(0), Unsent::SocketFirst, "five bytes come over the socket first");
        assert_eq!(worker.unsent(5), Unsent::Next(b"onetwo".to_vec()));
        assert_eq!(worker.unsent(8), Unsent::Next(b"two".to_vec()));
        assert_eq!(worker.unsent(11), Unsent::Next(Vec::new()));
        runner.record_sent(0);
        assert_eq!(worker.unsent(11), Unsent::Next(Vec::new()));
        assert_eq!(worker.unsent(8), Unsent::SocketFirst);
        assert!(runner.append(b"three"));
        assert_eq!(worker.unsent(11), Unsent::Next(b"three".to_vec()));
    }

    #[test]
    fn a_frame_without_room_is_not_appended() {
        let (runner, worker) = both_ends();
        let half = vec![7; SEND_BUFFER_BYTES as usize / 2];
        assert!(runner.append(&half));
        assert!(!runner.append(&half), "16 bytes are the header");
        assert_eq!(worker.unsent(0), Unsent::Next(half.clone()));
        runner.record_sent(0);
        assert!(runner.append(&half));
    }

    #[test]
    fn no_byte_is_lost_between_two_threads() {
        let (runner, worker) = both_ends();
        let all: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let (sender, socket) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut sent, mut frames) = (0, 0);
                for frame in all.chunks(90) {
                    assert!(runner.append(frame));
                    sent += frame.len();
                    frames += 1;
                    if frames % 7 == 0 {
                        sender.send(std::mem::take(&mut sent)).unwrap();
                        runner.record_sent(0);
                    }
                }
            });
            let (mut read, mut received) = (Vec::new(), 0);
            while read.len() < all.len() {
                received += socket.try_iter().sum::<usize>();
                if received > read.len() {
                    read.extend_from_slice(&all[read.len()..received]);
                }
                if let Unsent::Next(next) = worker.unsent(read.len() as u64) {
                    read.extend(next);
                }
            }
            assert!(read == all);
        });
    }

    #[test]
    fn nothing_is_read_from_invalid_positions() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SEND_BUFFER_BYTES).unwrap();
        let send_buffer = SendBuffer::map(&file).unwrap();
        let (start, end, _) = send_buffer.parts();
        start.store(40, Ordering::Relaxed);
        assert_eq!(send_buffer.unsent(50), Unsent::Next(Vec::new()));
        end.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(send_buffer.unsent(50), Unsent::Next(Vec::new()));
        assert!(!send_buffer.append(b"frame"));
    }
}
