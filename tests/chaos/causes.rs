//! Decides whether the recorded reason of an end is true: whether one of the faults can have caused such an end.

use rework_core::task::state::State;

use super::history::{ABORT_REASON, AppliedFault, History, RecordedTask};
use super::plan::{Fault, Target};

/// The end of a task that is not done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnsuccessfulEnd<'a> {
    pub(crate) task: &'a RecordedTask,
    /// The process that executed the latest run. `None` if its code did not start.
    pub(crate) pid: Option<i32>,
    /// When the end was recorded.
    pub(crate) at: u64,
}

/// A cause of an end, as a reason names it.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// The runner of the run was killed.
    RunnerKilled,
    /// A runner that had several runs ended because of another run.
    RunnerReplaced,
    /// The worker of the run was killed, or stopped until its kernel timer killed it.
    WorkerKilled,
    /// A lease could not be renewed, so its host or its worker gave up, or was given up.
    LeaseEnded,
    /// The worker of the run exited by itself.
    WorkerLeft,
    /// The abort of this task was requested.
    Aborted,
    /// The monitor of the host was drained.
    Drained,
}

/// Returns whether a fault that started before the end explains the recorded reason.
pub(crate) fn is_true(end: UnsuccessfulEnd<'_>, history: &History) -> bool {
    let latest = end.at + history.clock_error;
    let causes = possible_causes(end.task.state, &end.task.reason);
    history
        .faults
        .iter()
        .filter(|fault| fault.at <= latest)
        .any(|fault| causes.iter().any(|cause| explains(fault, *cause, end, &history.hosts)))
}

/// Returns the causes that a reason can stand for. An empty list for a reason that nothing in this test can cause.
fn possible_causes(state: State, reason: &str) -> &'static [Cause] {
    let starts = |text: &str| reason.starts_with(text);
    match state {
        State::Aborted if reason.strip_prefix("aborted ") == Some(ABORT_REASON) => {
            &[Cause::Aborted]
        }
        State::Aborted if reason == "aborted by the monitor's shutdown" => &[Cause::Drained],
        State::Failed if reason.contains("signal 9 (killed)") => &[Cause::RunnerKilled],
        State::Lost if starts("its runner was killed") => &[Cause::RunnerReplaced],
        State::Lost if starts("worker died: signal 9 (killed)") => {
            &[Cause::WorkerKilled, Cause::LeaseEnded]
        }
        // A monitor does not learn how a worker of an earlier monitor ended.
        State::Lost if starts("worker died: exit unknown") => {
            &[Cause::WorkerKilled, Cause::LeaseEnded]
        }
        // A worker whose lease was taken away exits with this code.
        State::Lost if starts("worker died: exit code 1") => &[Cause::LeaseEnded],
        State::Lost if reason == "host lost" => &[Cause::LeaseEnded],
        // A monitor whose lease ends kills its workers.
        State::Lost
            if starts("killed: the database was silent")
                || starts("killed: the lease could not be renewed") =>
        {
            &[Cause::LeaseEnded]
        }
        // The claim of a worker took effect when the worker had left.
        State::Lost if starts("its worker left: ") || starts("worker died: exit code 0") => {
            &[Cause::WorkerLeft, Cause::LeaseEnded]
        }
        _ => &[],
    }
}

/// Returns whether a fault is such a cause of an end.
fn explains(
    fault: &AppliedFault,
    cause: Cause,
    end: UnsuccessfulEnd<'_>,
    hosts: &[String],
) -> bool {
    let is_on_host = || end.task.host.is_some() && end.task.host.as_ref() == hosts.get(fault.host);
    match cause {
        // A runner that was killed before it started a run has written no line, so its pid is not known.
        Cause::RunnerKilled => match end.pid {
            Some(pid) => fault.pids.contains(&pid),
            None => matches!(fault.fault, Fault::Kill(_) | Fault::LoseHost),
        },
        Cause::RunnerReplaced => {
            matches!(fault.fault, Fault::Kill(Target::Runner) | Fault::Abort | Fault::Drain)
        }
        Cause::WorkerKilled => end.task.worker_pid.is_some_and(|pid| fault.pids.contains(&pid)),
        Cause::LeaseEnded => match fault.fault {
            Fault::Kill(Target::Monitor)
            | Fault::Stop(Target::Monitor | Target::Worker)
            | Fault::LoseHost
            | Fault::Network(_) => is_on_host(),
            Fault::ShutDownPostgres
            | Fault::CrashPostgres
            | Fault::TerminateBackends
            | Fault::Lock(_)
            | Fault::FillConnections => true,
            Fault::Kill(Target::Worker | Target::Runner)
            | Fault::Stop(Target::Runner)
            | Fault::Drain
            | Fault::Reload
            | Fault::Abort => false,
        },
        Cause::WorkerLeft => matches!(fault.fault, Fault::Drain | Fault::Reload) && is_on_host(),
        Cause::Aborted => fault.tasks.contains(&end.task.id),
        Cause::Drained => fault.fault == Fault::Drain && is_on_host(),
    }
}
