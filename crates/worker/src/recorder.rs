//! The recorder: the interface of all other parts of a worker to the database. It puts entries into a channel to the
//! [writer](crate::writer), which is a task of its own. So time limits and aborts are handled even while Postgres is
//! slow or unavailable.

use std::{cell::RefCell, rc::Rc};

use rework_core::task::{
    claim::{BatchLimits, OperationVersion, PlacedOperation},
    complete::Completion,
    fence::Fence,
    payload::Payload,
    progress::{ChildTask, NewLogLine},
};
use rework_flow::operations::InputKeys;
use rework_wire::worker::Paused;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};

use crate::{
    claimed_run::ClaimedRun,
    exclusions::Exclusions,
    writer::{
        backlog::Backlog,
        entry::{Answer, AnswerSender, Batched, Entry, Immediate},
    },
};

/// The number of bytes that may wait to be written. Above it the worker stops reading from its runner, and the runner
/// blocks when its pipes are full.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// Sends log lines, results and requests to the writer. Clones share the same channel.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::UnboundedSender<(Entry, usize)>,
    backlog: Rc<Backlog>,
    /// The operations of which no task is claimed.
    exclusions: Rc<RefCell<Exclusions>>,
}

impl Recorder {
    /// Creates a recorder. Also returns what the writer needs: the receiver of the entries, each with its size in
    /// bytes, and the shared backlog counters.
    pub(crate) fn new() -> (Recorder, mpsc::UnboundedReceiver<(Entry, usize)>, Rc<Backlog>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let backlog = Rc::<Backlog>::default();
        let exclusions = Rc::default();
        let recorder = Recorder { sender, backlog: Rc::clone(&backlog), exclusions };
        (recorder, receiver, backlog)
    }

    /// Appends lines to the log of a run.
    pub(crate) fn lines(&self, fence: Fence, lines: Vec<NewLogLine>) {
        self.enqueue(Batched::Lines(fence, lines));
    }

    /// Records the end of a run. Consecutive ends are recorded together.
    pub(crate) fn complete(&self, end: Completion) {
        self.enqueue(Batched::Complete(Box::new(end)));
    }

    /// Records the end of a run of a flow. Its output is a description, which becomes a plan. `domain` is that of the
    /// operation, `keys` are those of its input.
    pub(crate) fn complete_flow(&self, end: Completion, domain: String, keys: InputKeys) {
        self.enqueue(Batched::Plan(Box::new(end), domain, keys));
    }

    /// Replaces the operations of which no task is claimed: those that this host cannot start now, and those that users
    /// have paused.
    pub(crate) fn exclude(&self, blocked: Vec<i64>, paused: Paused) {
        *self.exclusions.borrow_mut() = Exclusions { blocked, paused };
    }

    /// Claims no more tasks of an operation, because this host cannot start it now.
    pub(crate) fn block_operation(&self, operation: i64) {
        self.exclusions.borrow_mut().blocked.push(operation);
    }

    /// Claims tasks of an operation again, because this host may be able to start it.
    pub(crate) fn unblock_operation(&self, operation: i64) {
        self.exclusions.borrow_mut().blocked.retain(|blocked| *blocked != operation);
    }

    /// Returns whether users have paused something.
    pub(crate) fn has_pauses(&self) -> bool {
        !self.exclusions.borrow().paused.is_empty()
    }

    /// Returns whether users have paused an operation.
    pub(crate) fn is_paused(&self, operation: i64) -> bool {
        self.exclusions.borrow().paused.contains(operation)
    }

    /// Claims tasks. The answer is empty if none is ready. If everything is paused, no statement is sent, unless an
    /// earlier claim may have brought tasks that are to be put back.
    pub(crate) fn claim(&self, batches: BatchLimits) -> Answer<Vec<ClaimedRun>> {
        let exclusions = self.exclusions.borrow();
        if exclusions.paused.everything && !self.has_unconfirmed_claim() {
            let (sender, answer) = oneshot::channel();
            // The receiver exists, so sending cannot fail.
            let _ = sender.send(Ok(Vec::new()));
            return answer;
        }
        let batches = BatchLimits { excluded: exclusions.operations(), ..batches };
        self.request(|answer| Batched::Claim(batches, answer))
    }

    /// Records that the code of a run started at this moment.
    pub(crate) fn record_start(&self, fence: Fence, started_at: Instant, revision: String) {
        self.enqueue(Immediate::Start(fence, started_at, revision));
    }

    /// Saves the progress and the output of a run that has not ended. `None` leaves the former
    /// progress.
    pub(crate) fn save(&self, fence: Fence, progress: Option<String>, output: Payload) {
        self.enqueue(Immediate::Save(fence, progress, output));
    }

    /// Records that processes of a run could not be killed.
    pub(crate) fn unkillable(&self, fence: Fence, reason: String) {
        self.enqueue(Immediate::Unkillable(fence, reason));
    }

    /// Schedules a task on behalf of a run. The answer is the id of the new task; `None` if the run is not current any
    /// more.
    pub(crate) fn schedule_child(&self, fence: Fence, child: ChildTask) -> Answer<Option<i64>> {
        self.request(|answer| Immediate::Child(fence, Box::new(child), answer))
    }

    /// Closes the connection to the database, after everything that was sent before, until it is needed again.
    pub(crate) fn close_connection(&self) {
        self.enqueue(Immediate::Close);
    }

    /// Returns what is notified whenever the server refuses a connection because it has too many.
    pub(crate) fn connection_refusals(&self) -> Rc<Notify> {
        Rc::clone(&self.backlog.connection_refused)
    }

    /// Waits until the server refuses a connection because it has too many.
    pub(crate) async fn connection_refused(&self) {
        self.backlog.connection_refused.notified().await;
    }

    /// Returns the runs that the worker holds, and the last run whose end is recorded. A failover may have lost claims
    /// of these runs and this end.
    pub(crate) fn committed(&self) -> (Vec<Fence>, Option<Fence>) {
        (self.backlog.slots.borrow().runs(), self.backlog.last_end.get())
    }

    /// Requests the definition of an operation and the path of its code on this host.
    pub(crate) fn placement(&self, version: OperationVersion) -> Answer<PlacedOperation> {
        self.request(|answer| Immediate::PlacedOperation(version, answer))
    }

    /// Returns an answer that arrives when everything sent before is in the database.
    pub(crate) fn flushed(&self) -> Answer<()> {
        self.request(Immediate::Flush)
    }

    /// Records that the worker has exited.
    pub(crate) fn record_exit(&self, reason: String) -> Answer<()> {
        self.request(|answer| Immediate::Exit(reason, answer))
    }

    /// Returns whether a claim whose answer was lost may still take effect.
    pub(crate) fn has_unconfirmed_claim(&self) -> bool {
        self.backlog.has_unconfirmed_claim()
    }

    /// Returns when to claim again, although the last claim found nothing, because it did not scan
    /// all of the queue. `None` if no claim has left a part unscanned since the last call.
    pub(crate) fn take_rescan_at(&self) -> Option<Instant> {
        self.backlog.rescan_at.take()
    }

    /// Returns whether so many bytes wait to be written that the worker should not read from its
    /// runner.
    pub(crate) fn is_full(&self) -> bool {
        self.backlog.bytes.get() > MAX_WAITING_BYTES
    }

    /// Returns whether log lines or ends of runs are not in the database yet.
    pub(crate) fn has_unsaved(&self) -> bool {
        self.backlog.unsaved.get() > 0
    }

    fn enqueue(&self, entry: impl Into<Entry>) {
        let entry = entry.into();
        let bytes = entry.bytes();
        self.backlog.bytes.set(self.backlog.bytes.get() + bytes);
        if entry.is_unsaved() {
            self.backlog.unsaved.set(self.backlog.unsaved.get() + 1);
        }
        // The writer ends only with the process, so sending cannot fail.
        let _ = self.sender.send((entry, bytes));
    }

    fn request<T, E: Into<Entry>>(&self, entry: impl FnOnce(AnswerSender<T>) -> E) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        self.enqueue(entry(sender));
        receiver
    }
}
