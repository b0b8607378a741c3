//! The requests of a run to schedule other tasks, from the request until the worker's answer. `schedule.rs` makes
//! them, `frame_reader.rs` delivers the answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::Error;

/// Receives the answer to a request: the id of the new task, or why it was not scheduled.
type AnswerReceiver = oneshot::Receiver<Result<i64, String>>;

/// The schedule requests of one run.
#[derive(Debug, Default)]
pub(crate) struct ScheduleRequests {
    last_number: AtomicU32,
    unanswered: Mutex<Unanswered>,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Unanswered {
    /// Whether the operation has returned, so that no further requests are accepted.
    closed: bool,
    /// The senders of the answers, by the number of the request.
    senders: HashMap<u32, oneshot::Sender<Result<i64, String>>>,
}

impl ScheduleRequests {
    /// Adds a request, and returns its number and the receiver of its answer. `Err` if the run has ended.
    pub(crate) fn add(&self) -> Result<(u32, AnswerReceiver), Error> {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        if unanswered.closed {
            return Err(schedule_error("the run has ended, so it cannot schedule tasks any more"));
        }
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = oneshot::channel();
        unanswered.senders.insert(number, sender);
        Ok((number, receiver))
    }

    /// Delivers the answer of the worker to a schedule request.
    pub(crate) fn answer(&self, number: u32, answer: Result<i64, String>) {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = unanswered.senders.remove(&number) {
            // Fails if the operation has dropped the future. The task is scheduled all the same.
            let _ = sender.send(answer);
        }
        self.answered.notify_all();
    }

    /// Accepts no further requests, and waits until all are answered. So no answer arrives after the end of the run.
    pub(crate) fn close(&self) {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        unanswered.closed = true;
        while !unanswered.senders.is_empty() {
            unanswered = self.answered.wait(unanswered).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Makes an error of kind `schedule`.
pub(crate) fn schedule_error(message: impl Into<String>) -> Error {
    Error::new("schedule", message)
}
