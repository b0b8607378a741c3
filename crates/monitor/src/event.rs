//! The events that a monitor receives, and the actions that it takes. Both are closed lists. The state (`state.rs`)
//! turns events into actions, and knows no database and no process.

use std::time::Duration;

use rework_core::{
    fleet::{monitor_poll::PollReply, start_fault::StartFault},
    lease::row::LeaseSnapshot,
};
use rework_process::Exit;
use rework_wire::{
    lease::BootTime,
    worker::{FromWorker, ToWorker},
};

use crate::cleanup_plan::CleanupPlan;

/// Something that happened and may require a decision.
#[derive(Debug)]
pub(crate) enum Event {
    /// A worker process was started and received its first message.
    Started { worker: i64, domain: String },
    /// `count` workers of a domain could not be started.
    SpawnFailed {
        domain: String,
        count: u32,
        /// The reason for which the system or the database refused. `None` if the database is unavailable.
        refusal: Option<String>,
    },
    /// A busy worker of an earlier monitor was found.
    Adopted { worker: i64, domain: String },
    /// A worker sent a message.
    WorkerMessage(i64, FromWorker),
    /// The process of a worker has ended.
    Ended {
        worker: i64,
        /// The exit of the process. `None` if the process was not a child of this one.
        exit: Option<Exit>,
        /// The last lines that the worker wrote on stdout and stderr.
        output_tail: String,
    },
    /// No process of a dead worker is left.
    ProcessesGone(i64),
    /// No process of a dead worker is left, and the ends of the worker and of its runs are recorded.
    CleanedUp(i64),
    /// A notification for monitors has arrived.
    Notified(Notification),
    /// A poll of the database has ended, with or without a reply.
    Polled(Box<CompletedPoll>),
    /// A poll that was sent had no reply in time.
    PollMissedDeadline,
    /// A page of schedules that were due has fired.
    SchedulesFired {
        /// How long the first of all that are due has waited.
        late: Duration,
    },
    /// A statement with idle domains has ended. `true` if they are committed, `false` if that is not known.
    Published(bool),
    /// The monitor now serves these domains.
    DomainsTaken(Vec<String>),
    /// The database has stored that the monitor cannot start these.
    StartFaultsRecorded(Vec<StartFault>),
    /// The database has stored that the monitor has carried out the pauses with these ids.
    PausesRecorded(Vec<i64>),
    /// The monitor has a connection to the database, after the start or after an outage.
    DatabaseBack,
    /// The server has refused a connection of the monitor because it has too many.
    ConnectionRefused,
    /// An attempt to connect has shown that no client can change the database.
    DatabaseDown {
        /// The time at which the attempt started.
        attempted_at: BootTime,
    },
    /// The monitor received a signal, which requests its end or a reload.
    Signal(i32),
}

/// A poll of the database that has ended.
#[derive(Debug, Default)]
pub(crate) struct CompletedPoll {
    /// Whether this was the regular poll of its second. `false` if a notification caused it.
    pub(crate) regular: bool,
    /// Whether the request renewed the lease.
    pub(crate) renewed: bool,
    /// Whether the request contained the idle domains.
    pub(crate) sent_subscriptions: bool,
    pub(crate) sent_at: BootTime,
    pub(crate) received_at: BootTime,
    /// The reply. `None` if the database did not reply, or refused the poll.
    pub(crate) reply: Option<PollReply>,
    /// The error with which the database refused the poll. `None` if it did not.
    pub(crate) refusal: Option<String>,
}

/// A Postgres notification for monitors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notification {
    /// A task of this domain may be ready.
    Ready(String),
    /// The next poll has something to do: a user requested the end of a task or of a worker, or has paused or resumed
    /// something, or an end is not followed completely yet.
    Requested,
}

impl Notification {
    /// Parses the payload of a notification. `None` if it is not for monitors.
    pub(crate) fn parse(payload: &str) -> Option<Notification> {
        match payload {
            "abort" | "worker" | "follow" | "pause" => Some(Notification::Requested),
            _ => Some(Notification::Ready(payload.strip_prefix("ready ")?.to_owned())),
        }
    }
}

/// A decision of the state, to be carried out by the effects or the event loop.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send a message to a worker.
    Send(i64, ToWorker),
    /// Kill the process of a worker.
    Kill(i64),
    /// Record that a worker has started and is ready to claim.
    RecordReady(i64),
    /// Start workers.
    Spawn { domain: String, count: u32 },
    /// Clean up after a dead worker.
    CleanUp { worker: i64, plan: CleanupPlan },
    /// Record the end of a run that a dead worker had claimed, and whose claim was committed after the worker's death.
    RecordLateClaim(i64),
    /// Publish that these domains have an idle worker, so that tasks scheduled there cause a notification.
    PublishIdleDomains(Vec<String>),
    /// Poll the database as soon as possible.
    PollNow,
    /// Create the tasks of schedules that are due in these domains.
    Fire(Vec<String>),
    /// Let the kernel kill this process at this moment. `None` disarms the timer.
    ArmSelfKill(Option<BootTime>),
    /// Take away these leases of lost hosts, unless they were renewed after all.
    TakeDeadLeases(Vec<LeaseSnapshot>),
    /// Record the ends of the monitors, workers and runs whose lease was taken away.
    SweepLostHosts,
    /// Serve these domains too.
    TakeDomains(Vec<String>),
    /// Store what the monitor cannot start now.
    RecordStartFaults(Vec<StartFault>),
    /// Store that the pauses with these ids are carried out.
    RecordPauses(Vec<i64>),
    /// End the event loop.
    Finish(Finish),
}

/// The reason for which a monitor ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    /// A signal requested the end.
    Signal(i32),
    /// The lease was taken away, so other hosts have the monitor's runs.
    LeaseLost,
    /// The lease has expired, because it could not be renewed in time. Other hosts may soon have
    /// the monitor's runs.
    LeaseExpired,
    /// The database has gone back to an earlier state: it has lost renewals of the lease, and perhaps claims.
    WentBack,
}
