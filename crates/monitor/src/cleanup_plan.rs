//! The plan of a cleanup after a dead worker. It follows from the exit of the worker, and determines what is recorded
//! of the worker and of its runs. This file only decides; `cleanup.rs` carries the plan out.

use rework_core::task::complete::Outcome;
use rework_process::Exit;

/// The reason for which this monitor killed a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KillReason {
    /// A user typed `rework kill-worker`.
    KillWorker,
    /// The worker was not ready within the start timeout.
    StartTimeout,
    /// The worker did not exit in time when the monitor drained.
    Drained,
    /// The lease of the monitor was taken away, so other hosts have the runs of this worker.
    LeaseLost,
    /// The lease of the monitor has expired, so other hosts will soon have the runs of this worker.
    LeaseExpired,
    /// The database has gone back to an earlier state, and others may claim the tasks of this worker.
    WentBack,
}

/// The steps after the death of a worker, and the texts to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CleanupPlan {
    /// The recorded reason of the worker's end.
    pub(crate) reason: String,
    /// The outcome of the worker's started runs.
    pub(crate) outcome: Outcome,
    /// The recorded reason of the end of those runs.
    pub(crate) run_reason: String,
    /// Whether the worker's process trees may still run and must be killed first.
    pub(crate) sweep: bool,
    /// Whether another monitor records the ends, so that this one records nothing.
    pub(crate) recorded_by_others: bool,
    /// Whether the runs that are not among the started runs have certainly not started.
    pub(crate) trusts_started_runs: bool,
}

/// The start of the reason with which workers exit when their monitor ends. The name of the signal follows.
pub(crate) const MONITOR_EXIT: &str = "monitor exit";

/// The reason of a run that is aborted because the grace of a drain has ended.
pub(crate) const DRAINED: &str = "aborted by the monitor's shutdown";

impl CleanupPlan {
    /// Decides the plan for a worker that has ended.
    ///
    /// `kill_reason` is the reason for which the monitor killed the worker, `None` if it did not. `leave_reason` is the
    /// reason that the worker sent before it exited by itself. `exit` is `None` if the process was not a child of this
    /// one. `output_tail` is the end of the worker's output.
    pub(crate) fn of(
        kill_reason: Option<KillReason>,
        leave_reason: Option<&str>,
        exit: Option<Exit>,
        output_tail: &str,
    ) -> CleanupPlan {
        if let Some(kill_reason) = kill_reason {
            return CleanupPlan::for_killed(kill_reason);
        }
        if let (Some(reason), Some(Exit::Code(0))) = (leave_reason, exit) {
            // A worker that exits by itself has already killed its process trees.
            return CleanupPlan {
                sweep: false,
                ..CleanupPlan::new(reason, Outcome::Lost, format!("its worker left: {reason}"))
            };
        }
        let how = exit.map_or_else(|| "exit unknown".to_owned(), |exit| exit.to_string());
        let reason =
            if output_tail.is_empty() { how.clone() } else { format!("{how}: {output_tail}") };
        CleanupPlan::new(&reason, Outcome::Lost, format!("worker died: {how}"))
    }

    fn for_killed(kill_reason: KillReason) -> CleanupPlan {
        match kill_reason {
            KillReason::KillWorker => {
                let run_reason = "aborted by kill-worker".to_owned();
                CleanupPlan::new("killed by kill-worker", Outcome::Aborted, run_reason)
            }
            KillReason::StartTimeout => {
                let reason = "timeout while starting";
                CleanupPlan::new(reason, Outcome::Lost, format!("worker died: {reason}"))
            }
            KillReason::Drained => {
                CleanupPlan::new(MONITOR_EXIT, Outcome::Drained, DRAINED.to_owned())
            }
            KillReason::LeaseExpired => {
                let reason = "the lease could not be renewed in time";
                CleanupPlan::new(reason, Outcome::Lost, format!("killed: {reason}"))
            }
            KillReason::WentBack => {
                let reason = "the database has lost its last transactions";
                // A run whose recorded end was lost is open again. It has started, and its slot may have another run.
                CleanupPlan {
                    trusts_started_runs: false,
                    ..CleanupPlan::new(reason, Outcome::Lost, format!("killed: {reason}"))
                }
            }
            KillReason::LeaseLost => CleanupPlan {
                recorded_by_others: true,
                ..CleanupPlan::new("lease lost", Outcome::Lost, "lease lost".to_owned())
            },
        }
    }

    fn new(reason: &str, outcome: Outcome, run_reason: String) -> CleanupPlan {
        let reason = reason.to_owned();
        CleanupPlan {
            reason,
            outcome,
            run_reason,
            sweep: true,
            recorded_by_others: false,
            trusts_started_runs: true,
        }
    }
}

/// Returns the number and the meaning of a signal that the monitor received, such as `signal 15 (terminated)`.
pub(crate) fn describe_signal(signal: i32) -> String {
    Exit::Signal { signal, core: false }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Exit = Exit::Signal { signal: 9, core: false };

    #[test]
    fn every_end_of_a_worker_has_its_reasons_and_outcome() {
        let parts = |plan: CleanupPlan| (plan.reason, plan.outcome, plan.run_reason);
        for (plan, reason, outcome, run_reason) in [
            (
                CleanupPlan::of(None, Some("explicit shutdown"), Some(Exit::Code(0)), ""),
                "explicit shutdown",
                Outcome::Lost,
                "its worker left: explicit shutdown",
            ),
            (
                CleanupPlan::of(None, None, Some(KILLED), ""),
                "signal 9 (killed)",
                Outcome::Lost,
                "worker died: signal 9 (killed)",
            ),
            (
                CleanupPlan::of(None, Some("explicit shutdown"), Some(KILLED), ""),
                "signal 9 (killed)",
                Outcome::Lost,
                "worker died: signal 9 (killed)",
            ),
            (
                CleanupPlan::of(None, None, Some(Exit::Code(101)), "panicked at src/x.rs:1"),
                "exit code 101: panicked at src/x.rs:1",
                Outcome::Lost,
                "worker died: exit code 101",
            ),
            (
                CleanupPlan::of(Some(KillReason::KillWorker), None, Some(KILLED), ""),
                "killed by kill-worker",
                Outcome::Aborted,
                "aborted by kill-worker",
            ),
            (
                CleanupPlan::of(Some(KillReason::StartTimeout), None, Some(KILLED), ""),
                "timeout while starting",
                Outcome::Lost,
                "worker died: timeout while starting",
            ),
            (
                CleanupPlan::of(None, None, None, ""),
                "exit unknown",
                Outcome::Lost,
                "worker died: exit unknown",
            ),
        ] {
            assert_eq!(parts(plan), (reason.to_owned(), outcome, run_reason.to_owned()));
        }
    }

    #[test]
    fn only_a_worker_that_exited_by_itself_needs_no_sweep() {
        let exited = CleanupPlan::of(None, Some("bye"), Some(Exit::Code(0)), "");
        assert!(!exited.sweep);
        assert!(CleanupPlan::of(None, Some("bye"), Some(Exit::Code(1)), "").sweep);
        let killed = Some(KillReason::Drained);
        assert!(CleanupPlan::of(killed, Some("bye"), Some(Exit::Code(0)), "").sweep);
    }
}
