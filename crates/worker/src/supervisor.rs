//! The supervision of a worker from outside: the messages of its monitor on the control socket, and
//! its lease. The worker depends on the lease of its monitor. If the monitor is gone or silent
//! while a run is open, the worker creates a lease of its own (`lease_client.rs`), finishes the run
//! and exits. The rules are in `core/src/lease/lifeline.rs`; a kernel timer kills the worker if it
//! misses the end of the lease.

mod control_socket;
mod lease_reply;
mod pauses;
mod recovery;

use rework_core::{
    lease::lifeline::{Lifeline, LifelineAction, LifelineEvent},
    task::fence::Fence,
};
use rework_process::{SelfKill, boot_time};
use rework_wire::{
    frame_socket::FrameSocket,
    worker::{FromWorker, Start, ToWorker},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use self::{
    control_socket::{receive, silence_own_output},
    lease_reply::next_reply,
};
use crate::{
    abort::Abort,
    database_connection::OverdueStatement,
    lease_client::{LeaseClient, LeaseReply, Renewal},
    recorder::Recorder,
    recovery_check::RecoveryCheck,
};

/// An event from outside that the worker has to handle.
#[derive(Debug)]
pub(crate) enum Event {
    /// A task may be ready, or the monitor requests a check ([`Supervisor::next_check`]).
    Woken,
    /// A run is to stop, if this worker still has it.
    Abort(Abort),
    /// Something was paused or resumed. Claimed runs of what is paused go back to the queue. The caller calls
    /// [`Supervisor::confirm_pauses`] when none of them can start any more.
    PausesChanged,
    /// The worker must not claim any more. [`Supervisor::retired`] returns the reason.
    Retired,
    /// The lease has ended, or the database has lost claims of the worker. Others may already have the open runs.
    LeaseLost,
}

/// The error when others may have the runs of the worker: it must end without recording anything about them.
#[derive(Debug, thiserror::Error)]
#[error("the worker has lost its runs")]
pub(crate) struct LeaseLost;

/// Receives the monitor's messages and keeps the worker's lease.
pub(crate) struct Supervisor {
    control: Option<FrameSocket>,
    recorder: Recorder,
    lifeline: Lifeline,
    /// Whether the monitor has closed the control socket.
    monitor_gone: bool,
    lease_client: LeaseClient,
    /// The future answer to the pending request about the worker's own lease; `None` if no request
    /// is pending.
    pending_reply: Option<oneshot::Receiver<LeaseReply>>,
    check: RecoveryCheck,
    /// Receives the statements of the writer that are overdue, for the monitor.
    overdue: mpsc::UnboundedReceiver<OverdueStatement>,
    /// The kernel timer that kills this process when its lease ends.
    self_kill: SelfKill,
    /// Why the worker must not claim any more; `None` if it may.
    retired: Option<String>,
    /// Whether the monitor counts this worker as idle, so that the change to busy must be reported.
    idle: bool,
    /// Whether this worker has started a run.
    has_started_run: bool,
    /// The operations that were blocked and are tried again.
    on_trial: Vec<i64>,
    /// The operations whose check the monitor requests.
    checks: Vec<i64>,
    /// The number of the last change of the pauses, as the monitor counts them.
    pauses_number: u64,
    /// The number of the last change that was carried out.
    confirmed_number: u64,
    terminate: tokio::signal::unix::Signal,
}

impl Supervisor {
    /// Creates the supervisor of a worker whose monitor has just sent `start`, and arms the kernel timer.
    pub(crate) fn new(
        control: FrameSocket,
        start: &Start,
        recorder: Recorder,
        lease_client: LeaseClient,
        check: RecoveryCheck,
        overdue: mpsc::UnboundedReceiver<OverdueStatement>,
    ) -> std::io::Result<Supervisor> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut self_kill = SelfKill::new()?;
        self_kill.arm(start.lease_until)?;
        Ok(Supervisor {
            control: Some(control),
            recorder,
            lifeline: Lifeline::new(start.terms, start.lease_until, boot_time()),
            monitor_gone: false,
            lease_client,
            pending_reply: None,
            check,
            overdue,
            self_kill,
            retired: None,
            idle: true,
            has_started_run: false,
            on_trial: Vec::new(),
            checks: Vec::new(),
            pauses_number: 0,
            confirmed_number: 0,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Sends a message to the monitor, if there is one.
    pub(crate) fn send(&mut self, message: &FromWorker) {
        if let Some(control) = &mut self.control
            && let Err(error) = control.send(message, &[])
        {
            tracing::warn!("a message to the monitor could not be sent: {error}");
        }
    }

    /// Tells the monitor that the worker is idle and wants to be woken when a task may be ready.
    pub(crate) fn report_idle(&mut self) {
        self.idle = true;
        self.send(&FromWorker::Idle);
    }

    /// Tells the monitor that the worker is busy, if the monitor counts it as idle. The monitor then wakes the next
    /// idle worker, in case more tasks are ready. Callers report this after the run was sent to its runner, because the
    /// woken worker competes for the processor. They report it earlier only before something that may take long.
    pub(crate) fn report_busy(&mut self) {
        if std::mem::take(&mut self.idle) {
            self.send(&FromWorker::Busy);
        }
    }

    /// Tells the monitor that a run of this operation was started, if the monitor waits for that.
    pub(crate) fn report_started(&mut self, operation: i64) {
        let tried = self.on_trial.iter().position(|on_trial| *on_trial == operation);
        if let Some(index) = tried {
            self.on_trial.swap_remove(index);
        }
        if !std::mem::replace(&mut self.has_started_run, true) || tried.is_some() {
            self.send(&FromWorker::StartSucceeded { operation });
        }
    }

    /// Removes and returns an operation whose check the monitor requests; `None` if there is none.
    pub(crate) fn next_check(&mut self) -> Option<i64> {
        self.checks.pop()
    }

    /// Returns why the worker must not claim any more; `None` if it may.
    pub(crate) fn retired(&self) -> Option<&str> {
        self.retired.as_deref()
    }

    /// Records that the worker must not claim any more. The first reason is kept.
    pub(crate) fn retire(&mut self, reason: &str) {
        self.retired.get_or_insert_with(|| reason.to_owned());
    }

    /// Waits for the next event. `run` is an open run; `None` if no run is open. The worker creates
    /// and renews a lease of its own only if it has an open run or unsaved records. Cancel safe.
    pub(crate) async fn next(&mut self, run: Option<Fence>) -> Event {
        loop {
            let busy = run.is_some() || self.recorder.has_unsaved();
            let wake_at = self.lifeline.next_at(busy, self.pending_reply.is_some());
            let wait = wake_at.saturating_sub(boot_time());
            let event = tokio::select! {
                message = receive(&mut self.control) => match message {
                    None => {
                        self.on_monitor_gone();
                        if !busy {
                            return Event::Retired;
                        }
                        LifelineEvent::MonitorGone
                    }
                    Some(ToWorker::Renewed { until }) => LifelineEvent::MonitorRenewed { until },
                    Some(message) => match self.on_message(message) {
                        Some(event) => return event,
                        None => continue,
                    },
                },
                reply = next_reply(&mut self.pending_reply) => match self.on_reply(reply) {
                    (event, None) => event,
                    (event, Some(abort)) if !self.step(event, run) => return abort,
                    _ => return self.lose_runs(),
                },
                (recovery, is_complete) = self.check.next() => {
                    match self.on_recovery_checked(recovery, is_complete) {
                        Some(event) => event,
                        None => continue,
                    }
                }
                () = self.recorder.connection_refused() => {
                    self.send(&FromWorker::NoConnection);
                    continue;
                }
                Some(statement) = self.overdue.recv() => {
                    self.send(&FromWorker::Overdue { statement: statement.to_owned() });
                    continue;
                }
                () = sleep(wait) => LifelineEvent::TimePassed,
                _ = self.terminate.recv() => {
                    self.retire("signal 15 (terminated)");
                    return Event::Retired;
                }
            };
            if self.step(event, run) {
                return self.lose_runs();
            }
        }
    }

    fn lose_runs(&mut self) -> Event {
        self.retire("it had lost its runs");
        Event::LeaseLost
    }

    /// Passes an event to the lifeline, the state machine of the worker's lease, and carries out
    /// what the lifeline decides. Returns `true` if the worker must end.
    fn step(&mut self, event: LifelineEvent, run: Option<Fence>) -> bool {
        let busy = run.is_some() || self.recorder.has_unsaved();
        for action in self.lifeline.step(event, boot_time(), busy, self.pending_reply.is_some()) {
            match action {
                LifelineAction::ArmKillTimer(until) => {
                    if let Err(error) = self.self_kill.arm(until) {
                        tracing::error!(
                            "the kernel timer that kills this worker cannot be set: {error}"
                        );
                    }
                }
                LifelineAction::CreateOwnLease => {
                    self.retire("its monitor was silent");
                    self.pending_reply = Some(self.lease_client.adopt());
                }
                LifelineAction::RenewOwnLease { known_renewals } => {
                    let checked_recovery = self.check.checked();
                    let renewal = Renewal { known_renewals, run, checked_recovery };
                    self.pending_reply = Some(self.lease_client.renew(renewal));
                }
                LifelineAction::Die => return true,
            }
        }
        false
    }

    fn on_monitor_gone(&mut self) {
        self.control = None;
        if !std::mem::replace(&mut self.monitor_gone, true) {
            silence_own_output();
        }
        self.retire("its monitor was gone");
    }

    fn on_message(&mut self, message: ToWorker) -> Option<Event> {
        match message {
            ToWorker::Wake => Some(Event::Woken),
            ToWorker::Abort { task, run, cause, reason } => {
                Some(Event::Abort(Abort { task, run, cause, reason }))
            }
            ToWorker::Retire { reason } => {
                self.retire(&reason);
                Some(Event::Retired)
            }
            ToWorker::ExcludeOperations { blocked, on_trial, paused, number } => {
                self.on_trial = on_trial;
                self.exclude(blocked, paused, number)
            }
            ToWorker::CheckOperation { operation } => {
                self.checks.push(operation);
                Some(Event::Woken)
            }
            ToWorker::CloseConnection => {
                self.recorder.close_connection();
                None
            }
            ToWorker::CheckRuns { recovery } => {
                self.start_check(recovery);
                None
            }
            ToWorker::Start(_) | ToWorker::Renewed { .. } => None,
        }
    }
}
