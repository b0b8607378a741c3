//! Pauses and resumes operations with the command line, one after the other, and remembers when nothing was allowed to
//! start.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::chaos::clock;
use crate::support::installation::Installation;
use crate::support::wait;

/// How long a pause lasts after its answer.
const LENGTH: Duration = Duration::from_millis(250);

/// The time between the end of a pause and the next one.
const GAP: Duration = Duration::from_millis(150);

/// The options of `rework pause`, in turn, with the operation that each of them pauses. `None`: every operation.
const SCOPES: [([&str; 2], Option<&str>); 3] = [
    (["--operation", "witnessed_unique"], Some("witnessed_unique")),
    (["--domain", "default"], None),
    (["--operation", "witnessed_put_off"], Some("witnessed_put_off")),
];

/// The time between the answer of `rework pause` and the request of `rework resume`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paused {
    /// The operation that was paused. `None`: every operation.
    pub(crate) operation: Option<&'static str>,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

enum PauseStep {
    /// Nothing is paused before this time.
    Gap(Instant),
    /// `rework pause` runs.
    Requested(Child),
    /// `rework pause` was answered at this time of the clock. The pause lasts until then.
    Paused(u64, Instant),
}

/// Pauses operations.
pub(crate) struct Pauses {
    step: PauseStep,
    /// How many pauses were requested. The scope of the last one is at this position of `SCOPES`.
    requested: usize,
    /// How many of them ended with another code than 0.
    unanswered: usize,
    /// The pauses that were answered and are over.
    over: Vec<Paused>,
}

impl Pauses {
    pub(crate) fn new() -> Pauses {
        let step = PauseStep::Gap(Instant::now());
        Pauses { step, requested: 0, unanswered: 0, over: Vec::new() }
    }

    /// Returns the pauses that were answered and are over.
    pub(crate) fn over(&self) -> &[Paused] {
        &self.over
    }

    /// Returns how many commands `rework pause` did not end with code 0.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Returns whether nothing is paused.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.step, PauseStep::Gap(_))
    }

    /// Does what is due. Begins no pause if `may_begin` is false.
    pub(crate) fn go_on(&mut self, setup: &Installation, may_begin: bool) {
        let (options, operation) = SCOPES[self.requested % SCOPES.len()];
        let now = Instant::now();
        let next = match &mut self.step {
            PauseStep::Gap(until) if may_begin && now >= *until => {
                self.requested += 1;
                let (options, _) = SCOPES[self.requested % SCOPES.len()];
                PauseStep::Requested(setup.rework(["pause"]).args(options).spawn())
            }
            PauseStep::Requested(command) => match command.try_wait().unwrap() {
                None => return,
                Some(status) if status.success() => PauseStep::Paused(clock::now(), now + LENGTH),
                // A killed connection or a monitor that does not answer: the pause may exist, but nothing is promised.
                Some(_) => {
                    self.unanswered += 1;
                    resume(setup, options)
                }
            },
            PauseStep::Paused(from, until) if now >= *until => {
                self.over.push(Paused { operation, from: *from, to: clock::now() });
                resume(setup, options)
            }
            PauseStep::Gap(_) | PauseStep::Paused(..) => return,
        };
        self.step = next;
    }
}

/// Ends a pause. The command is repeated if its connection was killed.
fn resume(setup: &Installation, options: [&str; 2]) -> PauseStep {
    wait::until(
        "`rework resume` succeeds",
        || setup.diagnostics(),
        || setup.rework(["resume"]).args(options).run().code() == Some(0),
    );
    PauseStep::Gap(Instant::now() + GAP)
}

impl Drop for Pauses {
    fn drop(&mut self) {
        if let PauseStep::Requested(command) = &mut self.step {
            let _ = command.kill();
            let _ = command.wait();
        }
    }
}
