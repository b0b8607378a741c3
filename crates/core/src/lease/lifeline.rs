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
    /// The renewal of the worker's own lease was answered.
    OwnLeaseRenewed {
        /// When the statement was sent.
        sent_at: BootTime,
        /// The number of renewals after it.
        renewals: i64,
    },
    /// The last request failed. The database may have carried it out or not.
    RequestFailed,
    /// The last request was not sent, because there was no connection to the database, for example because the server
    /// has too many.
    RequestNotSent,
    /// An attempt to connect proved that no client can change the database, so no observer (a monitor
    /// that watches leases) can take the lease away.
    ServerDown {
        /// When the attempt started.
        attempted_at: BootTime,
    },
    /// The lease was taken away. The runs of the worker are recorded as lost.
    Taken,
    /// The database has lost claims or ends of the worker: it has gone back to an earlier state.
    WentBack,
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
    /// Renew the worker's own lease, unless the database has stored fewer renewals than these.
    RenewOwnLease { known_renewals: i64 },
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
    /// Whether the database may have switched the worker to a lease of its own, although the worker has no reply.
    may_have_switched: bool,
    /// The last moment that the monitor reported while a request had no reply. It counts if the request was not sent.
    reported: Option<BootTime>,
    /// The number of renewals of the own lease that the database is known to have stored.
    renewals: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LifelineMode {
    /// The worker depends on the lease of its monitor.
    Monitored,
    /// The worker requests its own lease. As soon as a request was sent, the database may have switched it to that
    /// lease, so renewals that the monitor reports no longer count.
    RequestingOwnLease,
    /// The worker depends on its own lease.
    OwnLease,
}

impl Lifeline {
    /// Starts with a monitor whose lease is certain until `until`.
    pub fn new(terms: LeaseTerms, until: BootTime, now: BootTime) -> Lifeline {
        Lifeline {
            terms,
            until,
            last_contact: now,
            mode: LifelineMode::Monitored,
            may_have_switched: false,
            reported: None,
            renewals: 0,
        }
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
            LifelineEvent::MonitorRenewed { until } => {
                self.on_monitor_renewed(until, now, awaits_reply)
            }
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
            LifelineEvent::OwnLeaseRenewed { renewals, .. } if renewals <= self.renewals => {
                vec![LifelineAction::Die]
            }
            LifelineEvent::OwnLeaseRenewed { sent_at, renewals } => {
                self.renewals = renewals;
                self.last_contact = now;
                self.extend(sent_at + self.terms.self_kill_after())
            }
            LifelineEvent::RequestFailed => {
                self.may_have_switched = true;
                self.last_contact = now;
                Vec::new()
            }
            LifelineEvent::RequestNotSent => self.on_request_not_sent(now),
            LifelineEvent::ServerDown { attempted_at } => {
                self.last_contact = now;
                self.extend(attempted_at + self.terms.self_kill_after())
            }
            LifelineEvent::TimePassed => self.on_time(now, busy, awaits_reply),
            LifelineEvent::Taken | LifelineEvent::WentBack => vec![LifelineAction::Die],
        }
    }

    /// Handles a renewal that the monitor reports. It counts as long as the worker certainly depends on the lease of
    /// its monitor.
    fn on_monitor_renewed(
        &mut self,
        until: BootTime,
        now: BootTime,
        awaits_reply: bool,
    ) -> Vec<LifelineAction> {
        match self.mode {
            LifelineMode::OwnLease => return Vec::new(),
            LifelineMode::RequestingOwnLease if self.may_have_switched => return Vec::new(),
            LifelineMode::RequestingOwnLease if awaits_reply => {
                self.reported = Some(until);
                return Vec::new();
            }
            LifelineMode::Monitored | LifelineMode::RequestingOwnLease => {}
        }
        self.mode = LifelineMode::Monitored;
        self.last_contact = now;
        self.extend(until)
    }

    /// Handles a request that was not sent. If no earlier request was sent either, the worker still depends on the
    /// lease of its monitor.
    fn on_request_not_sent(&mut self, now: BootTime) -> Vec<LifelineAction> {
        self.last_contact = now;
        match self.reported.take() {
            Some(until)
                if self.mode == LifelineMode::RequestingOwnLease && !self.may_have_switched =>
            {
                self.mode = LifelineMode::Monitored;
                self.extend(until)
            }
            _ => Vec::new(),
        }
    }

    fn on_time(&mut self, now: BootTime, busy: bool, awaits_reply: bool) -> Vec<LifelineAction> {
        if awaits_reply || now < self.last_contact + self.max_silence() {
            return Vec::new();
        }
        match self.mode {
            LifelineMode::OwnLease => {
                vec![LifelineAction::RenewOwnLease { known_renewals: self.renewals }]
            }
            LifelineMode::Monitored | LifelineMode::RequestingOwnLease if busy => {
                self.mode = LifelineMode::RequestingOwnLease;
                self.reported = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: BootTime = BootTime::from_secs(1);

    /// Returns the lifeline of a busy worker that has requested a lease of its own after 8 seconds of silence. Its
    /// monitor's lease is certain until second 16.
    fn requesting() -> Lifeline {
        let mut lifeline = Lifeline::new(LeaseTerms::default(), SECOND * 16, BootTime::ZERO);
        let actions = lifeline.step(LifelineEvent::TimePassed, SECOND * 8, true, false);
        assert_eq!(actions, [LifelineAction::CreateOwnLease]);
        lifeline
    }

    fn monitor_renewed(lifeline: &mut Lifeline, at: u32, awaits_reply: bool) {
        let until = SECOND * (at + 16);
        let event = LifelineEvent::MonitorRenewed { until };
        lifeline.step(event, SECOND * at, true, awaits_reply);
    }

    #[test]
    fn a_worker_without_a_connection_continues_under_the_lease_of_its_monitor() {
        let mut lifeline = requesting();
        monitor_renewed(&mut lifeline, 9, true);
        assert_eq!(lifeline.until(), SECOND * 16, "the request may have been sent");
        lifeline.step(LifelineEvent::RequestNotSent, SECOND * 10, true, false);
        assert_eq!(lifeline.until(), SECOND * 25);
        monitor_renewed(&mut lifeline, 13, false);
        assert_eq!(lifeline.until(), SECOND * 29);
    }

    #[test]
    fn a_worker_without_a_connection_and_without_a_monitor_requests_again() {
        let mut lifeline = requesting();
        lifeline.step(LifelineEvent::RequestNotSent, SECOND * 9, true, false);
        let actions = lifeline.step(LifelineEvent::TimePassed, SECOND * 10, true, false);
        assert_eq!(actions, [LifelineAction::CreateOwnLease]);
        let actions = lifeline.step(LifelineEvent::TimePassed, SECOND * 16, true, true);
        assert_eq!(actions, [LifelineAction::Die]);
    }

    #[test]
    fn after_a_request_that_may_have_taken_effect_the_monitor_counts_no_more() {
        let mut lifeline = requesting();
        lifeline.step(LifelineEvent::RequestFailed, SECOND * 9, true, false);
        monitor_renewed(&mut lifeline, 10, false);
        assert_eq!(lifeline.until(), SECOND * 16);
        lifeline.step(LifelineEvent::TimePassed, SECOND * 11, true, false);
        monitor_renewed(&mut lifeline, 11, true);
        lifeline.step(LifelineEvent::RequestNotSent, SECOND * 12, true, false);
        assert_eq!(lifeline.until(), SECOND * 16);
    }

    #[test]
    fn renewals_of_the_own_lease_that_go_back_end_the_worker() {
        let mut lifeline = requesting();
        let created = LifelineEvent::OwnLeaseCreated { sent_at: SECOND * 8 };
        lifeline.step(created, SECOND * 9, true, false);
        let mut renewed = |renewals, at: u32| {
            let event = LifelineEvent::OwnLeaseRenewed { sent_at: SECOND * at, renewals };
            lifeline.step(event, SECOND * at, true, false)
        };
        assert_eq!(renewed(1, 10), [LifelineAction::ArmKillTimer(SECOND * 26)]);
        assert_eq!(renewed(3, 11), [LifelineAction::ArmKillTimer(SECOND * 27)]);
        assert_eq!(renewed(3, 12), [LifelineAction::Die]);
    }
}
