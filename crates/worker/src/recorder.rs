//! The recorder: all that a worker tells the database, in order, from a task of its own, so that
//! limits are kept and aborts are heard while Postgres is slow or away.

use std::{cell::Cell, rc::Rc};

use rework_core::{
    db::error::Result,
    task::{
        claim::{Batches, Claimant, Claimed, OperationVersion, Placed},
        complete::Completion,
        fence::Fence,
        payload::Payload,
        progress::{Child, Line},
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{books::Books, database::Database};

/// What may wait to be written, in bytes; past it the worker stops reading what its runner writes
/// and says, and the runner waits in turn.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// What a line costs beside its bytes, in memory and in time.
const LINE_BYTES: usize = 320;

/// Where a worker's words go.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::UnboundedSender<(Entry, usize)>,
    gauge: Rc<Gauge>,
}

/// What the recorder's task lets the others see.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// Bytes that wait to be written.
    pub waiting: Cell<usize>,
    /// Lines and ends of runs that are not written yet: they exist only here.
    pub owed: Cell<usize>,
    /// Until when a claim whose answer was lost may still come to light.
    pub doubt: Cell<Option<Instant>>,
    /// When to look again, where not everything was looked at.
    pub again: Cell<Option<Instant>>,
}

/// An answer, when it comes. Its sender lives as long as the worker.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T>>;

/// A claimed task, and where in the page its beginning is noted.
#[derive(Debug)]
pub(crate) struct ClaimedRun {
    pub claimed: Claimed,
    pub slot: u32,
}

impl ClaimedRun {
    /// Its task and run.
    pub(crate) fn key(&self) -> (i64, i64) {
        (self.claimed.fence.task, self.claimed.fence.run)
    }
}

/// What is to be told or asked.
pub(crate) enum Entry {
    Lines(Fence, Vec<Line>),
    Begin(Fence, Instant, String),
    Save(Fence, Option<String>, Payload),
    Unkillable(Fence, String),
    Child(Fence, Box<Child>, oneshot::Sender<Result<Option<i64>>>),
    Placed(OperationVersion, oneshot::Sender<Result<Placed>>),
    Claim(Batches, oneshot::Sender<Result<Vec<ClaimedRun>>>),
    Complete(Box<Completion>),
    Settled(oneshot::Sender<Result<()>>),
    Leave(String, oneshot::Sender<Result<()>>),
}

impl Entry {
    pub(crate) fn is_owed(&self) -> bool {
        matches!(self, Entry::Lines(..) | Entry::Complete(_))
    }

    fn bytes(&self) -> usize {
        match self {
            Entry::Lines(_, lines) => lines.iter().map(|line| line.bytes.len() + LINE_BYTES).sum(),
            Entry::Save(_, _, output) => output.bytes() as usize,
            Entry::Child(_, child, _) => child.input.bytes() as usize,
            Entry::Complete(end) => {
                let error = end.error.as_ref().map_or(0, |error| error.to_string().len());
                end.output.bytes() as usize + error + LINE_BYTES
            }
            _ => 0,
        }
    }
}

impl Recorder {
    /// Starts one for this claimant, in the `LocalSet` of this thread.
    pub(crate) fn start(database: Database, who: Claimant) -> Recorder {
        let (sender, receiver) = mpsc::unbounded_channel();
        let gauge = Rc::default();
        let recorder = Recorder { sender, gauge: Rc::clone(&gauge) };
        tokio::task::spawn_local(Books::new(database, who, gauge).keep(receiver));
        recorder
    }

    /// Lines of a run.
    pub(crate) fn lines(&self, fence: Fence, lines: Vec<Line>) {
        self.tell(Entry::Lines(fence, lines));
    }

    /// Whether a claim whose answer was lost may still come to light.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.gauge.doubt.get().is_some_and(|until| until > Instant::now())
    }

    /// When to look again, where the last claim did not look at everything.
    pub(crate) fn look_again_at(&self) -> Option<Instant> {
        self.gauge.again.take()
    }

    /// Whether so much waits that no more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.gauge.waiting.get() > MAX_WAITING_BYTES
    }

    /// The run's code began at this moment.
    pub(crate) fn begin(&self, fence: Fence, began: Instant, revision: String) {
        self.tell(Entry::Begin(fence, began, revision));
    }

    /// Progress and output under way.
    pub(crate) fn save(&self, fence: Fence, progress: Option<String>, output: Payload) {
        self.tell(Entry::Save(fence, progress, output));
    }

    /// A run whose processes do not die.
    pub(crate) fn unkillable(&self, fence: Fence, reason: String) {
        self.tell(Entry::Unkillable(fence, reason));
    }

    /// A task that a run schedules.
    pub(crate) fn child(&self, fence: Fence, child: Child) -> Answer<Option<i64>> {
        self.ask(|answer| Entry::Child(fence, Box::new(child), answer))
    }

    /// The details of an operation.
    pub(crate) fn placed(&self, version: OperationVersion) -> Answer<Placed> {
        self.ask(|answer| Entry::Placed(version, answer))
    }

    /// The next tasks; none where none is ready.
    pub(crate) fn claim(&self, batches: Batches) -> Answer<Vec<ClaimedRun>> {
        self.ask(|answer| Entry::Claim(batches, answer))
    }

    /// The end of a run. Ends that follow one another are recorded together.
    pub(crate) fn complete(&self, end: Completion) {
        self.tell(Entry::Complete(Box::new(end)));
    }

    /// Whether anything that runs left is not in the database yet.
    pub(crate) fn owes(&self) -> bool {
        self.gauge.owed.get() > 0
    }

    /// Answered when all that was told before is in the database.
    pub(crate) fn settled(&self) -> Answer<()> {
        self.ask(Entry::Settled)
    }

    /// The worker leaves.
    pub(crate) fn leave(&self, reason: String) -> Answer<()> {
        self.ask(|answer| Entry::Leave(reason, answer))
    }

    fn tell(&self, entry: Entry) {
        let bytes = entry.bytes();
        self.gauge.waiting.set(self.gauge.waiting.get() + bytes);
        if entry.is_owed() {
            self.gauge.owed.set(self.gauge.owed.get() + 1);
        }
        // The recorder ends only with the process.
        let _ = self.sender.send((entry, bytes));
    }

    fn ask<T>(&self, entry: impl FnOnce(oneshot::Sender<Result<T>>) -> Entry) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        self.tell(entry(sender));
        receiver
    }
}
