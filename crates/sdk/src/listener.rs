//! Listens to the worker. Between runs the thread that executes them listens, while it waits for the next
//! one. As soon as a run takes long a second thread listens, so that an abort and the end of the worker
//! are always noticed.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::Task;
use crate::inbox::{Inbox, Next};
use crate::link::Link;
use crate::reader::Reader;
use crate::watch::Watch;

/// Where runs follow one another, the worker is listened to between them so often: it may want some
/// back.
const GLANCE_US: i64 = 1_000;

/// The receiving end of the worker's socket, shared by both threads.
#[derive(Debug)]
pub(crate) struct WorkerListener {
    /// Held by who listens.
    reader: Mutex<Reader>,
    inbox: Arc<Inbox>,
    link: Arc<Link>,
    watch: Arc<Watch>,
    glanced_us: AtomicI64,
}

impl WorkerListener {
    pub(crate) fn new(
        reader: Reader,
        inbox: Arc<Inbox>,
        link: Arc<Link>,
        watch: Arc<Watch>,
    ) -> WorkerListener {
        WorkerListener {
            reader: Mutex::new(reader),
            inbox,
            link,
            watch,
            glanced_us: AtomicI64::new(0),
        }
    }

    /// The next run, which is then the one in hand; none when no more will come.
    pub(crate) fn next(&self, now_us: i64) -> Option<Task> {
        if now_us - self.glanced_us.load(Ordering::Relaxed) >= GLANCE_US {
            self.glanced_us.store(now_us, Ordering::Relaxed);
            if let Some(mut reader) = self.free() {
                reader.glance();
            }
        }
        loop {
            match self.inbox.next() {
                Next::Run(task) => return Some(task),
                Next::Leave => return None,
                Next::Nothing => self.link.flush(),
            }
            match self.free() {
                Some(mut reader) => reader.hear(),
                None => self.inbox.wait(),
            }
        }
    }

    /// Takes back all that wait, in their order: those too that are still on their way through the socket.
    pub(crate) fn take_back(&self) -> Vec<(i64, i64)> {
        // Without it the second thread is listening, and as far.
        if let Some(mut reader) = self.free() {
            while reader.glance() {}
        }
        self.inbox.take_back()
    }

    /// The second thread: listens while it is needed, and sleeps.
    pub(crate) fn stand_by(&self) -> ! {
        loop {
            self.watch.wait();
            let Some(mut reader) = self.free() else { continue };
            self.inbox.fill_elsewhere(true);
            while self.watch.is_needed() {
                // From here on nothing is left to wait, and what was left before goes now.
                self.link.flush();
                reader.hear();
            }
            drop(reader);
            self.inbox.fill_elsewhere(false);
        }
    }

    fn free(&self) -> Option<MutexGuard<'_, Reader>> {
        match self.reader.try_lock() {
            Ok(reader) => Some(reader),
            Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
