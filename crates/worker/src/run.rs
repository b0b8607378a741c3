//! One run: made ready, driven to its end, its processes gone, its cause found.

use std::time::Duration;

use rework_core::{
    claim::Payload,
    complete::{Completion, Outcome},
    operation::MAX_PAYLOAD_BYTES,
    protocol::{Failure, Retry},
};
use serde_json::json;

use crate::{
    command::{OutputFile, too_large},
    ending::{Verdict, of_exit, of_failure},
    hand::Hand,
    life::{Event, Life},
    open_run::{End, OpenRun},
    operations::Operation,
    ready::{Early, is_begun, make_ready},
    recorder::{Held, Recorder},
    runner::{Nursery, PATIENCE},
    runners::Runners,
};

/// What a worker runs tasks with.
pub(crate) struct Workshop {
    /// What it lives by.
    pub life: Life,
    /// Where it writes.
    pub recorder: Recorder,
    /// Where runners come from.
    pub nursery: Nursery,
    /// Those that are warm.
    pub runners: Runners,
    /// What is claimed and waits for its turn.
    pub hand: Hand,
    /// From the start of a runner to its `hello`.
    pub start_timeout: Duration,
}

/// The run is somebody else's: the worker ends, and records nothing.
#[derive(Debug, thiserror::Error)]
#[error("the lease was taken away")]
pub(crate) struct LeaseLost;

/// Runs a task, and gives its end, to be recorded when no process of it is left.
pub(crate) async fn run(
    workshop: &mut Workshop,
    operation: &Operation,
    mut held: Held,
) -> Result<Completion, LeaseLost> {
    let claimed = &mut held.claimed;
    let fence = claimed.fence;
    let mut lines = Vec::new();
    let made = match operation.fitting(std::mem::take(&mut claimed.input)) {
        Ok(input) => {
            claimed.input = input;
            make_ready(workshop, operation, &held, &mut lines).await
        }
        Err(verdict) => Err(Early::Verdict(verdict)),
    };
    let (mut runner, output_file) = match made {
        Ok(made) => made,
        Err(Early::LeaseLost) => return Err(LeaseLost),
        Err(Early::Verdict(verdict)) => {
            if !lines.is_empty() {
                workshop.recorder.lines(fence, lines);
            }
            return Ok(Completion::new(fence, verdict.outcome, verdict.reason));
        }
    };
    let fresh = runner.runs == 0;
    let Workshop { life, recorder, hand, .. } = workshop;
    let mut open = OpenRun::new(fence, &mut runner, &operation.definition.limits, lines);
    let end = open.drive(life, recorder, hand).await;
    let since = open.began;
    hand.ran(held.claimed.version.operation, since);
    // Its cgroup knows; it goes with the tree.
    let memory_peak = open.runner.memory_peak(open.limits, open.began.elapsed());
    open.sentence = open.sentence.take().or_else(|| open.over_memory());
    let reusable = match end {
        End::Done | End::Failed(_) => open.sentence.is_none(),
        End::Revoked => true,
        End::Exited(_) | End::GraceOver | End::LeaseLost => false,
    };
    let cleared = clear_away(&mut open, reusable, life, recorder, hand).await;
    if matches!(end, End::LeaseLost) || cleared.is_err() {
        return Err(LeaseLost);
    }
    let begun = is_begun(&workshop.nursery, held.slot, fence);
    let mut completion = judge(&mut open, end, output_file.as_ref(), begun || fresh);
    completion.began = begun.then_some(since.into_std());
    completion.memory_peak = memory_peak;
    finish_log(&mut open, &workshop.recorder);
    if reusable {
        workshop.runners.give_back(runner).await;
    }
    Ok(completion)
}

/// No process of the run is left after this: all of a runner that cannot be used again, and what
/// the run left behind of one that can. That may take long where something does not die: the life
/// line is listened to meanwhile.
async fn clear_away(
    open: &mut OpenRun<'_>,
    reusable: bool,
    life: &mut Life,
    recorder: &Recorder,
    behind: &mut Hand,
) -> Result<(), LeaseLost> {
    let fence = open.fence;
    loop {
        let killing = async {
            if reusable {
                open.runner.tree.kill_others(PATIENCE).await.map(drop)
            } else {
                open.runner.kill().await.map(drop)
            }
        };
        tokio::pin!(killing);
        let gone = loop {
            tokio::select! {
                biased;
                gone = &mut killing => break gone,
                event = life.next(Some(fence)) => match event {
                    Event::LeaseLost => return Err(LeaseLost),
                    Event::Abort(abort) => behind.abort(&abort, recorder),
                    Event::Retired | Event::Woken => {}
                },
            }
        };
        match gone {
            Ok(()) => break,
            Err(unkillable) => {
                behind.give_back("processes of the task before it did not die", recorder);
                recorder.unkillable(open.fence, unkillable.to_string());
            }
        }
    }
    if let Err(error) = open.runner.drain(&mut open.lines) {
        tracing::warn!("what a run wrote last could not be read: {error}");
    }
    Ok(())
}

/// From how it ended to what is recorded.
fn judge(
    open: &mut OpenRun<'_>,
    end: End,
    output_file: Option<&OutputFile>,
    begun: bool,
) -> Completion {
    let fence = open.fence;
    let sentence = open.sentence.take();
    let mut output = std::mem::take(&mut open.output);
    let mut failure: Option<Failure> = None;
    let mut verdict = match end {
        End::Done => Verdict::done(),
        End::Failed(reported) => {
            let verdict = of_failure(&reported);
            failure = Some(reported);
            verdict
        }
        End::Exited(exit) if !begun => Verdict {
            outcome: Outcome::Unbegun,
            reason: Some(format!("its runner ended before it began: {exit}")),
        },
        End::Exited(exit) => of_exit(exit, output_file.is_some()),
        End::Revoked | End::GraceOver | End::LeaseLost => {
            let reason = "its runner closed its socket and did not end".to_owned();
            Verdict { outcome: Outcome::Failed, reason: Some(reason) }
        }
    };
    match output_file.map(OutputFile::read) {
        Some(Ok(written)) => output = written,
        Some(Err(why)) if verdict.outcome == Outcome::Done => {
            verdict = Verdict::refused(format!("the output cannot be stored: {why}"));
        }
        Some(Err(_)) | None => {}
    }
    if output.bytes() > MAX_PAYLOAD_BYTES {
        verdict = Verdict::refused(too_large(output.bytes()));
        output = Payload::None;
    }
    if let Some(sentence) = sentence {
        verdict = sentence.verdict();
    }
    let retry_in_ms = match failure.as_ref().map(|failure| failure.retry) {
        Some(Retry::InMs(ms)) => i64::try_from(ms).ok(),
        _ => None,
    };
    let error =
        failure.map(|f| json!({"kind": f.kind, "message": f.message, "traceback": f.traceback}));
    Completion {
        error,
        output,
        retry_in_ms,
        revision: Some(open.revision.clone()),
        ..Completion::new(fence, verdict.outcome, verdict.reason)
    }
}

/// The unterminated last line, and the mark of what was cut.
fn finish_log(open: &mut OpenRun<'_>, recorder: &Recorder) {
    open.runner.stdout.finish(&mut open.lines);
    open.runner.stderr.finish(&mut open.lines);
    open.flush(recorder);
    if let Some(mark) = open.budget.mark() {
        recorder.lines(open.fence, vec![mark]);
    }
}
