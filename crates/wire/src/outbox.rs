//! The outbox: frames that a runner has not sent yet, in memory that it shares with its worker. Appending a frame needs no system
//! call, and frames survive the death of the runner. Without it each end of a run is a frame over the socket, and a full queue of
//! tasks that do nothing drains 5 % slower (`bench/figures drain`).
//!
//! Everything that a runner sends is one stream of bytes, and each byte has a position in it, whether it is read from the socket or
//! found here. So the worker, which reads both, takes no byte twice: what lies here is sent later, unless the runner dies.
//!
//! The memory begins with two positions, each a `u64`: of the first byte that lies here, and of the one behind the last. The bytes
//! follow.

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
pub const OUTBOX_BYTES: u64 = 16 << 10;

const HEAD: usize = 16;

/// The outbox, as either process sees it.
#[derive(Debug)]
pub struct Outbox(MmapRaw);

/// What a reader found.
#[derive(Debug, PartialEq, Eq)]
pub enum Unsent {
    /// These bytes come next in the stream.
    Next(Vec<u8>),
    /// Other bytes come before them, over the socket.
    Later,
}

impl Outbox {
    /// The outbox in this file, which holds zeros if nobody has written to it.
    pub fn of(file: &File) -> io::Result<Outbox> {
        let map = MmapRaw::map_raw(file)?;
        if map.len() <= HEAD {
            return Err(io::Error::new(ErrorKind::InvalidInput, "an outbox without room"));
        }
        Ok(Outbox(map))
    }

    /// Appends a frame. `false` if there is no room. Only one thread at a time may append or send.
    pub fn put(&self, frame: &[u8]) -> bool {
        let (start, end, bytes) = self.parts();
        let (from, to) = (start.load(Ordering::Relaxed), end.load(Ordering::Relaxed));
        let Some(room) = bytes.get(to.wrapping_sub(from) as usize..) else { return false };
        if room.len() < frame.len() {
            return false;
        }
        room.iter().zip(frame).for_each(|(place, byte)| place.store(*byte, Ordering::Relaxed));
        end.store(to + frame.len() as u64, Ordering::Release);
        true
    }

    /// Everything that lay here was sent, and `more` bytes besides.
    pub fn sent(&self, more: usize) {
        let (start, end, _) = self.parts();
        let to = end.load(Ordering::Relaxed) + more as u64;
        // In this order, so that a reader never takes sent bytes for bytes that lie here.
        start.store(to, Ordering::Release);
        end.store(to, Ordering::Release);
        // A reader that sees a byte appended later also sees that those before it were sent.
        fence(Ordering::Release);
    }

    /// The bytes that lie here behind the first `taken` bytes of the stream.
    pub fn unsent(&self, taken: u64) -> Unsent {
        let (start, end, bytes) = self.parts();
        let from = start.load(Ordering::Acquire);
        let to = end.load(Ordering::Acquire);
        if from > taken {
            return Unsent::Later;
        }
        // If anything but the SDK wrote here, the range may be out of bounds: then nothing is read.
        let range = (taken - from) as usize..to.saturating_sub(from) as usize;
        let next = bytes.get(range).unwrap_or_default();
        let next = next.iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
        fence(Ordering::Acquire);
        if start.load(Ordering::Relaxed) == from { Unsent::Next(next) } else { Unsent::Later }
    }

    fn parts(&self) -> (&AtomicU64, &AtomicU64, &[AtomicU8]) {
        // SAFETY: the map is longer than the head, begins at a page of memory, and lives as long as `self`; nobody
        // in this process reaches it but by atomics.
        unsafe {
            let head = self.0.as_mut_ptr().cast::<u64>();
            let bytes = self.0.as_mut_ptr().add(HEAD).cast::<AtomicU8>();
            (
                AtomicU64::from_ptr(head),
                AtomicU64::from_ptr(head.add(1)),
                std::slice::from_raw_parts(bytes, self.0.len() - HEAD),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> (Outbox, Outbox) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(OUTBOX_BYTES).unwrap();
        (Outbox::of(&file).unwrap(), Outbox::of(&file).unwrap())
    }

    #[test]
    fn what_lies_here_is_taken_once() {
        let (runner, worker) = both();
        runner.sent(5);
        assert!(runner.put(b"one") && runner.put(b"two"));
        assert_eq!(worker.unsent(0), Unsent::Later, "five bytes come over the socket first");
        assert_eq!(worker.unsent(5), Unsent::Next(b"onetwo".to_vec()));
        assert_eq!(worker.unsent(8), Unsent::Next(b"two".to_vec()));
        assert_eq!(worker.unsent(11), Unsent::Next(Vec::new()));
        runner.sent(0);
        assert_eq!(worker.unsent(11), Unsent::Next(Vec::new()));
        assert_eq!(worker.unsent(8), Unsent::Later);
        assert!(runner.put(b"three"));
        assert_eq!(worker.unsent(11), Unsent::Next(b"three".to_vec()));
    }

    #[test]
    fn a_frame_that_has_no_room_is_not_put() {
        let (runner, worker) = both();
        let half = vec![7; OUTBOX_BYTES as usize / 2];
        assert!(runner.put(&half));
        assert!(!runner.put(&half), "16 bytes are the head");
        assert_eq!(worker.unsent(0), Unsent::Next(half.clone()));
        runner.sent(0);
        assert!(runner.put(&half));
    }

    #[test]
    fn two_threads_lose_nothing() {
        let (runner, worker) = both();
        let all: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let (sender, socket) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut held, mut frames) = (0, 0);
                for frame in all.chunks(90) {
                    assert!(runner.put(frame));
                    held += frame.len();
                    frames += 1;
                    if frames % 7 == 0 {
                        sender.send(std::mem::take(&mut held)).unwrap();
                        runner.sent(0);
                    }
                }
            });
            let (mut taken, mut received) = (Vec::new(), 0);
            while taken.len() < all.len() {
                received += socket.try_iter().sum::<usize>();
                if received > taken.len() {
                    taken.extend_from_slice(&all[taken.len()..received]);
                }
                if let Unsent::Next(next) = worker.unsent(taken.len() as u64) {
                    taken.extend(next);
                }
            }
            assert!(taken == all);
        });
    }

    #[test]
    fn what_is_no_outbox_says_nothing() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(OUTBOX_BYTES).unwrap();
        let outbox = Outbox::of(&file).unwrap();
        let (start, end, _) = outbox.parts();
        start.store(40, Ordering::Relaxed);
        assert_eq!(outbox.unsent(50), Unsent::Next(Vec::new()));
        end.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(outbox.unsent(50), Unsent::Next(Vec::new()));
        assert!(!outbox.put(b"frame"));
    }
}
