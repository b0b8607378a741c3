//! Runs the check of an operation, which answers whether this host can run the operation now. The check of a command is
//! a process of its own. The check of a function is executed by a runner: no code of an operation is executed in the
//! worker. A check is no run: it uses no attempt, and what it prints is not kept, except its reason.

use std::{io, time::Duration};

use rework_core::{
    module::manifest::CommandOperation,
    task::{claim::OperationVersion, fence::Fence, progress::NewLogLine},
};
use rework_process::Exit;
use rework_wire::{
    frame::Frame,
    frame_socket::FrameSocketError,
    operation::Definition,
    runner::{FromRunner, ToRunner},
};
use tokio::time::timeout;

use crate::{
    batch_size::LONG_RUN,
    command,
    context::{Context, Waited},
    not_started::NotStarted,
    operations::Operation,
    revision::Revision,
    runner::{KILL_TIMEOUT, Runner},
    runner_message::{self, may_arrive_late},
    start_error::{Fault, StartError},
    supervisor::LeaseLost,
    warm_runners,
};

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

/// Returns a reason as one line of limited length.
pub(crate) fn one_line(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    words.join(" ").chars().take(MAX_REASON_CHARS).collect()
}

/// Runs the check of a command, unless it has answered within the last second. `fence` is the run that waits for the
/// answer; `None` if no run waits. `Err` if the run cannot start.
pub(crate) async fn of_command(
    context: &mut Context,
    operation: &Operation,
    command: &CommandOperation,
    (version, fence): (OperationVersion, Option<Fence>),
    revision: &Revision,
) -> Result<(), NotStarted> {
    let Some(program) = &command.available else { return Ok(()) };
    if context.availability.is_known(version) {
        return Ok(());
    }
    if fence.is_some() {
        context.supervisor.report_busy();
    }
    let program = command::check_program(&context.launcher, command, program)?;
    let memory_bytes = operation.definition.limits.memory_bytes;
    let started = context.launcher.start(program, revision.clone(), false, memory_bytes);
    let mut process = match started {
        Ok(process) => process,
        Err(error) if error.fault() == Fault::Host => return Err(error.into()),
        Err(error) => {
            let reason = one_line(&format!("its check cannot be started: {error}"));
            return Err(StartError::Unavailable(reason).into());
        }
    };
    let waited = wait(context, fence, in_time(exit_of(&mut process))).await;
    warm_runners::end(process).await;
    accept(context, version, waited?)
}

/// Lets a runner of an SDK execute the check of an operation, unless the check has answered within the last second.
/// Returns the runner. `fence` is the run that waits for the answer; `None` if no run waits. `Err` if the run cannot
/// start.
pub(crate) async fn in_runner(
    context: &mut Context,
    operation: &Operation,
    (version, fence): (OperationVersion, Option<Fence>),
    mut runner: Runner,
) -> Result<Runner, NotStarted> {
    if !operation.has_check() || context.availability.is_known(version) {
        return Ok(runner);
    }
    if fence.is_some() {
        context.supervisor.report_busy();
    }
    let number = context.availability.next_number();
    let answer = in_time(answer_of(&mut runner, &operation.definition, number));
    let waited = wait(context, fence, answer).await?;
    let has_answered =
        matches!(waited, Waited::Ready(CheckAnswer::Available | CheckAnswer::Unavailable(_)));
    match accept(context, version, waited) {
        Ok(()) => Ok(runner),
        Err(not_started) => {
            if has_answered {
                context.warm_runners.put(runner).await;
            } else {
                warm_runners::end(runner).await;
            }
            Err(not_started)
        }
    }
}

/// Waits for the answer of a check. If that takes longer than [`LONG_RUN`], the runs in the local queue are requeued, so
/// that other workers can run them.
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

/// Waits for the end of a process that is a check. The last line that it writes is the reason if its exit code is not 0.
async fn exit_of(process: &mut Runner) -> CheckAnswer {
    let (mut lines, mut last) = (Vec::new(), None);
    let exit = loop {
        keep_last_line(&mut lines, &mut last);
        let Runner { child, stdout, stderr, .. } = &mut *process;
        let read = tokio::select! {
            exit = child.wait() => break exit,
            read = stdout.read(), if stdout.is_open() => {
                read.map(|bytes| stdout.splitter.push(&bytes, &mut lines))
            }
            read = stderr.read(), if stderr.is_open() => {
                read.map(|bytes| stderr.splitter.push(&bytes, &mut lines))
            }
        };
        if let Err(error) = read {
            break Err(error);
        }
    };
    process.finish_output(&mut lines);
    keep_last_line(&mut lines, &mut last);
    answer_of_exit(exit, last)
}

fn answer_of_exit(exit: io::Result<Exit>, last_line: Option<String>) -> CheckAnswer {
    match exit {
        Ok(Exit::Code(0)) => CheckAnswer::Available,
        Ok(exit) => CheckAnswer::Unavailable(last_line.unwrap_or_else(|| exit.to_string())),
        Err(error) => CheckAnswer::Missing(format!("could not be observed: {error}")),
    }
}

/// Removes all lines, and sets `last` to the last one that is not empty.
fn keep_last_line(lines: &mut Vec<NewLogLine>, last: &mut Option<String>) {
    let mut texts = lines.iter().rev().map(|line| one_line(&String::from_utf8_lossy(&line.bytes)));
    if let Some(text) = texts.find(|text| !text.is_empty()) {
        *last = Some(text);
    }
    lines.clear();
}

/// Requests the check from a runner without an open run, and waits for the answer. Then kills the processes that the
/// check has left behind.
async fn answer_of(runner: &mut Runner, definition: &Definition, number: u32) -> CheckAnswer {
    let message = request(definition, number);
    let sent = runner.frames.as_mut().map(|frames| frames.send(&message, &[]));
    match sent {
        Some(Ok(())) => {}
        Some(Err(error)) => return CheckAnswer::Missing(format!("cannot be requested: {error}")),
        None => {
            return CheckAnswer::Missing("cannot be requested: its runner has ended".to_owned());
        }
    }
    let mut lines = Vec::new();
    let answer = loop {
        lines.clear();
        let Runner { child, frames, stdout, stderr, .. } = &mut *runner;
        tokio::select! {
            frame = Runner::next_frame(frames) => {
                if matches!(frame, Ok(None)) {
                    // It is expected to exit.
                    *frames = None;
                } else if let Some(answer) = answer_in(frame, number) {
                    break answer;
                }
            }
            exit = child.wait() => {
                let exit = exit.map_or_else(|error| error.to_string(), |exit| exit.to_string());
                break CheckAnswer::Missing(format!("ended its runner: {exit}"));
            }
            Ok(bytes) = stdout.read(), if stdout.is_open() => {
                stdout.splitter.push(&bytes, &mut lines);
            }
            Ok(bytes) = stderr.read(), if stderr.is_open() => {
                stderr.splitter.push(&bytes, &mut lines);
            }
        }
    };
    // What the check has printed does not belong to the next run.
    runner.finish_output(&mut lines);
    if !runner.tree.others().is_empty()
        && let Err(unkillable) = runner.tree.kill_others(KILL_TIMEOUT).await
    {
        return CheckAnswer::Missing(format!("left processes behind: {unkillable}"));
    }
    answer
}

/// Returns the answer in a frame. `None` if the frame is about something else that may arrive now.
fn answer_in(frame: Result<Option<Frame>, FrameSocketError>, number: u32) -> Option<CheckAnswer> {
    let broken = |why: String| Some(CheckAnswer::Missing(format!("was not answered: {why}")));
    match frame {
        Ok(Some(frame)) => match runner_message::message(&frame) {
            Ok(FromRunner::Checked { number: answered, reason }) if answered == number => {
                Some(reason.map_or(CheckAnswer::Available, |reason| {
                    CheckAnswer::Unavailable(one_line(&reason))
                }))
            }
            // The answer to an earlier check, or a frame of a run that has ended.
            Ok(FromRunner::Checked { .. }) => None,
            Ok(message) if may_arrive_late(&message) => None,
            Ok(_) => broken("the runner broke the protocol".to_owned()),
            Err(error) => broken(error.to_string()),
        },
        Ok(None) => None,
        Err(FrameSocketError::Socket(error)) => broken(error.to_string()),
        Err(FrameSocketError::Frame(error)) => broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<NewLogLine> {
        let line = |text: &&str| NewLogLine {
            bytes: text.as_bytes().to_vec(),
            ..NewLogLine::warning(String::new())
        };
        texts.iter().map(line).collect()
    }

    #[test]
    fn the_last_line_of_a_check_is_its_reason() {
        let mut last = None;
        keep_last_line(&mut lines(&["asking", "no  display ", ""]), &mut last);
        keep_last_line(&mut lines(&[" "]), &mut last);
        assert_eq!(last.as_deref(), Some("no display"));
        let unavailable = |text: &str| CheckAnswer::Unavailable(text.to_owned());
        assert_eq!(answer_of_exit(Ok(Exit::Code(1)), last), unavailable("no display"));
        assert_eq!(answer_of_exit(Ok(Exit::Code(1)), None), unavailable("exit code 1"));
        let printed = Some("all is well".to_owned());
        assert_eq!(answer_of_exit(Ok(Exit::Code(0)), printed), CheckAnswer::Available);
    }

    #[test]
    fn a_reason_is_one_line_of_limited_length() {
        assert_eq!(one_line("no\n display"), "no display");
        assert_eq!(one_line(&"x".repeat(1000)).len(), MAX_REASON_CHARS);
    }
}
