//! A worker of the simulated world. Its decisions are made by the lifeline of `core/src/lease`.

use rework_core::lease::{
    lifeline::{Lifeline, LifelineAction, LifelineEvent},
    row::Lease,
};
use rework_wire::lease::{BootTime, LeaseTerms};

use crate::{
    database::{Reply, Request},
    process::{Effect, PendingRequest},
};

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) row: usize,
    /// The lease that the worker depends on, as far as it knows.
    pub(crate) lease: Lease,
    lifeline: Lifeline,
    /// The request about a task. Tasks and the lease use a connection each.
    pub(crate) task_request: PendingRequest,
    /// The request for its own lease.
    pub(crate) lease_request: PendingRequest,
    /// The task and the number of the current run.
    pub(crate) run: Option<(usize, u64)>,
    /// When the code of the current run ends.
    pub(crate) run_until: BootTime,
    monitor_gone: bool,
    /// Whether the code of the current run has ended, and the end is not recorded yet.
    code_ended: bool,
}

impl Worker {
    pub(crate) fn new(
        row: usize,
        lease: Lease,
        terms: LeaseTerms,
        until: BootTime,
        now: BootTime,
    ) -> Worker {
        Worker {
            row,
            lease,
            lifeline: Lifeline::new(terms, until, now),
            task_request: PendingRequest::default(),
            lease_request: PendingRequest::default(),
            run: None,
            run_until: BootTime::ZERO,
            monitor_gone: false,
            code_ended: false,
        }
    }

    pub(crate) fn on_time(&mut self, now: BootTime, has_monitor: bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.lease_request.time_out(now) {
            effects.extend(self.step_lifeline(LifelineEvent::RequestFailed, now));
        }
        if !has_monitor && !std::mem::replace(&mut self.monitor_gone, true) {
            effects.extend(self.step_lifeline(LifelineEvent::MonitorGone, now));
        } else {
            effects.extend(self.step_lifeline(LifelineEvent::TimePassed, now));
        }
        self.task_request.time_out(now);
        if self.task_request.is_none() {
            match self.run {
                Some((task, run)) if now >= self.run_until => {
                    self.code_ended = true;
                    effects.push(Effect::Send(Request::Complete { row: self.row, task, run }));
                }
                Some(_) => {}
                None if self.monitor_gone || self.lifeline.has_own_lease() => {
                    effects.push(Effect::Die);
                }
                None => {
                    let claim = Request::Claim { row: self.row, lease: self.lease };
                    effects.push(Effect::Send(claim));
                }
            }
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
        if let Some(sent_at) = self.lease_request.answered(id) {
            let event = match reply {
                Reply::ServerDown => LifelineEvent::ServerDown { attempted_at: sent_at },
                Reply::OwnLease(Some(lease)) => {
                    self.lease = lease;
                    LifelineEvent::OwnLeaseCreated { sent_at }
                }
                Reply::Renewed(true) => LifelineEvent::OwnLeaseRenewed { sent_at },
                Reply::OwnLease(None) | Reply::Renewed(false) => LifelineEvent::Taken,
                _ => LifelineEvent::RequestFailed,
            };
            return self.step_lifeline(event, now);
        }
        if self.task_request.answered(id).is_none() {
            return Vec::new();
        }
        match (request, reply) {
            (Request::Complete { .. }, Reply::Done) => {
                (self.run, self.code_ended) = (None, false);
                Vec::new()
            }
            (_, Reply::Claimed(Some((task, run)))) if self.run.is_none() => {
                vec![Effect::StartRun { task, run }]
            }
            _ => Vec::new(),
        }
    }

    /// Whether the code of this task is running in the worker.
    pub(crate) fn runs(&self, task: usize) -> bool {
        !self.code_ended && self.run.is_some_and(|(running, _)| running == task)
    }

    pub(crate) fn step_lifeline(&mut self, event: LifelineEvent, now: BootTime) -> Vec<Effect> {
        let (busy, awaits_reply) = (self.run.is_some(), !self.lease_request.is_none());
        let effect = |action| match action {
            LifelineAction::ArmKillTimer(until) => Effect::ArmKillTimer(until),
            LifelineAction::CreateOwnLease => {
                Effect::Send(Request::CreateOwnLease { row: self.row, lease: self.lease })
            }
            LifelineAction::RenewOwnLease => {
                Effect::Send(Request::RenewOwnLease { lease: self.lease })
            }
            LifelineAction::Die => Effect::Die,
        };
        self.lifeline.step(event, now, busy, awaits_reply).into_iter().map(effect).collect()
    }
}
