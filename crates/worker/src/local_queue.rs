//! What a worker has claimed and not handed to a runner yet: tasks that have proved short, claimed
//! together. None of them waits behind a task that takes long.

use std::{collections::VecDeque, future::pending, time::Duration};

use rework_core::task::{
    claim::{Batches, OperationVersion},
    complete::Completion,
};
use tokio::sync::oneshot::error::TryRecvError;

use crate::{
    abort::Abort, batch_size::BatchSizes, claimed_run::ClaimedRun, recorder::Recorder,
    writer::entry::Answer,
};

/// The tasks at hand.
pub(crate) struct LocalQueue {
    waiting: VecDeque<ClaimedRun>,
    /// A claim on its way.
    asked: Option<Answer<Vec<ClaimedRun>>>,
    /// It is for tasks of one operation alone: that it brings none does not say that there are none.
    asked_for_one: bool,
    /// As many as the last claim brought; 0 where it brought less than was asked for.
    full: usize,
    batch_sizes: BatchSizes,
}

impl LocalQueue {
    /// None yet; so many at most are claimed at once.
    pub(crate) fn new(most: u32) -> LocalQueue {
        LocalQueue {
            waiting: VecDeque::new(),
            asked: None,
            asked_for_one: false,
            full: 0,
            batch_sizes: BatchSizes::new(most),
        }
    }

    /// The next task.
    pub(crate) fn next(&mut self) -> Option<ClaimedRun> {
        self.gather();
        self.waiting.pop_front()
    }

    /// The next task, if it is of this very operation.
    pub(crate) fn next_of(&mut self, version: OperationVersion) -> Option<ClaimedRun> {
        self.gather();
        let next = self.waiting.front()?;
        if next.claimed.version != version {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Tasks that were taken and not begun, in their order.
    pub(crate) fn put_back(&mut self, taken: Vec<ClaimedRun>) {
        taken.into_iter().rev().for_each(|held| self.waiting.push_front(held));
    }

    /// Whether nothing is at hand.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The operation of the next one.
    pub(crate) fn next_version(&self) -> Option<OperationVersion> {
        self.waiting.front().map(|held| held.claimed.version)
    }

    /// Asks for tasks of this one operation, so many at most.
    pub(crate) fn ask_for(&mut self, operation: i64, most: u32, recorder: &Recorder) {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let batches = Batches { short: vec![operation], most: vec![most], sole: Some(operation) };
        self.asked = Some(recorder.claim(batches));
        self.asked_for_one = true;
    }

    /// Whether the last claim was for tasks of one operation alone; no more, once it is said.
    pub(crate) fn was_asked_for_one(&mut self) -> bool {
        std::mem::take(&mut self.asked_for_one)
    }

    /// Whether a claim is on its way.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Until the claim on its way is answered. Losing the wait loses nothing.
    pub(crate) async fn arrival(&mut self) {
        let Some(asked) = &mut self.asked else { return pending().await };
        match asked.await {
            Ok(Ok(more)) => self.add(more),
            // It is asked again when it is needed.
            Ok(Err(error)) => {
                tracing::debug!("a claim ahead of time failed: {error}");
                self.asked = None;
            }
            Err(_) => self.asked = None,
        }
    }

    fn gather(&mut self) {
        if let Some(asked) = &mut self.asked {
            match asked.try_recv() {
                Ok(Ok(more)) => self.add(more),
                Err(TryRecvError::Empty) => {}
                // It is asked again when it is needed.
                Ok(Err(error)) => {
                    tracing::debug!("a claim ahead of time failed: {error}");
                    self.asked = None;
                }
                Err(TryRecvError::Closed) => self.asked = None,
            }
        }
    }

    /// The answer to the claim on its way, or to a new one.
    pub(crate) fn claim(&mut self, recorder: &Recorder) -> Answer<Vec<ClaimedRun>> {
        self.asked.take().unwrap_or_else(|| recorder.claim(self.batch_sizes.batches()))
    }

    /// Takes what was claimed.
    pub(crate) fn add(&mut self, more: Vec<ClaimedRun>) {
        self.asked = None;
        self.asked_for_one = false;
        let operation = more.first().map(|held| held.claimed.version.operation);
        let full =
            operation.is_some_and(|operation| self.batch_sizes.claimed(operation, more.len()));
        self.full = if full { more.len() } else { 0 };
        self.waiting.extend(more);
    }

    /// Asks for more where half of a full batch is gone, so that it is there in time; where tasks are claimed
    /// one by one, when none waits, neither here nor in the runner (`handed`).
    pub(crate) fn look_ahead(&mut self, handed: usize, recorder: &Recorder) {
        let batches = self.batch_sizes.batches();
        let wanted = if self.batch_sizes.is_one_by_one() {
            handed == 0 && self.waiting.is_empty()
        } else {
            self.waiting.len() <= self.full / 2 && batches != Batches::default()
        };
        if self.asked.is_none() && self.full > 0 && wanted {
            self.asked = Some(recorder.claim(batches));
            self.asked_for_one = false;
        }
    }

    /// A run of this operation is over, and took so long.
    pub(crate) fn ran(&mut self, operation: i64, took: Duration) {
        self.batch_sizes.ran(operation, took);
    }

    /// Whether runs of this operation leave processes behind, so that they run one at a time.
    pub(crate) fn is_alone(&self, operation: i64) -> bool {
        self.batch_sizes.is_alone(operation)
    }

    /// The runs of this operation leave processes: they are claimed, and run, one by one.
    pub(crate) fn runs_alone(&mut self, operation: i64) {
        self.batch_sizes.runs_alone(operation);
    }

    /// Ends a task that somebody wants to end, if it waits here.
    pub(crate) fn abort(&mut self, abort: &Abort, recorder: &Recorder) {
        let named = |held: &ClaimedRun| abort.names(held.claimed.fence);
        let Some(at) = self.waiting.iter().position(named) else { return };
        let Some(ClaimedRun { claimed, .. }) = self.waiting.remove(at) else { return };
        recorder.complete(abort.completion(claimed.fence));
    }

    /// Nobody waits for this answer any more: what it brings later goes back by itself, and what it
    /// has brought is taken.
    pub(crate) fn forgo(&mut self, mut answer: Answer<Vec<ClaimedRun>>) {
        answer.close();
        if let Ok(Ok(more)) = answer.try_recv() {
            self.waiting.extend(more);
        }
    }

    /// All that waits goes back to the queue. So does what a claim on its way brings.
    pub(crate) fn give_back(&mut self, why: &str, recorder: &Recorder) {
        if let Some(asked) = self.asked.take() {
            self.forgo(asked);
        }
        self.full = 0;
        for ClaimedRun { claimed, .. } in self.waiting.drain(..) {
            recorder.complete(Completion::unbegun(claimed.fence, why));
        }
    }
}
