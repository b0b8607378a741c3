//! Receives what the worker sends, in one of two threads. Between runs it is the executing thread, while it waits for
//! the next run. During a long run it is the listener thread, so that an abort and the end of the worker are always
//! noticed. `long_run.rs` decides when the listener thread is needed.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::frame_reader::FrameReader;
use crate::frame_sender::FrameSender;
use crate::long_run::LongRunTimer;
use crate::run_queue::{NextRun, RunQueue};

/// How often the executing thread polls the worker while runs follow one another, in microseconds. The worker may
/// want to revoke some of the runs in the queue.
const POLL_INTERVAL_US: i64 = 1_000;

/// The receiving end of the worker's socket, shared by both threads.
#[derive(Debug)]
pub(crate) struct WorkerListener {
    /// Locked by the thread that listens.
    reader: Mutex<FrameReader>,
    queue: Arc<RunQueue>,
    sender: Arc<FrameSender>,
    long_run: Arc<LongRunTimer>,
    /// When the executing thread last polled, in microseconds of the monotonic clock.
    polled_us: AtomicI64,
}

impl WorkerListener {
    pub(crate) fn new(
        reader: FrameReader,
        queue: Arc<RunQueue>,
        sender: Arc<FrameSender>,
        long_run: Arc<LongRunTimer>,
    ) -> WorkerListener {
        WorkerListener {
            reader: Mutex::new(reader),
            queue,
            sender,
            long_run,
            polled_us: AtomicI64::new(0),
        }
    }

    /// Waits for the next check, or for the next run, which becomes the current one. Never returns [`NextRun::Empty`].
    pub(crate) fn next(&self, now_us: i64) -> NextRun {
        if now_us - self.polled_us.load(Ordering::Relaxed) >= POLL_INTERVAL_US {
            self.polled_us.store(now_us, Ordering::Relaxed);
            if let Some(mut reader) = self.try_reader() {
                reader.poll();
            }
        }
        loop {
            match self.queue.next() {
                // Nothing follows, so the last frames of earlier runs are not deferred any longer.
                NextRun::Empty => self.sender.flush(),
                next => return next,
            }
            match self.try_reader() {
                Some(mut reader) => reader.receive(),
                None => self.queue.wait(),
            }
        }
    }

    /// Removes all runs from the queue, also those that are still in the socket. Returns their keys (task, run) in
    /// the order in which they were dispatched.
    pub(crate) fn revoke_all(&self) -> Vec<(i64, i64)> {
        // If the listener thread has the reader, it reads everything that is in the socket.
        if let Some(mut reader) = self.try_reader() {
            while reader.poll() {}
        }
        self.queue.revoke_all()
    }

    /// Runs the listener thread: it listens during long runs, and sleeps otherwise.
    pub(crate) fn listen_during_long_runs(&self) -> ! {
        loop {
            self.long_run.wait();
            let Some(mut reader) = self.try_reader() else { continue };
            self.queue.set_listener_thread_reads(true);
            while self.long_run.is_active() {
                // While this thread listens, last frames are sent at once. This sends those deferred before.
                self.sender.flush();
                reader.receive();
            }
            drop(reader);
            self.queue.set_listener_thread_reads(false);
        }
    }

    /// Locks the reader. `None` if the other thread listens.
    fn try_reader(&self) -> Option<MutexGuard<'_, FrameReader>> {
        match self.reader.try_lock() {
            Ok(reader) => Some(reader),
            Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
