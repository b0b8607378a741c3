//! What happens to a monitor, and what it does about it: two closed lists. Between them stands
//! the state, which knows no database and no process.

use rework_core::{fleet::heartbeat::Answer, lease::row::Seen};
use rework_process::Exit;
use rework_wire::{
    lease::Moment,
    worker::{FromWorker, ToWorker},
};

use crate::closing::Closing;

/// The signal (`SIGHUP`) by which the monitor is asked to execute itself anew, while its workers go on.
pub(crate) const RELOAD: i32 = 1;

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A worker was started and told what it lives by.
    Born {
        worker: i64,
        domain: String,
    },
    /// So many workers of a domain could not be started.
    Unborn {
        domain: String,
        count: u32,
        /// The machine would not; else the database is away.
        refused: bool,
    },
    /// A busy worker of an earlier monitor was found.
    Adopted {
        worker: i64,
        domain: String,
    },
    /// A worker said something.
    Said(i64, FromWorker),
    /// The process of a worker has ended.
    Ended {
        worker: i64,
        /// None: it was not our child.
        exit: Option<Exit>,
        /// What it wrote last.
        last_words: String,
    },
    /// Nothing of a dead worker is left, and its tasks and its row are recorded.
    Closed(i64),
    Hint(Hint),
    /// A look at the database is over.
    Seen(Look),
    /// The answer to a publication of wants: whether it is committed.
    Published(bool),
    /// The monitor serves these domains now.
    Serves(Vec<String>),
    /// The database is there, again.
    Back,
    /// The server is there for nobody, as an attempt of then found.
    Away {
        asked_at: Moment,
    },
    /// Somebody wants the monitor to end.
    Signal(i32),
}

/// A look at the database.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// It was the one of its second.
    pub(crate) standing: bool,
    /// It renewed the lease.
    pub(crate) renewed: bool,
    /// It said of which domains the monitor wants to hear.
    pub(crate) told_wants: bool,
    pub(crate) sent_at: Moment,
    pub(crate) seen_at: Moment,
    /// None: it was lost.
    pub(crate) answer: Option<Answer>,
}

/// What a notification hints at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    /// A task of a domain may be ready.
    Ready(String),
    /// A task, or a worker, is to end.
    Ending,
}

impl Hint {
    /// The payload of a notification; none: it is not for monitors.
    pub(crate) fn parse(payload: &str) -> Option<Hint> {
        match payload {
            "abort" | "worker" => Some(Hint::Ending),
            _ => Some(Hint::Ready(payload.strip_prefix("ready ")?.to_owned())),
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Say something to a worker.
    Tell(i64, ToWorker),
    /// End the process of a worker, now.
    Kill(i64),
    /// Note that a worker is up.
    NoteUp(i64),
    /// Start workers.
    Spawn { domain: String, count: u32 },
    /// End what a dead worker has left, and record it.
    Close { worker: i64, closing: Closing },
    /// A claim of a dead worker has come to light: record its end.
    CloseAgain(i64),
    /// Ask to be notified of what is scheduled in these domains.
    Publish(Vec<String>),
    /// Look at the database as soon as may be.
    Look,
    /// Make the tasks of schedules that are due in these domains.
    Fire(Vec<String>),
    /// Let the kernel kill this process at that moment, or not at all.
    Arm(Option<Moment>),
    /// Take leases away, where they have not moved.
    TakeLeases(Vec<Seen>),
    /// Record the ends of those whose lease was taken away.
    Sweep,
    /// Serve these domains too.
    Take(Vec<String>),
    /// Leave.
    Finish(Finish),
}

/// How a monitor leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It was asked to, by this signal.
    Asked(i32),
    /// Others have its runs.
    LeaseLost,
    /// Others may soon have its runs: the database was silent for too long.
    LeaseOver,
}
