//! The entries that the recorder sends to the writer: each one is something to write to the
//! database, or a request that the database answers.

use rework_core::{
    db::error::Result,
    task::{
        claim::{BatchLimits, OperationVersion, PlacedOperation},
        complete::Completion,
        fence::Fence,
        payload::Payload,
        progress::{ChildTask, NewLogLine},
    },
};
use rework_flow::operations::InputKeys;
use tokio::{sync::oneshot, time::Instant};

use crate::claimed_run::ClaimedRun;

/// The cost of a log line besides its bytes, in bytes: its fields, and the time that a row takes.
const LINE_OVERHEAD_BYTES: usize = 320;

/// The future answer to a request. Its sender lives as long as the worker.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T>>;

/// The sending end of an [`Answer`].
pub(crate) type AnswerSender<T> = oneshot::Sender<Result<T>>;

/// Something to write, or a request to answer.
pub(crate) enum Entry {
    Batched(Batched),
    Immediate(Immediate),
}

/// An entry that is written together with others: one statement for each kind, one transaction for all.
pub(crate) enum Batched {
    Lines(Fence, Vec<NewLogLine>),
    Complete(Box<Completion>),
    /// The end of a run of a flow, with the domain of its operation and the keys of its input.
    Plan(Box<Completion>, String, InputKeys),
    Claim(BatchLimits, AnswerSender<Vec<ClaimedRun>>),
}

/// An entry that is written by a statement of its own, after everything that was sent before it.
pub(crate) enum Immediate {
    /// The code of a run started at this moment, in this revision.
    Start(Fence, Instant, String),
    /// The progress (JSON; `None` if it has not changed) and the output of a run that has not
    /// ended.
    Save(Fence, Option<String>, Payload),
    /// Processes of a run could not be killed, for this reason.
    Unkillable(Fence, String),
    /// A task to schedule on behalf of a run; the answer is the id of the task, or `None` if the
    /// run is not current any more.
    Child(Fence, Box<ChildTask>, AnswerSender<Option<i64>>),
    /// A request for the details of an operation.
    PlacedOperation(OperationVersion, AnswerSender<PlacedOperation>),
    /// Answered when everything before it is in the database.
    Flush(AnswerSender<()>),
    /// Close the connection until it is needed again.
    Close,
    /// The worker exits, for this reason.
    Exit(String, AnswerSender<()>),
}

impl From<Batched> for Entry {
    fn from(batched: Batched) -> Entry {
        Entry::Batched(batched)
    }
}

impl From<Immediate> for Entry {
    fn from(immediate: Immediate) -> Entry {
        Entry::Immediate(immediate)
    }
}

impl Entry {
    /// Returns whether the entry is data of a run that exists only in this process until the entry
    /// is written.
    pub(crate) fn is_unsaved(&self) -> bool {
        matches!(
            self,
            Entry::Batched(Batched::Lines(..) | Batched::Complete(_) | Batched::Plan(..))
        )
    }

    /// Returns the memory that the entry takes while it waits, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Entry::Batched(Batched::Lines(_, lines)) => {
                lines.iter().map(|line| line.bytes.len() + LINE_OVERHEAD_BYTES).sum()
            }
            Entry::Batched(Batched::Complete(end) | Batched::Plan(end, ..)) => {
                let error = end.error.as_ref().map_or(0, |error| error.to_string().len());
                end.output.bytes() as usize + error + LINE_OVERHEAD_BYTES
            }
            Entry::Immediate(Immediate::Save(_, _, output)) => output.bytes() as usize,
            Entry::Immediate(Immediate::Child(_, child, _)) => child.input.bytes() as usize,
            _ => 0,
        }
    }
}
