//! From how a worker ended to what is recorded of it and of the task that it had. Pure.

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
    /// Others have its runs.
    LeaseLost,
    /// Others will soon have its runs.
    LeaseOver,
}

/// What is to be recorded of a dead worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closing {
    /// The reason of the worker's own end.
    pub(crate) reason: String,
    /// What happened to a run of it that had begun.
    pub(crate) outcome: Outcome,
    /// The reason of that run's end.
    pub(crate) run_reason: String,
    /// Its trees may live on: they are swept first.
    pub(crate) sweep: bool,
    /// Nothing is recorded: it is not ours to record.
    pub(crate) silent: bool,
}

/// Why workers leave when their monitor is to end, completed by the signal in words.
pub(crate) const MONITOR_EXIT: &str = "monitor exit";

/// Why a run ends when the grace of a drain is over.
pub(crate) const DRAINED: &str = "aborted by the monitor's shutdown";

impl Closing {
    /// `left`: what it said when it left of its own accord. `exit`: none where nobody could see it.
    pub(crate) fn of(
        sentence: Option<Sentence>,
        left: Option<&str>,
        exit: Option<Exit>,
        last_words: &str,
    ) -> Closing {
        if let Some(sentence) = sentence {
            return Closing::sentenced(sentence);
        }
        if let (Some(left), Some(Exit::Code(0))) = (left, exit) {
            return Closing {
                sweep: false,
                ..Closing::new(left, Outcome::Lost, format!("its worker left: {left}"))
            };
        }
        let how = exit.map_or_else(|| "end not seen".to_owned(), |exit| exit.to_string());
        let reason =
            if last_words.is_empty() { how.clone() } else { format!("{how}: {last_words}") };
        Closing::new(&reason, Outcome::Lost, format!("worker died: {how}"))
    }

    fn sentenced(sentence: Sentence) -> Closing {
        match sentence {
            Sentence::KillWorker => {
                let task = "aborted by kill-worker".to_owned();
                Closing::new("killed by kill-worker", Outcome::Aborted, task)
            }
            Sentence::StartTimeout => {
                let reason = "timeout while starting";
                Closing::new(reason, Outcome::Lost, format!("worker died: {reason}"))
            }
            Sentence::Drained => Closing::new(MONITOR_EXIT, Outcome::Drained, DRAINED.to_owned()),
            Sentence::LeaseOver => {
                let reason = "the database was silent for too long";
                Closing::new(reason, Outcome::Lost, format!("killed: {reason}"))
            }
            Sentence::LeaseLost => Closing {
                silent: true,
                ..Closing::new("lease lost", Outcome::Lost, "lease lost".to_owned())
            },
        }
    }

    fn new(reason: &str, outcome: Outcome, run_reason: String) -> Closing {
        Closing { reason: reason.to_owned(), outcome, run_reason, sweep: true, silent: false }
    }
}

/// `signal 15 (terminated)`: what the monitor itself was told.
pub(crate) fn signal_words(signal: i32) -> String {
    Exit::Signal { signal, core: false }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Exit = Exit::Signal { signal: 9, core: false };

    #[test]
    fn every_end_of_a_worker_has_its_words() {
        let words = |closing: Closing| (closing.reason, closing.outcome, closing.run_reason);
        for (closing, reason, outcome, run_reason) in [
            (
                Closing::of(None, Some("explicit shutdown"), Some(Exit::Code(0)), ""),
                "explicit shutdown",
                Outcome::Lost,
                "its worker left: explicit shutdown",
            ),
            (
                Closing::of(None, None, Some(KILLED), ""),
                "signal 9 (killed)",
                Outcome::Lost,
                "worker died: signal 9 (killed)",
            ),
            (
                Closing::of(None, Some("explicit shutdown"), Some(KILLED), ""),
                "signal 9 (killed)",
                Outcome::Lost,
                "worker died: signal 9 (killed)",
            ),
            (
                Closing::of(None, None, Some(Exit::Code(101)), "panicked at src/x.rs:1"),
                "exit code 101: panicked at src/x.rs:1",
                Outcome::Lost,
                "worker died: exit code 101",
            ),
            (
                Closing::of(Some(Sentence::KillWorker), None, Some(KILLED), ""),
                "killed by kill-worker",
                Outcome::Aborted,
                "aborted by kill-worker",
            ),
            (
                Closing::of(Some(Sentence::StartTimeout), None, Some(KILLED), ""),
                "timeout while starting",
                Outcome::Lost,
                "worker died: timeout while starting",
            ),
            (
                Closing::of(None, None, None, ""),
                "end not seen",
                Outcome::Lost,
                "worker died: end not seen",
            ),
        ] {
            assert_eq!(words(closing), (reason.to_owned(), outcome, run_reason.to_owned()));
        }
    }

    #[test]
    fn only_a_worker_that_left_by_itself_leaves_no_tree() {
        let left = Closing::of(None, Some("bye"), Some(Exit::Code(0)), "");
        assert!(!left.sweep);
        assert!(Closing::of(None, Some("bye"), Some(Exit::Code(1)), "").sweep);
        assert!(Closing::of(Some(Sentence::Drained), Some("bye"), Some(Exit::Code(0)), "").sweep);
    }
}
