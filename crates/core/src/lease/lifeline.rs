//! The lifeline of a worker: a pure state machine that decides which lease the worker depends on.
//!
//! Normally this is the lease of its monitor. If the monitor dies or is silent for too long while the worker is busy,
//! the worker creates a lease of its own, finishes its runs and exits. The worker carries out the decisions in
//! `worker/src/supervisor.rs`.
//!
//! While the database is unreachable, no lease can be renewed. The worker gives up, and kills its runs, when its lease
//! is no longer certain: `LeaseTerms::self_kill_after` after the last renewal that was answered was sent, which is 16
//! seconds with a lease of 20 seconds. If the server has shown that it is down for everyone
//! (`core/src/db/availability.rs`), this moment is postponed, so a worker waits without a limit.

use rework_wire::lease::{BootTime, LeaseTerms};

/// An event for the lifeline of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifelineEvent {
    /// The monitor reported that its lease is certain until this moment.
    MonitorRenewed { until: BootTime },
    /// The monitor closed the control socket, so it is dead.
    MonitorGone,
    /// A lease of the worker's own was created.
    OwnLeaseCreated {
        /// When the statement was sent.
        sent_at: BootTime,
    },
    /// The worker's own lease was renewed.
    OwnLeaseRenewed {
        /// When the statement was sent.
        sent_at: BootTime,
    },
    /// The last request failed. The database may have carried it out or not.
    RequestFailed,
    /// An attempt to connect proved that the server is down for everyone, so no observer (a monitor
    /// that watches leases) can read the lease either.
    ServerDown {
        /// When the attempt started.
        attempted_at: BootTime,
    },
    /// The lease was taken away. The runs of the worker are recorded as lost.
    Taken,
    /// Time has passed.
    TimePassed,
}

/// An action that the worker has to carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifelineAction {
    /// Set the kernel's timer that kills this process to this moment. This replaces the former
    /// setting.
    ArmKillTimer(BootTime),
    /// Request a lease of the worker's own. The request succeeds only if the lease that the worker
    /// depends on was not taken away.
    CreateOwnLease,
    /// Renew the worker's own lease.
    RenewOwnLease,
    /// Kill the current runs, and exit.
    Die,
}

/// The lifeline of a worker.
#[derive(Debug, Clone)]
pub struct Lifeline {
    terms: LeaseTerms,
    /// The moment until which the lease is certain.
    until: BootTime,
    /// When the worker last received a message of its monitor or a reply of the database.
    last_contact: BootTime,
    mode: LifelineMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LifelineMode {
    /// The worker depends on the lease of its monitor.
    Monitored,
    /// The worker has requested its own lease and has no reply yet. The database may already have switched it to that
    /// lease, so renewals that the monitor reports no longer count.
    RequestingOwnLease,
    /// The worker depends on its own lease.
    OwnLease,
}

impl Lifeline {
    /// Starts with a monitor whose lease is certain until `until`.
    pub fn new(terms: LeaseTerms, until: BootTime, now: BootTime) -> Lifeline {
        Lifeline { terms, until, last_contact: now, mode: LifelineMode::Monitored }
    }

    /// Returns the moment until which the lease is certain: no observer can take it away before.
    pub fn until(&self) -> BootTime {
        self.until
    }

    /// Returns whether the worker depends on a lease of its own.
    pub fn has_own_lease(&self) -> bool {
        self.mode == LifelineMode::OwnLease
    }

    /// Returns when [`LifelineEvent::TimePassed`] is due at the latest. `busy`: the worker has a run, or results that
    /// are not stored yet. `awaits_reply`: a request for the lease has no reply yet.
    pub fn next_at(&self, busy: bool, awaits_reply: bool) -> BootTime {
        if awaits_reply || (self.mode != LifelineMode::OwnLease && !busy) {
            return self.until;
        }
        self.until.min(self.last_contact + self.max_silence())
    }

    /// Handles an event, and returns what has to be done. Only a busy worker requests a lease of its own.
    pub fn step(
        &mut self,
        event: LifelineEvent,
        now: BootTime,
        busy: bool,
        awaits_reply: bool,
    ) -> Vec<LifelineAction> {
        if now >= self.until {
            return vec![LifelineAction::Die];
        }
        match event {
            LifelineEvent::MonitorRenewed { until } if self.mode == LifelineMode::Monitored => {
                self.last_contact = now;
                self.extend(until)
            }
            LifelineEvent::MonitorRenewed { .. } => Vec::new(),
            LifelineEvent::MonitorGone => {
                // The silence counts as long enough, so a busy worker requests its own lease at once.
                self.last_contact = now.saturating_sub(self.max_silence());
                self.on_time(now, busy, awaits_reply)
            }
            LifelineEvent::OwnLeaseCreated { sent_at } => {
                self.mode = LifelineMode::OwnLease;
                self.last_contact = now;
                self.extend(sent_at + self.terms.self_kill_after())
            }
            LifelineEvent::OwnLeaseRenewed { sent_at } => {
                self.last_contact = now;
                self.extend(sent_at + self.terms.self_kill_after())
            }
            LifelineEvent::RequestFailed => {
                self.last_contact = now;
                Vec::new()
            }
            LifelineEvent::ServerDown { attempted_at } => {
                self.last_contact = now;
                self.extend(attempted_at + self.terms.self_kill_after())
            }
            LifelineEvent::TimePassed => self.on_time(now, busy, awaits_reply),
            LifelineEvent::Taken => vec![LifelineAction::Die],
        }
    }

    fn on_time(&mut self, now: BootTime, busy: bool, awaits_reply: bool) -> Vec<LifelineAction> {
        if awaits_reply || now < self.last_contact + self.max_silence() {
            return Vec::new();
        }
        match self.mode {
            LifelineMode::OwnLease => vec![LifelineAction::RenewOwnLease],
            LifelineMode::Monitored | LifelineMode::RequestingOwnLease if busy => {
                self.mode = LifelineMode::RequestingOwnLease;
                vec![LifelineAction::CreateOwnLease]
            }
            LifelineMode::Monitored | LifelineMode::RequestingOwnLease => Vec::new(),
        }
    }

    /// Returns how long the worker waits after the last contact before it acts. Each renewal of its own lease also asks
    /// whether its run is to be aborted, so it is sent as often as a monitor polls.
    fn max_silence(&self) -> BootTime {
        match self.mode {
            LifelineMode::Monitored => self.terms.own_lease_after(),
            LifelineMode::RequestingOwnLease | LifelineMode::OwnLease => self.terms.poll_interval(),
        }
    }

    fn extend(&mut self, until: BootTime) -> Vec<LifelineAction> {
        if until <= self.until {
            return Vec::new();
        }
        self.until = until;
        vec![LifelineAction::ArmKillTimer(until)]
    }
}
