//! What the rest of the worker hands to the writer.

use rework_core::{
    db::error::Result,
    task::{
        claim::{Batches, OperationVersion, Placed},
        complete::Completion,
        fence::Fence,
        payload::Payload,
        progress::{Child, Line},
    },
};
use tokio::{sync::oneshot, time::Instant};

use crate::claimed_run::ClaimedRun;

/// What a line costs beside its bytes, in memory and in time.
const LINE_BYTES: usize = 320;

/// The answer to a question, when it comes. The sender lives as long as the worker.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T>>;

/// The other end of an [`Answer`].
pub(crate) type Answering<T> = oneshot::Sender<Result<T>>;

/// Something to write or to ask.
pub(crate) enum Entry {
    Batched(Batched),
    Immediate(Immediate),
}

/// Written together with others of its kind: one statement, one transaction.
pub(crate) enum Batched {
    Lines(Fence, Vec<Line>),
    Complete(Box<Completion>),
    Claim(Batches, Answering<Vec<ClaimedRun>>),
}

/// A statement of its own, after everything that came before it.
pub(crate) enum Immediate {
    Begin(Fence, Instant, String),
    Save(Fence, Option<String>, Payload),
    Unkillable(Fence, String),
    Child(Fence, Box<Child>, Answering<Option<i64>>),
    Placed(OperationVersion, Answering<Placed>),
    Settled(Answering<()>),
    Leave(String, Answering<()>),
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
    /// Whether it exists only in this process until it is written.
    pub(crate) fn is_unsaved(&self) -> bool {
        matches!(self, Entry::Batched(Batched::Lines(..) | Batched::Complete(_)))
    }

    /// What it takes while it waits.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Entry::Batched(Batched::Lines(_, lines)) => {
                lines.iter().map(|line| line.bytes.len() + LINE_BYTES).sum()
            }
            Entry::Batched(Batched::Complete(end)) => {
                let error = end.error.as_ref().map_or(0, |error| error.to_string().len());
                end.output.bytes() as usize + error + LINE_BYTES
            }
            Entry::Immediate(Immediate::Save(_, _, output)) => output.bytes() as usize,
            Entry::Immediate(Immediate::Child(_, child, _)) => child.input.bytes() as usize,
            _ => 0,
        }
    }
}
