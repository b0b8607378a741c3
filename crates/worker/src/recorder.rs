//! The recorder: the way of all others in a worker to the database. It hands what they write and ask to the
//! [writer](crate::writer), a task of its own, so that limits are kept and aborts are noticed while Postgres is slow or
//! away.

use std::rc::Rc;

use rework_core::task::{
    claim::{Batches, OperationVersion, Placed},
    complete::Completion,
    fence::Fence,
    payload::Payload,
    progress::{Child, Line},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    claimed_run::ClaimedRun,
    writer::{
        backlog::Backlog,
        entry::{Answer, Answering, Batched, Entry, Immediate},
    },
};

/// Bytes that may wait to be written. Past it the worker stops reading from its runner, and the runner blocks.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// Hands everything that concerns the database to the writer.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::UnboundedSender<(Entry, usize)>,
    backlog: Rc<Backlog>,
}

impl Recorder {
    /// A recorder, and what its writer needs: the entries, with the bytes of each, and the backlog to keep.
    pub(crate) fn new() -> (Recorder, mpsc::UnboundedReceiver<(Entry, usize)>, Rc<Backlog>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let backlog = Rc::<Backlog>::default();
        (Recorder { sender, backlog: Rc::clone(&backlog) }, receiver, backlog)
    }

    /// Appends lines to the log of a run.
    pub(crate) fn lines(&self, fence: Fence, lines: Vec<Line>) {
        self.tell(Batched::Lines(fence, lines));
    }

    /// Records the end of a run. Ends that follow one another are recorded together.
    pub(crate) fn complete(&self, end: Completion) {
        self.tell(Batched::Complete(Box::new(end)));
    }

    /// Claims tasks; none if none is ready.
    pub(crate) fn claim(&self, batches: Batches) -> Answer<Vec<ClaimedRun>> {
        self.ask(|answer| Batched::Claim(batches, answer))
    }

    /// Records that the code of a run started at this moment.
    pub(crate) fn begin(&self, fence: Fence, began: Instant, revision: String) {
        self.tell(Immediate::Begin(fence, began, revision));
    }

    /// Saves progress and output of a run that goes on.
    pub(crate) fn save(&self, fence: Fence, progress: Option<String>, output: Payload) {
        self.tell(Immediate::Save(fence, progress, output));
    }

    /// Records that processes of a run do not die.
    pub(crate) fn unkillable(&self, fence: Fence, reason: String) {
        self.tell(Immediate::Unkillable(fence, reason));
    }

    /// Schedules a task for a run. `None` if the run is no longer current.
    pub(crate) fn child(&self, fence: Fence, child: Child) -> Answer<Option<i64>> {
        self.ask(|answer| Immediate::Child(fence, Box::new(child), answer))
    }

    /// Asks for the details of an operation.
    pub(crate) fn placed(&self, version: OperationVersion) -> Answer<Placed> {
        self.ask(|answer| Immediate::Placed(version, answer))
    }

    /// Answered when everything that was handed over before is in the database.
    pub(crate) fn settled(&self) -> Answer<()> {
        self.ask(Immediate::Settled)
    }

    /// Records that the worker has left.
    pub(crate) fn leave(&self, reason: String) -> Answer<()> {
        self.ask(|answer| Immediate::Leave(reason, answer))
    }

    /// Whether a claim whose answer was lost may still take effect.
    pub(crate) fn has_unconfirmed_claim(&self) -> bool {
        self.backlog.has_unconfirmed_claim()
    }

    /// When to claim again although the last claim found nothing: it did not scan everything.
    pub(crate) fn take_rescan_at(&self) -> Option<Instant> {
        self.backlog.rescan_at.take()
    }

    /// Whether so much waits to be written that no more should be read from the runner.
    pub(crate) fn is_full(&self) -> bool {
        self.backlog.bytes.get() > MAX_WAITING_BYTES
    }

    /// Whether lines or ends of runs are not in the database yet.
    pub(crate) fn has_unsaved(&self) -> bool {
        self.backlog.unsaved.get() > 0
    }

    fn tell(&self, entry: impl Into<Entry>) {
        let entry = entry.into();
        let bytes = entry.bytes();
        self.backlog.bytes.set(self.backlog.bytes.get() + bytes);
        if entry.is_unsaved() {
            self.backlog.unsaved.set(self.backlog.unsaved.get() + 1);
        }
        // The writer ends only with the process.
        let _ = self.sender.send((entry, bytes));
    }

    fn ask<T, E: Into<Entry>>(&self, entry: impl FnOnce(Answering<T>) -> E) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        self.tell(entry(sender));
        receiver
    }
}
