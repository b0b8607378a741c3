//! The events that happen to a monitor, and the actions that it takes: two closed lists. Between them
//! stands the state, which knows no database and no process.

use rework_core::{fleet::heartbeat::Answer, lease::row::Seen};
use rework_process::Exit;
use rework_wire::{
    lease::Moment,
    worker::{FromWorker, ToWorker},
};

use crate::cleanup_plan::CleanupPlan;

/// An event.
#[derive(Debug)]
pub(crate) enum Event {
    /// A worker was started and has what it needs to begin.
    Born {
        worker: i64,
        domain: String,
    },
    /// `count` workers of a domain could not be started.
    Unborn {
        domain: String,
        count: u32,
        /// Whether the machine or the database refused; else the database is away.
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
        /// `None` if the process was not our child.
        exit: Option<Exit>,
        /// The end of what it wrote on stdout and stderr.
        last_words: String,
    },
    /// No process of a dead worker is left, and the ends of the worker and of its runs are recorded.
    CleanedUp(i64),
    Hint(Hint),
    /// A poll of the database is over.
    Polled(Poll),
    /// Subscriptions were sent to the database: whether they are committed is known (true) or not.
    Published(bool),
    /// The monitor serves these domains now.
    Serves(Vec<String>),
    /// The database is there, perhaps again.
    Back,
    /// The server is down for everyone, as an attempt to connect at this moment has shown.
    Away {
        asked_at: Moment,
    },
    /// The monitor received a signal: it is to end, or to reload.
    Signal(i32),
}

/// A poll of the database.
#[derive(Debug, Default)]
pub(crate) struct Poll {
    /// Whether it was the regular one of its second.
    pub(crate) regular: bool,
    /// Whether it renewed the lease.
    pub(crate) renewed: bool,
    /// Whether it told the database for which domains the monitor wants notifications.
    pub(crate) told_subscriptions: bool,
    pub(crate) sent_at: Moment,
    pub(crate) seen_at: Moment,
    /// `None` if it was not answered.
    pub(crate) answer: Option<Answer>,
}

/// A notification for monitors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    /// A task of a domain may be ready.
    Ready(String),
    /// A task, or a worker, is to end.
    Ending,
}

impl Hint {
    /// The hint in the payload of a notification; `None` if it is not for monitors.
    pub(crate) fn parse(payload: &str) -> Option<Hint> {
        match payload {
            "abort" | "worker" => Some(Hint::Ending),
            _ => Some(Hint::Ready(payload.strip_prefix("ready ")?.to_owned())),
        }
    }
}

/// An action.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send a worker a message.
    Tell(i64, ToWorker),
    /// End the process of a worker, now.
    Kill(i64),
    /// Record that a worker is up.
    NoteUp(i64),
    /// Start workers.
    Spawn { domain: String, count: u32 },
    /// Clean up after a dead worker.
    CleanUp { worker: i64, plan: CleanupPlan },
    /// A claim of a dead worker has appeared: record the end of its run.
    RecordLateClaim(i64),
    /// Ask to be notified of what is scheduled in these domains.
    Publish(Vec<String>),
    /// Poll the database as soon as possible.
    Poll,
    /// Make the tasks of schedules that are due in these domains.
    Fire(Vec<String>),
    /// Let the kernel kill this process at that moment, or not at all.
    Arm(Option<Moment>),
    /// The hosts of these leases are lost: take the leases away, unless they have moved.
    TakeDeadLeases(Vec<Seen>),
    /// Record the ends of everything that lived by a lease that was taken away.
    SweepLostHosts,
    /// Serve these domains too.
    Take(Vec<String>),
    /// End the event loop.
    Finish(Finish),
}

/// Why a monitor leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    /// A signal asked for it.
    Asked(i32),
    /// Its lease was taken away: other hosts have its runs.
    LeaseLost,
    /// Its lease is over, since the database was silent for too long: other hosts may soon have its
    /// runs.
    LeaseOver,
}
