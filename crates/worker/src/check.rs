//! Runs the check of an operation, which answers whether this host can run the operation now. The check of a command is
//! a process of its own. The check of a function is executed by a runner: no code of an operation is executed in the
//! worker. A check is no run: it uses no attempt, and its output is not kept, except its reason.

use std::time::Duration;

use rework_core::task::{claim::OperationVersion, fence::Fence};
use rework_wire::{operation::Definition, runner::ToRunner};
use tokio::time::timeout;

use crate::{
    batch_size::LONG_RUN,
    context::{Context, Waited},
    not_started::NotStarted,
    start_error::StartError,
    supervisor::LeaseLost,
};

mod in_runner;
mod of_command;

pub(crate) use self::{in_runner::in_runner, of_command::of_command};

/// The longest time that a check may take. A claimed task waits for its check, so that no other host can run it.
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest reason that is kept, in characters.
const MAX_REASON_CHARS: usize = 300;

/// The answer of a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CheckAnswer {
    Available,
    /// The operation is not available, for this reason.
    Unavailable(String),
    /// There is no answer. The text continues "its check".
    Missing(String),
}

/// Returns why there is no answer if a check took too long. The text continues "its check".
pub(crate) fn too_late() -> String {
    format!("took longer than {} s", CHECK_TIMEOUT.as_secs())
}

/// Returns the message that requests the check of an operation from its runner.
pub(crate) fn request(definition: &Definition, number: u32) -> ToRunner {
    let (domain, operation) = (definition.domain.clone(), definition.name.clone());
    ToRunner::Check { number, domain, operation }
}

/// Returns a reason as one line of limited length, without the character 0, which Postgres cannot store in a text.
pub(crate) fn one_line(reason: &str) -> String {
    let reason = reason.replace('\0', "");
    let words: Vec<&str> = reason.split_whitespace().collect();
    words.join(" ").chars().take(MAX_REASON_CHARS).collect()
}

/// Waits for the answer of a check. If that takes longer than [`LONG_RUN`], the runs in the local queue are requeued,
/// so that other workers can run them.
async fn wait(
    context: &mut Context,
    fence: Option<Fence>,
    answer: impl Future<Output = CheckAnswer>,
) -> Result<Waited<CheckAnswer>, LeaseLost> {
    tokio::pin!(answer);
    match context.wait_for(fence, timeout(LONG_RUN, &mut answer)).await? {
        Waited::Ready(Ok(answer)) => Ok(Waited::Ready(answer)),
        Waited::Ready(Err(_)) => {
            let reason = "the check of the task before it was slow";
            context.queue.requeue_all(reason, &context.recorder);
            context.wait_for(fence, answer).await
        }
        Waited::Aborted(abort) => Ok(Waited::Aborted(abort)),
    }
}

async fn in_time(answer: impl Future<Output = CheckAnswer>) -> CheckAnswer {
    timeout(CHECK_TIMEOUT, answer).await.unwrap_or_else(|_| CheckAnswer::Missing(too_late()))
}

/// Records the answer. `Err` if a run of the operation cannot start.
fn accept(
    context: &mut Context,
    version: OperationVersion,
    waited: Waited<CheckAnswer>,
) -> Result<(), NotStarted> {
    match waited {
        Waited::Ready(CheckAnswer::Available) => {
            context.availability.record_available(version);
            Ok(())
        }
        Waited::Ready(CheckAnswer::Unavailable(reason)) => {
            Err(StartError::Unavailable(reason).into())
        }
        Waited::Ready(CheckAnswer::Missing(why)) => Err(StartError::NoAnswer(why).into()),
        Waited::Aborted(abort) => Err(NotStarted::RunResult(abort.result())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_limited_length() {
        assert_eq!(one_line("no\n dis\0play"), "no display");
        assert_eq!(one_line(&"x".repeat(1000)).len(), MAX_REASON_CHARS);
    }
}
