//! A worker of the simulated world. Its decisions are made by the lifeline of `core/src/lease`.

use rework_core::lease::{
    lifeline::{Lifeline, LifelineAction, LifelineEvent},
    row::Lease,
};
use rework_wire::lease::{BootTime, LeaseTerms};

use crate::{
    process::{Effect, PendingRequest},
    request::{Reply, Request},
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
    /// The comparison of its run with the database.
    pub(crate) check_request: PendingRequest,
    /// The task and the run whose end was recorded last.
    last_end: Option<(usize, u64)>,
    /// The recovery after which the run is compared with the database. `None` if that was done.
    checking: Option<u64>,
    /// The recovery after which the database had the run.
    checked: Option<u64>,
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
            check_request: PendingRequest::default(),
            last_end: None,
            checking: None,
            checked: None,
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
        self.check_request.time_out(now);
        if self.checking.is_some() && self.check_request.is_none() {
            let (row, run, last_end) = (self.row, self.run, self.last_end);
            effects.push(Effect::Send(Request::CheckRuns { row, run, last_end }));
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
                Reply::NoConnection => LifelineEvent::RequestNotSent,
                Reply::OwnLease(Some(lease)) => {
                    self.lease = lease;
                    LifelineEvent::OwnLeaseCreated { sent_at }
                }
                Reply::Renewed { renewals: Some(renewals), recovery } => {
                    self.start_check(recovery);
                    LifelineEvent::OwnLeaseRenewed { sent_at, renewals }
                }
                Reply::OwnLease(None) | Reply::Renewed { renewals: None, .. } => {
                    LifelineEvent::Taken
                }
                _ => LifelineEvent::RequestFailed,
            };
            return self.step_lifeline(event, now);
        }
        if self.check_request.answered(id).is_some() {
            return self.on_checked(request, &reply, now);
        }
        if self.task_request.answered(id).is_none() {
            return Vec::new();
        }
        match (request, reply) {
            (Request::Complete { .. }, Reply::Done) => {
                self.last_end = self.run.or(self.last_end);
                (self.run, self.code_ended) = (None, false);
                Vec::new()
            }
            (_, Reply::Claimed(Some((task, run)))) if self.run.is_none() => {
                vec![Effect::StartRun { task, run }]
            }
            _ => Vec::new(),
        }
    }

    /// Handles the request of the monitor to compare the run with the database after a recovery.
    pub(crate) fn check_run(&mut self, recovery: u64) -> Vec<Effect> {
        self.start_check(Some(recovery));
        if self.checked == Some(recovery) {
            vec![Effect::ReportChecked(recovery)]
        } else {
            Vec::new()
        }
    }

    /// Starts to compare the run with the database after a recovery, unless that was done.
    fn start_check(&mut self, recovery: Option<u64>) {
        if recovery.is_some() && self.checked != recovery {
            self.checking = recovery;
        }
    }

    fn on_checked(&mut self, request: Request, reply: &Reply, now: BootTime) -> Vec<Effect> {
        match (reply, self.checking) {
            // A claim was answered meanwhile. The new run is compared, too.
            _ if !matches!(request, Request::CheckRuns { run, .. } if run == self.run) => {
                Vec::new()
            }
            (Reply::RunsChecked(true), Some(recovery)) => {
                (self.checking, self.checked) = (None, Some(recovery));
                vec![Effect::ReportChecked(recovery)]
            }
            (Reply::RunsChecked(false), _) => self.step_lifeline(LifelineEvent::WentBack, now),
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
            LifelineAction::RenewOwnLease { known_renewals } => {
                let (lease, checked) = (self.lease, self.checked);
                Effect::Send(Request::RenewOwnLease { lease, known_renewals, checked })
            }
            LifelineAction::Die => Effect::Die,
        };
        self.lifeline.step(event, now, busy, awaits_reply).into_iter().map(effect).collect()
    }
}
