//! A monitor of the simulated world. Its decisions are made by the holder and the observer of `core/src/lease`.

use rework_core::lease::{
    holder::{HolderAction, HolderEvent, LeaseHolder},
    observer::{LeaseObserver, ObserverEvent},
    row::{Lease, LeaseSnapshot},
};
use rework_wire::lease::{BootTime, LeaseTerms};

use crate::{
    database::{Reply, Request},
    process::{Effect, PendingRequest},
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
    /// Whether the monitor ignores that its lease ran out: the safeguard `SelfKill` is missing.
    pub(crate) ignores_expiry: bool,
}

impl Monitor {
    /// A monitor that is not registered yet. Its lease will have these terms.
    pub(crate) fn new(terms: LeaseTerms) -> Monitor {
        Monitor {
            terms,
            lease: None,
            pending: PendingRequest::default(),
            holder: None,
            observer: LeaseObserver::new(terms.poll_interval()),
            renewed_at: BootTime::ZERO,
            to_take: Vec::new(),
            dead_workers: Vec::new(),
            ignores_expiry: false,
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
                    Request::Poll { lease, renew }
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
            (Request::Poll { renew, .. }, Reply::Polled { lease_is_current, leases }) => {
                if !lease_is_current {
                    return self.step_holder(HolderEvent::Taken, now);
                }
                self.to_take = self.observer.step(ObserverEvent::Polled { sent_at, leases }, now);
                self.to_take.retain(|snapshot| Some(snapshot.lease) != self.lease);
                if !renew {
                    return Vec::new();
                }
                self.step_holder(HolderEvent::Renewed { sent_at }, now)
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

    fn step_holder(&mut self, event: HolderEvent, now: BootTime) -> Vec<Effect> {
        let survives = self.ignores_expiry && event != HolderEvent::Taken;
        let Some(holder) = &mut self.holder else { return Vec::new() };
        let actions = holder.step(event, now).into_iter();
        let effects = actions.flat_map(|action| match action {
            HolderAction::ArmKillTimer(until) => {
                vec![Effect::ArmKillTimer(until), Effect::NotifyWorkers(until)]
            }
            HolderAction::Die if survives => Vec::new(),
            HolderAction::Die => vec![Effect::Die],
        });
        effects.collect()
    }
}
