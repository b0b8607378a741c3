//! The local queue of a worker: runs that it has claimed and not yet given to a runner. The worker
//! claims several short tasks at once and fetches the next batch before the queue is empty. If the
//! running task takes long, the worker requeues everything in here, so that other workers can run
//! the tasks.

use std::{collections::VecDeque, future::pending, time::Duration};

use rework_core::task::{
    claim::{BatchLimits, OperationVersion},
    complete::Completion,
};
use tokio::sync::oneshot::error::TryRecvError;

use crate::{
    abort::Abort, batch_size::BatchSizes, claimed_run::ClaimedRun, exclusions::PAUSED,
    recorder::Recorder, writer::entry::Answer,
};

/// Runs that are claimed and wait for a runner, in the order in which they run.
pub(crate) struct LocalQueue {
    waiting: VecDeque<ClaimedRun>,
    /// The claim that was sent to the database and has no answer yet; `None` if there is no such
    /// claim.
    pending_claim: Option<Answer<Vec<ClaimedRun>>>,
    /// Whether the pending claim, or else the one answered last, was restricted to one operation.
    /// If it found nothing, tasks of other operations may still be ready.
    claim_is_for_one_operation: bool,
    /// The number of tasks in the last claim if it makes sense to claim more of them early; otherwise 0 (see
    /// [`BatchSizes::record_claim`]). A claim of one task counts only with `--batch 1`, if the runs are short.
    last_full_batch: usize,
    batch_sizes: BatchSizes,
}

impl LocalQueue {
    /// Creates an empty queue. One claim takes at most `max_batch` tasks (option `--batch`).
    pub(crate) fn new(max_batch: u32) -> LocalQueue {
        LocalQueue {
            waiting: VecDeque::new(),
            pending_claim: None,
            claim_is_for_one_operation: false,
            last_full_batch: 0,
            batch_sizes: BatchSizes::new(max_batch),
        }
    }

    /// Removes the first run and returns it; `None` if no run waits.
    pub(crate) fn next(&mut self) -> Option<ClaimedRun> {
        self.receive_claimed();
        self.waiting.pop_front()
    }

    /// Removes and returns the first run if it is of this operation in this version; otherwise
    /// `None`.
    pub(crate) fn next_of(&mut self, version: OperationVersion) -> Option<ClaimedRun> {
        self.receive_claimed();
        let next = self.waiting.front()?;
        if next.claimed.version != version {
            return None;
        }
        self.waiting.pop_front()
    }

    /// Puts runs back at the front, in the given order.
    pub(crate) fn push_front(&mut self, runs: Vec<ClaimedRun>) {
        runs.into_iter().rev().for_each(|run| self.waiting.push_front(run));
    }

    /// Returns whether no run waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the operation, with its version, of the first run; `None` if no run waits.
    pub(crate) fn next_version(&self) -> Option<OperationVersion> {
        self.waiting.front().map(|run| run.claimed.version)
    }

    /// Claims at most `max_tasks` tasks of one operation, for a runner that can run them side by side.
    pub(crate) fn claim_one_operation(
        &mut self,
        operation: i64,
        max_tasks: u32,
        recorder: &Recorder,
    ) {
        let size = i32::try_from(max_tasks).unwrap_or(i32::MAX);
        let batches = BatchLimits {
            operations: vec![operation],
            sizes: vec![size],
            only_operation: Some(operation),
            excluded: Vec::new(),
        };
        self.pending_claim = Some(recorder.claim(batches));
        self.claim_is_for_one_operation = true;
    }

    /// Returns whether the last claim was restricted to one operation, and forgets it.
    pub(crate) fn take_was_for_one_operation(&mut self) -> bool {
        std::mem::take(&mut self.claim_is_for_one_operation)
    }

    /// Returns whether a claim has no answer yet.
    pub(crate) fn has_pending_claim(&self) -> bool {
        self.pending_claim.is_some()
    }

    /// Waits until the pending claim is answered and adds its tasks. Waits forever if there is no pending claim. Cancel
    /// safe.
    pub(crate) async fn claim_answered(&mut self) {
        let Some(pending_claim) = &mut self.pending_claim else { return pending().await };
        match pending_claim.await {
            Ok(Ok(claimed_runs)) => self.add(claimed_runs),
            // The claim is repeated when the queue is empty.
            Ok(Err(error)) => {
                tracing::debug!("a prefetched claim failed: {error}");
                self.pending_claim = None;
            }
            Err(_) => self.pending_claim = None,
        }
    }

    fn receive_claimed(&mut self) {
        if let Some(pending_claim) = &mut self.pending_claim {
            match pending_claim.try_recv() {
                Ok(Ok(claimed_runs)) => self.add(claimed_runs),
                Err(TryRecvError::Empty) => {}
                // The claim is repeated when the queue is empty.
                Ok(Err(error)) => {
                    tracing::debug!("a prefetched claim failed: {error}");
                    self.pending_claim = None;
                }
                Err(TryRecvError::Closed) => self.pending_claim = None,
            }
        }
    }

    /// Returns the answer to the pending claim, or sends a new claim. The caller awaits it and calls
    /// [`add`](LocalQueue::add).
    pub(crate) fn claim(&mut self, recorder: &Recorder) -> Answer<Vec<ClaimedRun>> {
        self.pending_claim.take().unwrap_or_else(|| recorder.claim(self.batch_sizes.batches()))
    }

    /// Adds claimed runs.
    pub(crate) fn add(&mut self, claimed_runs: Vec<ClaimedRun>) {
        self.pending_claim = None;
        self.claim_is_for_one_operation = false;
        let operation = claimed_runs.first().map(|run| run.claimed.version.operation);
        let is_full = operation
            .is_some_and(|operation| self.batch_sizes.record_claim(operation, claimed_runs.len()));
        self.last_full_batch = if is_full { claimed_runs.len() } else { 0 };
        self.waiting.extend(claimed_runs);
    }

    /// Claims the next tasks early, so that they arrive before the current ones are done. This happens when half of a
    /// full batch is used up. With `--batch 1` it happens when no run waits here or in the runner; `sent_ahead` is the
    /// number of runs that wait in the runner.
    pub(crate) fn prefetch(&mut self, sent_ahead: usize, recorder: &Recorder) {
        let batches = self.batch_sizes.batches();
        let is_needed = if self.batch_sizes.claims_one_by_one() {
            sent_ahead == 0 && self.waiting.is_empty()
        } else {
            self.waiting.len() <= self.last_full_batch / 2 && batches != BatchLimits::default()
        };
        if self.pending_claim.is_none() && self.last_full_batch > 0 && is_needed {
            self.pending_claim = Some(recorder.claim(batches));
            self.claim_is_for_one_operation = false;
        }
    }

    /// Records how long a run of this operation took.
    pub(crate) fn record_duration(&mut self, operation: i64, duration: Duration) {
        self.batch_sizes.record_duration(operation, duration);
    }

    /// Forgets how long runs of this operation took, so that the next claim takes one task of it.
    pub(crate) fn forget_durations(&mut self, operation: i64) {
        self.batch_sizes.forget(operation);
    }

    /// Returns whether runs of this operation leave processes behind, so that they must run one at
    /// a time.
    pub(crate) fn leaves_processes(&self, operation: i64) -> bool {
        self.batch_sizes.leaves_processes(operation)
    }

    /// Records that runs of this operation leave processes behind. From now on they are claimed and run one at a time.
    pub(crate) fn set_leaves_processes(&mut self, operation: i64) {
        self.batch_sizes.set_leaves_processes(operation);
    }

    /// Ends the run that `abort` is for, if it waits here.
    pub(crate) fn abort(&mut self, abort: &Abort, recorder: &Recorder) {
        let is_aborted = |run: &ClaimedRun| abort.concerns(run.claimed.fence);
        let Some(index) = self.waiting.iter().position(is_aborted) else { return };
        let Some(ClaimedRun { claimed, .. }) = self.waiting.remove(index) else { return };
        recorder.complete(abort.completion(claimed.fence));
    }

    /// Stops waiting for a claim. Tasks that it has already brought are added; tasks that it brings later are requeued
    /// by the writer.
    pub(crate) fn abandon_claim(&mut self, mut answer: Answer<Vec<ClaimedRun>>) {
        answer.close();
        if let Ok(Ok(claimed_runs)) = answer.try_recv() {
            self.waiting.extend(claimed_runs);
        }
    }

    /// Requeues all runs that wait here, and those of a pending claim.
    pub(crate) fn requeue_all(&mut self, reason: &str, recorder: &Recorder) {
        if let Some(pending_claim) = self.pending_claim.take() {
            self.abandon_claim(pending_claim);
        }
        self.last_full_batch = 0;
        for ClaimedRun { claimed, .. } in self.waiting.drain(..) {
            recorder.complete(Completion::not_started(claimed.fence, reason));
        }
    }

    /// Requeues the runs that wait here and whose operations are paused.
    pub(crate) fn requeue_paused(&mut self, recorder: &Recorder) {
        if !recorder.has_pauses() {
            return;
        }
        self.receive_claimed();
        let is_paused = |run: &ClaimedRun| recorder.is_paused(run.claimed.version.operation);
        // The run loop calls this often, and mostly nothing of the queue is paused.
        if !self.waiting.iter().any(is_paused) {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (paused, others): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(is_paused);
        self.waiting = others;
        for ClaimedRun { claimed, .. } in paused {
            recorder.complete(Completion::not_started(claimed.fence, PAUSED));
        }
    }
}
