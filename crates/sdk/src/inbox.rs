//! The runs that a worker handed over, between who reads them and who runs them. What was sent ahead can
//! be taken back as long as it has not begun.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::abort::Listener;
use crate::{Task, current};

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Task>,
    leaving: bool,
    filled_elsewhere: bool,
}

/// What there is to do.
#[derive(Debug)]
pub(crate) enum Next {
    /// This run.
    Run(Task),
    /// Nothing any more.
    Leave,
    /// Nothing yet.
    Nothing,
}

/// Where an abort met its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// It runs.
    Running(Listener),
    /// It is over, or was never here.
    Nowhere,
}

impl Inbox {
    /// Adds a run at the end.
    pub(crate) fn push(&self, task: Task) {
        let mut queue = self.lock();
        queue.waiting.push_back(task);
        self.tell(&queue);
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        let mut queue = self.lock();
        queue.leaving = true;
        self.tell(&queue);
    }

    /// Whether the thread that runs them goes on to the next run at once, and nobody else listens to the worker.
    pub(crate) fn goes_on(&self) -> bool {
        let queue = self.lock();
        !queue.waiting.is_empty() && !queue.filled_elsewhere
    }

    /// The next run, which is then the one in hand.
    pub(crate) fn next(&self) -> Next {
        let mut queue = self.lock();
        match queue.waiting.pop_front() {
            Some(task) => {
                // Under the lock, so that an abort finds the run either here or there.
                current::enter(&task);
                Next::Run(task)
            }
            None if queue.leaving => Next::Leave,
            None => Next::Nothing,
        }
    }

    /// Another thread fills the queue from now on, or does no longer.
    pub(crate) fn fill_elsewhere(&self, elsewhere: bool) {
        self.lock().filled_elsewhere = elsewhere;
        self.changed.notify_one();
    }

    /// Until there is something to do, or nobody else fills the queue.
    pub(crate) fn wait(&self) {
        let idle = |queue: &mut Queue| {
            queue.waiting.is_empty() && !queue.leaving && queue.filled_elsewhere
        };
        drop(self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes a run back, and tells it before the one behind it can begin; false if it has begun.
    pub(crate) fn revoke<E>(
        &self,
        key: (i64, i64),
        tell: impl FnOnce() -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut queue = self.lock();
        let Some(at) = queue.waiting.iter().position(|task| task.key() == key) else {
            return Ok(false);
        };
        queue.waiting.remove(at);
        tell().map(|()| true)
    }

    /// Takes back all that wait, in their order.
    pub(crate) fn take_back(&self) -> Vec<(i64, i64)> {
        self.lock().waiting.drain(..).map(|task| task.key()).collect()
    }

    /// Aborts a run that has begun. What the run in hand is told, it is told before it can end;
    /// `absent` is called where its operation does not listen.
    pub(crate) fn abort(key: (i64, i64), reason: &str, absent: impl FnOnce()) -> Met {
        current::with(|task| {
            if task.key() != key {
                return Met::Nowhere;
            }
            let listener = task.abort().request(reason);
            if listener == Listener::Absent {
                absent();
            }
            Met::Running(listener)
        })
        .unwrap_or(Met::Nowhere)
    }

    /// Wakes who waits. Nobody does where the one thread does all: that is a call of the kernel less.
    fn tell(&self, queue: &Queue) {
        if queue.filled_elsewhere {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
