//! The requests of a run to schedule tasks, until the worker has answered them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::Error;

/// The requests of one run, and who waits for their answers.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    last: AtomicU32,
    open: Mutex<Open>,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Open {
    closed: bool,
    waiting: HashMap<u32, oneshot::Sender<Result<i64, String>>>,
}

impl Requests {
    pub(crate) fn open(&self) -> Result<(u32, oneshot::Receiver<Result<i64, String>>), Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.closed {
            return Err(failed("the run has ended: it schedules nothing any more"));
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = oneshot::channel();
        open.waiting.insert(number, sender);
        Ok((number, receiver))
    }

    /// Takes an answer to whoever waits for it.
    pub(crate) fn answer(&self, number: u32, answer: Result<i64, String>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = open.waiting.remove(&number) {
            // Nobody waits where the future was dropped; the task is scheduled all the same.
            let _ = waiting.send(answer);
        }
        self.answered.notify_all();
    }

    /// Waits for the answers that are outstanding, and takes no more requests: whoever asked is to hear
    /// what became of it.
    pub(crate) fn close(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.closed = true;
        while !open.waiting.is_empty() {
            open = self.answered.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

pub(crate) fn failed(why: impl Into<String>) -> Error {
    Error::new("schedule", why)
}
