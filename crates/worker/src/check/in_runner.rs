//! The check of a function of an SDK, which a runner executes.

use rework_core::task::{claim::OperationVersion, fence::Fence};
use rework_wire::{
    frame::Frame, frame_socket::FrameSocketError, operation::Definition, runner::FromRunner,
};

use super::{CheckAnswer, accept, in_time, one_line, request, wait};
use crate::{
    context::{Context, Waited},
    not_started::NotStarted,
    operations::Operation,
    runner::{KILL_TIMEOUT, Runner},
    runner_message::{self, may_arrive_late},
    warm_runners,
};

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
    // The output of the check does not belong to the next run.
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
