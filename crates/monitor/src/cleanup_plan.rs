//! The plan of a cleanup: it follows from how a worker ended, and says what is recorded of the worker
//! and of the runs that it had. Pure.

use rework_core::task::complete::Outcome;
use rework_process::Exit;

/// Why a monitor killed a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sentence {
    /// Somebody typed `kill-worker`.
    KillWorker,
    /// It did not come up in time.
    StartTimeout,
    /// It did not leave in time when the monitor was to end.
    Drained,
    /// The lease was taken away: other hosts have its runs.
    LeaseLost,
    /// The lease is over: other hosts will soon have its runs.
    LeaseOver,
}

/// What is to be done after the death of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CleanupPlan {
    /// The reason of the worker's own end.
    pub(crate) reason: String,
    /// The outcome of a run that had begun.
    pub(crate) outcome: Outcome,
    /// The reason of that run's end.
    pub(crate) run_reason: String,
    /// Whether its process trees may live on and are to be killed first.
    pub(crate) sweep: bool,
    /// Whether nothing is recorded, since others do that.
    pub(crate) silent: bool,
}

/// The reason for which workers leave when their monitor is to end; the signal in words follows it.
pub(crate) const MONITOR_EXIT: &str = "monitor exit";

/// The reason of a run that is aborted since the grace of a drain is over.
pub(crate) const DRAINED: &str = "aborted by the monitor's shutdown";

impl CleanupPlan {
    /// The plan for a worker that was killed for `sentence`, if it was; that had said the reason `left`
    /// when it left by itself; and whose process ended with `exit`, `None` if nobody could see it.
    pub(crate) fn of(
        sentence: Option<Sentence>,
        left: Option<&str>,
        exit: Option<Exit>,
        last_words: &str,
    ) -> CleanupPlan {
        if let Some(sentence) = sentence {
            return CleanupPlan::sentenced(sentence);
        }
        if let (Some(left), Some(Exit::Code(0))) = (left, exit) {
            return CleanupPlan {
                sweep: false,
                ..CleanupPlan::new(left, Outcome::Lost, format!("its worker left: {left}"))
            };
        }
        let how = exit.map_or_else(|| "end not seen".to_owned(), |exit| exit.to_string());
        let reason =
            if last_words.is_empty() { how.clone() } else { format!("{how}: {last_words}") };
        CleanupPlan::new(&reason, Outcome::Lost, format!("worker died: {how}"))
    }

    fn sentenced(sentence: Sentence) -> CleanupPlan {
        match sentence {
            Sentence::KillWorker => {
                let task = "aborted by kill-worker".to_owned();
                CleanupPlan::new("killed by kill-worker", Outcome::Aborted, task)
            }
            Sentence::StartTimeout => {
                let reason = "timeout while starting";
                CleanupPlan::new(reason, Outcome::Lost, format!("worker died: {reason}"))
            }
            Sentence::Drained => {
                CleanupPlan::new(MONITOR_EXIT, Outcome::Drained, DRAINED.to_owned())
            }
            Sentence::LeaseOver => {
                let reason = "the database was silent for too long";
                CleanupPlan::new(reason, Outcome::Lost, format!("killed: {reason}"))
            }
            Sentence::LeaseLost => CleanupPlan {
                silent: true,
                ..CleanupPlan::new("lease lost", Outcome::Lost, "lease lost".to_owned())
            },
        }
    }

    fn new(reason: &str, outcome: Outcome, run_reason: String) -> CleanupPlan {
        CleanupPlan { reason: reason.to_owned(), outcome, run_reason, sweep: true, silent: false }
    }
}

/// A signal that the monitor received, as in `signal 15 (terminated)`.
pub(crate) fn signal_words(signal: i32) -> String {
    Exit::Signal { signal, core: false }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Exit = Exit::Signal { signal: 9, core: false };

    #[test]
    fn every_end_of_a_worker_has_its_words() {
        let words = |plan: CleanupPlan| (plan.reason, plan.outcome, plan.run_reason);
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
                CleanupPlan::of(Some(Sentence::KillWorker), None, Some(KILLED), ""),
                "killed by kill-worker",
                Outcome::Aborted,
                "aborted by kill-worker",
            ),
            (
                CleanupPlan::of(Some(Sentence::StartTimeout), None, Some(KILLED), ""),
                "timeout while starting",
                Outcome::Lost,
                "worker died: timeout while starting",
            ),
            (
                CleanupPlan::of(None, None, None, ""),
                "end not seen",
                Outcome::Lost,
                "worker died: end not seen",
            ),
        ] {
            assert_eq!(words(plan), (reason.to_owned(), outcome, run_reason.to_owned()));
        }
    }

    #[test]
    fn only_a_worker_that_left_by_itself_leaves_no_tree() {
        let left = CleanupPlan::of(None, Some("bye"), Some(Exit::Code(0)), "");
        assert!(!left.sweep);
        assert!(CleanupPlan::of(None, Some("bye"), Some(Exit::Code(1)), "").sweep);
        assert!(
            CleanupPlan::of(Some(Sentence::Drained), Some("bye"), Some(Exit::Code(0)), "").sweep
        );
    }
}
