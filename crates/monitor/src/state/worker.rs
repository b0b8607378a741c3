//! A worker as its monitor knows it: its activity, and whether it could take a task.

use std::time::Instant;

use crate::cleanup_plan::KillReason;

/// A worker, from its start to the end of its process.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) domain: String,
    /// The time at which the worker was started or adopted.
    pub(crate) started_at: Instant,
    pub(crate) activity: Activity,
    pub(crate) origin: Origin,
    /// Whether the worker claims no more tasks, and exits when its current runs have ended.
    pub(crate) retired: bool,
    /// Whether the worker has a lease of its own, so that it can go on without its monitor.
    pub(crate) has_own_lease: bool,
    /// The reason for which the monitor killed the worker. `None` if it did not.
    pub(crate) kill_reason: Option<KillReason>,
    /// Whether the worker could have taken a task at some time since the last poll was sent. A task that waited then
    /// may be running in this worker now.
    pub(crate) was_available: bool,
}

/// The monitor that started a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This monitor started the worker.
    Own,
    /// An earlier monitor started the worker. It finishes its task and exits. It can be killed, but receives no
    /// messages.
    Earlier,
}

/// The activity of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Activity {
    /// The worker was started and has not sent a message yet.
    Starting,
    /// The worker tries to claim a task, because it was woken or has just started.
    Claiming {
        /// Whether the monitor woke the worker.
        woken: bool,
    },
    /// The worker found no task, and waits to be woken.
    Idle,
    /// The worker runs tasks.
    Busy,
    /// The worker is exiting, for this reason.
    Leaving(String),
}

impl Worker {
    pub(crate) fn new(domain: String, now: Instant, origin: Origin) -> Worker {
        let is_orphan = origin != Origin::Own;
        Worker {
            domain,
            started_at: now,
            activity: if is_orphan { Activity::Busy } else { Activity::Starting },
            origin,
            retired: is_orphan,
            has_own_lease: is_orphan,
            kill_reason: None,
            was_available: !is_orphan,
        }
    }

    /// Returns whether an earlier monitor started the worker.
    pub(crate) fn is_orphan(&self) -> bool {
        self.origin != Origin::Own
    }

    /// Returns whether the worker has sent its first message.
    pub(crate) fn has_started(&self) -> bool {
        self.activity != Activity::Starting
    }

    /// Returns whether the worker stays, and can take a task now or soon.
    pub(crate) fn is_available(&self) -> bool {
        let is_free = matches!(
            self.activity,
            Activity::Starting | Activity::Claiming { .. } | Activity::Idle
        );
        is_free && !self.retired && self.kill_reason.is_none()
    }

    /// Returns whether the worker waits to be woken.
    pub(crate) fn is_idle(&self) -> bool {
        self.activity == Activity::Idle && self.is_available()
    }
}
