//! A monitor of the simulated world. Its decisions are made by the holder and the observer of `core/src/lease`.

use std::collections::BTreeSet;

use rework_core::lease::{
    holder::{HolderAction, HolderEvent, LeaseEnd, LeaseHolder},
    observer::{LeaseObserver, ObserverEvent},
    row::{Lease, LeaseSnapshot},
};
use rework_wire::lease::{BootTime, LeaseTerms};

use crate::{
    process::{Effect, PendingRequest},
    request::{MissingSafeguard, Reply, Request},
};

#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) terms: LeaseTerms,
    pub(crate) lease: Option<Lease>,
    pub(crate) pending: PendingRequest,
    holder: Option<LeaseHolder>,
    observer: LeaseObserver,
    renewed_at: BootTime,
    /// Dead leases that are to be taken away.
    to_take: Vec<LeaseSnapshot>,
    /// Rows of workers that are dead and whose end is not recorded.
    pub(crate) dead_workers: Vec<usize>,
    /// The recovery that is in progress, as far as the monitor knows.
    pub(crate) recovery: Option<u64>,
    /// The pids of the workers that have not compared their runs with the database.
    pub(crate) waits_for: BTreeSet<usize>,
    /// Whether the monitor knows that the database has lost renewals of its lease.
    pub(crate) went_back: bool,
    missing: Option<MissingSafeguard>,
}

impl Monitor {
    /// A monitor that is not registered yet. Its lease will have these terms.
    pub(crate) fn new(terms: LeaseTerms, missing: Option<MissingSafeguard>) -> Monitor {
        Monitor {
            terms,
            lease: None,
            pending: PendingRequest::default(),
            holder: None,
            observer: LeaseObserver::new(terms.poll_interval()),
            renewed_at: BootTime::ZERO,
            to_take: Vec::new(),
            dead_workers: Vec::new(),
            recovery: None,
            waits_for: BTreeSet::new(),
            went_back: false,
            missing,
        }
    }

    pub(crate) fn on_time(&mut self, now: BootTime) -> Vec<Effect> {
        let mut effects = self.step_holder(HolderEvent::TimePassed, now);
        if self.pending.time_out(now) {
            self.observer.step(ObserverEvent::PollFailed, now);
        }
        if self.pending.is_none() {
            let terms = self.terms;
            let next = (self.lease, self.to_take.pop(), self.dead_workers.first());
            effects.push(Effect::Send(match next {
                (None, ..) => Request::RegisterMonitor(terms),
                (_, Some(snapshot), _) => Request::TakeLease(snapshot),
                (_, None, Some(row)) => Request::EndWorker { row: *row },
                (Some(lease), None, None) => {
                    let renew = now >= self.renewed_at + terms.renewal_interval();
                    if renew {
                        self.renewed_at = now;
                    }
                    let known_renewals = self.holder.as_ref().map_or(0, LeaseHolder::renewals);
                    let checked = self.recovery.filter(|_| self.waits_for.is_empty());
                    Request::Poll { lease, renew, known_renewals, checked }
                }
            }));
        }
        effects
    }

    pub(crate) fn on_reply(
        &mut self,
        id: u64,
        request: Request,
        reply: Reply,
        now: BootTime,
    ) -> Vec<Effect> {
        let Some(sent_at) = self.pending.answered(id) else { return Vec::new() };
        match (request, reply) {
            (_, Reply::ServerDown) => {
                self.observer.step(ObserverEvent::PollFailed, now);
                self.renewed_at = BootTime::ZERO;
                self.step_holder(HolderEvent::ServerDown { attempted_at: sent_at }, now)
            }
            (_, Reply::Registered(lease)) => {
                self.lease = Some(lease);
                self.renewed_at = sent_at;
                let holder = LeaseHolder::new(self.terms, sent_at);
                let effects = vec![Effect::ArmKillTimer(holder.until())];
                self.holder = Some(holder);
                effects
            }
            (
                Request::Poll { renew, known_renewals, .. },
                Reply::Polled { renewals, recovery, leases },
            ) => {
                let Some(renewals) = renewals else {
                    return self.step_holder(HolderEvent::Taken, now);
                };
                self.went_back |= renewals < known_renewals;
                let mut effects = self.follow_recovery(recovery, now);
                self.to_take = self.observer.step(ObserverEvent::Polled { sent_at, leases }, now);
                self.to_take.retain(|snapshot| Some(snapshot.lease) != self.lease);
                let event = if renew {
                    HolderEvent::Renewed { sent_at, renewals }
                } else {
                    HolderEvent::Observed { renewals }
                };
                effects.extend(self.step_holder(event, now));
                effects
            }
            (Request::EndWorker { row }, _) => {
                self.dead_workers.retain(|dead| *dead != row);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Until when a worker that starts now may live.
    pub(crate) fn until(&self) -> BootTime {
        self.holder.as_ref().map_or(BootTime::ZERO, LeaseHolder::until)
    }

    /// Starts the check after a recovery, or ends it.
    fn follow_recovery(&mut self, recovery: Option<u64>, now: BootTime) -> Vec<Effect> {
        if recovery == self.recovery {
            return Vec::new();
        }
        self.recovery = recovery;
        self.observer.step(ObserverEvent::PollFailed, now);
        recovery.map(Effect::CheckWorkers).into_iter().collect()
    }

    fn step_holder(&mut self, event: HolderEvent, now: BootTime) -> Vec<Effect> {
        let missing = self.missing;
        let Some(holder) = &mut self.holder else { return Vec::new() };
        let actions = holder.step(event, now).into_iter();
        let effects = actions.flat_map(|action| match action {
            HolderAction::ArmKillTimer(until) => {
                vec![Effect::ArmKillTimer(until), Effect::NotifyWorkers(until)]
            }
            HolderAction::Die(end) => match (end, missing) {
                (LeaseEnd::Expired, Some(MissingSafeguard::SelfKill))
                | (LeaseEnd::WentBack, Some(MissingSafeguard::WentBack)) => Vec::new(),
                (LeaseEnd::WentBack, _) => vec![Effect::DieWithWorkers],
                (LeaseEnd::Expired | LeaseEnd::Taken, _) => vec![Effect::Die],
            },
        });
        effects.collect()
    }
}
