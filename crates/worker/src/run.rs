//! One run: made ready, driven to its end, its processes gone, its cause found.

use std::time::Duration;

use rework_core::{
    operation::definition::MAX_PAYLOAD_BYTES,
    task::{
        complete::{Completion, Outcome},
        fence::Fence,
        payload::Payload,
    },
    wire::runner::{Failure, Retry},
};
use serde_json::json;

use crate::{
    alarm::Alarm,
    command::{OutputFile, too_large},
    crowd,
    ending::{Verdict, of_exit, of_failure},
    front::Front,
    hand::Hand,
    life::{Event, Life},
    open_run::{End, OpenRun, Series},
    operations::Operation,
    ready::{Early, is_begun, make_ready},
    recorder::{Held, Recorder},
    runner::{Nursery, PATIENCE, Runner},
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
    /// When to look after the run in hand.
    pub alarm: Alarm,
}

/// The run is somebody else's: the worker ends, and records nothing.
#[derive(Debug, thiserror::Error)]
#[error("the lease was taken away")]
pub(crate) struct LeaseLost;

/// Runs a task and, where they may follow it in the same runner, those that wait behind it. The end of
/// each is recorded when no process of it is left.
pub(crate) async fn run(
    workshop: &mut Workshop,
    operation: &Operation,
    mut held: Held,
) -> Result<(), LeaseLost> {
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
    workshop.life.set_to_work();
    let (mut runner, output_file) = match made {
        Ok(made) => made,
        Err(Early::LeaseLost) => return Err(LeaseLost),
        Err(Early::Verdict(verdict)) => {
            if !lines.is_empty() {
                workshop.recorder.lines(fence, lines);
            }
            let end = Completion::new(fence, verdict.outcome, verdict.reason);
            workshop.recorder.complete(end);
            return Ok(());
        }
    };
    if operation.has_crowd() {
        return crowd::run(workshop, operation, held, runner, lines).await;
    }
    let alone = workshop.hand.is_alone(held.claimed.version.operation);
    let may_follow = workshop.runners.may_follow(&runner, operation);
    let series = Series::new(if alone { 0 } else { may_follow });
    let Workshop { life, recorder, hand, alarm, .. } = workshop;
    let mut open = OpenRun::new(held, &mut runner, operation, lines, series);
    let end = open.drive(life, recorder, hand, alarm).await;
    open.front.sentence = open.front.sentence.take().or_else(|| open.over_memory());
    let reusable = match end {
        End::Done | End::Failed(_) => open.front.sentence.is_none() && !open.series.is_worn,
        End::Revoked => true,
        End::Exited(_) | End::GraceOver | End::LeaseLost => false,
    };
    // Its cgroup knows; it goes with the tree.
    let limits = &operation.definition.limits;
    let memory_peak = open.runner.memory_peak(limits, open.front.began.elapsed());
    let fence = Some(open.fence());
    let cleared = clear(open.runner, fence, reusable, life, recorder, hand).await;
    open.drain();
    if matches!(end, End::LeaseLost) || cleared.is_err() {
        return Err(LeaseLost);
    }
    record_ended(&mut open, recorder, hand);
    record_last(&mut open, end, output_file.as_ref(), memory_peak, workshop);
    if reusable {
        workshop.runners.give_back(runner).await;
    }
    Ok(())
}

/// The end of the last run; what waited behind it is at hand again.
fn record_last(
    open: &mut OpenRun<'_>,
    end: End,
    output_file: Option<&OutputFile>,
    memory_peak: Option<i64>,
    workshop: &mut Workshop,
) {
    let Workshop { recorder, nursery, hand, .. } = workshop;
    let operation = open.front.held.claimed.version.operation;
    take_back(open, nursery, hand, recorder);
    if open.series.alone {
        hand.runs_alone(operation);
    }
    let spoke = matches!(end, End::Done | End::Failed(_));
    let begun = spoke || is_begun(nursery, open.front.held.slot, open.fence());
    open.runner.stdout.splitter.finish(&mut open.front.lines);
    open.runner.stderr.splitter.finish(&mut open.front.lines);
    let (since, ended) = open.front.times(open.series.began);
    if !matches!(end, End::Revoked) {
        hand.ran(operation, ended - since);
    }
    let known = begun || open.runner.runs == 0;
    let mut completion = judge(&mut open.front, end, &open.revision, output_file, known);
    completion.began = begun.then_some(since);
    completion.ended = ended;
    completion.memory_peak = memory_peak;
    open.front.flush_last(recorder);
    recorder.complete(completion);
}

/// What waited behind the last run is at hand again. One that had begun all the same, in a runner that
/// was killed before it could say so, must not begin a second time.
fn take_back(open: &mut OpenRun<'_>, nursery: &Nursery, hand: &mut Hand, recorder: &Recorder) {
    let begun = |held: &Held| is_begun(nursery, held.slot, held.claimed.fence);
    let (lost, left): (Vec<Held>, Vec<Held>) = open.series.left().into_iter().partition(begun);
    for held in lost {
        let reason = Some("its runner was killed".to_owned());
        recorder.complete(Completion::new(held.claimed.fence, Outcome::Lost, reason));
    }
    hand.put_back(left);
    for abort in open.series.take_doomed() {
        hand.abort(&abort, recorder);
    }
}

/// Records the runs that ended while others followed them.
pub(crate) fn record_ended(open: &mut OpenRun<'_>, recorder: &Recorder, hand: &mut Hand) {
    for (mut front, end) in std::mem::take(&mut open.series.ended) {
        let (began, ended) = front.times(open.series.began);
        let ran = !matches!(end, End::Revoked);
        if ran {
            hand.ran(front.held.claimed.version.operation, ended - began);
        }
        let mut completion = judge(&mut front, end, &open.revision, None, true);
        completion.began = ran.then_some(began);
        completion.ended = ended;
        front.flush_last(recorder);
        recorder.complete(completion);
    }
}

/// No process of the run is left after this: all of a runner that cannot be used again, and what
/// the run left behind of one that can. That may take long where something does not die: the life
/// line is listened to meanwhile.
pub(crate) async fn clear(
    runner: &mut Runner,
    fence: Option<Fence>,
    reusable: bool,
    life: &mut Life,
    recorder: &Recorder,
    behind: &mut Hand,
) -> Result<(), LeaseLost> {
    loop {
        let killing = async {
            if reusable {
                runner.tree.kill_others(PATIENCE).await.map(drop)
            } else {
                runner.kill().await.map(drop)
            }
        };
        tokio::pin!(killing);
        let gone = loop {
            tokio::select! {
                biased;
                gone = &mut killing => break gone,
                event = life.next(fence) => match event {
                    Event::LeaseLost => return Err(LeaseLost),
                    Event::Abort(abort) => behind.abort(&abort, recorder),
                    Event::Retired | Event::Woken => {}
                },
            }
        };
        match gone {
            Ok(()) => return Ok(()),
            Err(unkillable) => {
                behind.give_back("processes of the task before it did not die", recorder);
                tracing::warn!("what a run has left behind stays: {unkillable}");
                if let Some(fence) = fence {
                    recorder.unkillable(fence, unkillable.to_string());
                }
            }
        }
    }
}

/// From how it ended to what is recorded.
pub(crate) fn judge(
    front: &mut Front,
    end: End,
    revision: &str,
    output_file: Option<&OutputFile>,
    begun: bool,
) -> Completion {
    let fence = front.fence();
    let sentence = front.sentence.take();
    let is_revoked = matches!(end, End::Revoked);
    let mut output = std::mem::take(&mut front.output);
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
        End::Revoked => {
            let reason = "it was taken back before it began".to_owned();
            Verdict { outcome: Outcome::Unbegun, reason: Some(reason) }
        }
        End::GraceOver | End::LeaseLost => {
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
        verdict = if is_revoked { sentence.unbegun() } else { sentence.verdict() };
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
        revision: Some(revision.to_owned()),
        ..Completion::new(fence, verdict.outcome, verdict.reason)
    }
}
