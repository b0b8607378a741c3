//! The sending half of a runner's socket: whole frames, from any thread, and of a run none after
//! its last. A worker that hears of a run that it does not hold takes the runner for broken, and a
//! thread that an operation left behind must not do that to the next run.
//!
//! Where short runs follow one another their ends go together, a moment later; until then they lie in the
//! outbox, where the worker finds them if this process dies.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rework_wire::frame::{FrameError, encode};
use rework_wire::outbox::Outbox;
use rework_wire::runner::FromRunner;

use crate::leave::{self, Leave};
use crate::watch::Watch;

/// How long frames that can wait do, at most, while runs follow one another.
const WAIT_US: i64 = 1_000;

/// Sends to the worker.
#[derive(Debug)]
pub(crate) struct Link {
    way: Mutex<Way>,
    watch: Arc<Watch>,
}

/// The way out.
#[derive(Debug)]
struct Way {
    socket: UnixStream,
    outbox: Option<Outbox>,
    /// What lies in the outbox.
    waiting: Vec<u8>,
    /// Since when.
    since_us: i64,
}

/// Whether the last frame of a run was sent. Read and written by [`Link`], under its lock.
#[derive(Debug, Default)]
pub(crate) struct Over(AtomicBool);

impl Link {
    pub(crate) fn new(socket: UnixStream, outbox: Option<Outbox>, watch: Arc<Watch>) -> Link {
        let way = Way { socket, outbox, waiting: Vec::new(), since_us: 0 };
        Link { way: Mutex::new(way), watch }
    }

    /// The run in hand waits for an answer: somebody is to listen.
    pub(crate) fn await_answer(&self) {
        self.watch.call();
    }

    /// Sends a frame that is of no run, or says that one will not begin.
    pub(crate) fn send(&self, message: &FromRunner) -> Result<(), FrameError> {
        let frame = encode(message, &[])?;
        self.write(|way| way.send(&frame), || true);
        Ok(())
    }

    /// Sends a frame of a run; false if the run is over.
    pub(crate) fn send_within(&self, over: &Over, frame: &[u8]) -> bool {
        self.write(|way| way.send(frame), || !over.0.load(Ordering::Relaxed))
    }

    /// Sends the last frame of a run; where it can wait, and this is the time now, a moment later.
    pub(crate) fn send_last(&self, over: &Over, frame: &[u8], waits_us: Option<i64>) {
        let how = |way: &mut Way| match waits_us {
            Some(now_us) => way.put(frame, now_us),
            None => way.send(frame),
        };
        self.write(how, || !over.0.swap(true, Ordering::Relaxed));
    }

    /// Sends what waits.
    pub(crate) fn flush(&self) {
        self.write(Way::flush, || true);
    }

    fn write(
        &self,
        how: impl FnOnce(&mut Way) -> io::Result<()>,
        may: impl FnOnce() -> bool,
    ) -> bool {
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        if !may() {
            return false;
        }
        let sent = how(&mut way);
        // Leaving runs the exit handlers of the program, which may still log.
        drop(way);
        if sent.is_err() {
            leave::now(Leave::WorkerGone);
        }
        true
    }
}

impl Way {
    /// At once, behind what waits.
    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.socket.write_all(frame)?;
        self.note_sent(frame.len());
        Ok(())
    }

    /// With what follows it, or at once where there is no room to wait.
    fn put(&mut self, frame: &[u8], now_us: i64) -> io::Result<()> {
        if !self.outbox.as_ref().is_some_and(|outbox| outbox.put(frame)) {
            return self.send(frame);
        }
        if self.waiting.is_empty() {
            self.since_us = now_us;
        }
        self.waiting.extend_from_slice(frame);
        if now_us - self.since_us >= WAIT_US { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.socket.write_all(&self.waiting)?;
        self.waiting.clear();
        self.note_sent(0);
        Ok(())
    }

    fn note_sent(&self, more: usize) {
        if let Some(outbox) = &self.outbox {
            outbox.sent(more);
        }
    }
}
