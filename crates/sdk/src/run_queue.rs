//! The runs that a worker has dispatched to this process and that have not started yet. One thread adds them, one
//! takes them. A run can be revoked as long as it has not started.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::abort::Cooperation;
use crate::{Task, current};

/// The queue of runs, shared by the thread that executes runs and the thread that reads from the worker.
#[derive(Debug, Default)]
pub(crate) struct RunQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<Task>,
    /// The checks that the worker has requested. It requests one only while no run is open.
    checks: VecDeque<CheckRequest>,
    /// Whether the worker has announced that no more runs will come.
    closed: bool,
    /// Whether the listener thread reads from the worker and fills this queue.
    listener_thread_reads: bool,
}

/// The request of the worker to run the check of an operation.
#[derive(Debug)]
pub(crate) struct CheckRequest {
    /// The number of the request, which the answer repeats.
    pub(crate) number: u32,
    pub(crate) domain: String,
    pub(crate) operation: String,
}

/// The result of [`RunQueue::next`].
#[derive(Debug)]
pub(crate) enum NextRun {
    /// This run starts now.
    Run(Task),
    /// This check is to be run now.
    Check(CheckRequest),
    /// The queue is empty, and no more runs will come.
    Closed,
    /// The queue is empty for now.
    Empty,
}

impl RunQueue {
    /// Adds a run at the end.
    pub(crate) fn push(&self, task: Task) {
        let mut state = self.lock();
        state.waiting.push_back(task);
        self.notify(&state);
    }

    /// Adds the request for a check.
    pub(crate) fn push_check(&self, request: CheckRequest) {
        let mut state = self.lock();
        state.checks.push_back(request);
        self.notify(&state);
    }

    /// Records that no more runs will come.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.notify(&state);
    }

    /// Returns whether the executing thread starts the next run at once, while no listener thread reads from the
    /// worker.
    pub(crate) fn next_starts_at_once(&self) -> bool {
        let state = self.lock();
        !state.waiting.is_empty() && !state.listener_thread_reads
    }

    /// Takes the next check, or else the next run, which becomes the current one.
    pub(crate) fn next(&self) -> NextRun {
        let mut state = self.lock();
        if let Some(check) = state.checks.pop_front() {
            return NextRun::Check(check);
        }
        match state.waiting.pop_front() {
            Some(task) => {
                // Still under the lock, so that an abort finds the run either in the queue or as the current run.
                current::enter(&task);
                NextRun::Run(task)
            }
            None if state.closed => NextRun::Closed,
            None => NextRun::Empty,
        }
    }

    /// Records whether the listener thread reads from the worker and fills this queue.
    pub(crate) fn set_listener_thread_reads(&self, reads: bool) {
        self.lock().listener_thread_reads = reads;
        self.changed.notify_one();
    }

    /// Waits until there is a run, the queue is closed, or the listener thread no longer fills it.
    pub(crate) fn wait(&self) {
        let is_idle = |state: &mut QueueState| {
            let is_empty = state.waiting.is_empty() && state.checks.is_empty();
            is_empty && !state.closed && state.listener_thread_reads
        };
        drop(self.changed.wait_while(self.lock(), is_idle).unwrap_or_else(PoisonError::into_inner));
    }

    /// Removes a run from the queue, then calls `confirm`. Returns `false` without calling it if the run has started
    /// or is not here.
    ///
    /// `confirm` is called under the lock: the run behind this one cannot start before the worker is informed.
    pub(crate) fn revoke<E>(
        &self,
        key: (i64, i64),
        confirm: impl FnOnce() -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut state = self.lock();
        let Some(index) = state.waiting.iter().position(|task| task.key() == key) else {
            return Ok(false);
        };
        state.waiting.remove(index);
        confirm().map(|()| true)
    }

    /// Removes all runs, and returns their keys (task, run) in the order of the queue.
    pub(crate) fn revoke_all(&self) -> Vec<(i64, i64)> {
        self.lock().waiting.drain(..).map(|task| task.key()).collect()
    }

    /// Aborts a run if it is the current one, and calls `on_no_cooperation` if its operation does not check for
    /// aborts. The run cannot end before this returns.
    pub(crate) fn abort_current(key: (i64, i64), reason: &str, on_no_cooperation: impl FnOnce()) {
        current::with(|task| {
            if task.key() == key && task.abort().request(reason) == Cooperation::No {
                on_no_cooperation();
            }
        });
    }

    /// Wakes the executing thread. It can only be waiting if the listener thread reads; without this test each run
    /// would cost a system call.
    fn notify(&self, state: &QueueState) {
        if state.listener_thread_reads {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
