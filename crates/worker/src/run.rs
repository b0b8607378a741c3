//! One run: made ready, driven to its end, its processes gone, its cause found.

use std::{os::unix::fs::FileExt, time::Duration};

use rework_core::{
    claim::{Claimed, Fence, Payload},
    complete::{Completion, Outcome},
    kind::Kind,
    protocol::{Failure, Retry, RunRequest, ToRunner},
    report::Line,
};
use rework_process::LaunchError;
use serde_json::json;

use crate::{
    command::{self, OutputFile},
    ending::{Verdict, of_exit, of_failure, words},
    life::{Event, Life},
    open_run::{End, OpenRun},
    operations::Operation,
    recorder::Recorder,
    revision::Revision,
    runner::{Nursery, PATIENCE, Runner, StartError},
    runners::{self, Runners},
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
    /// From the start of a runner to its `hello`.
    pub start_timeout: Duration,
}

/// The run is somebody else's: the worker ends, and records nothing.
#[derive(Debug, thiserror::Error)]
#[error("the lease was taken away")]
pub(crate) struct LeaseLost;

/// Why a run ended before its code began.
enum Early {
    Verdict(Verdict),
    LeaseLost,
}

/// Runs a task, and gives its end, to be recorded when no process of it is left.
pub(crate) async fn run(
    workshop: &mut Workshop,
    operation: &Operation,
    claimed: Claimed,
) -> Result<Completion, LeaseLost> {
    let fence = claimed.fence;
    let mut lines = Vec::new();
    let made = make_ready(workshop, operation, &claimed, &mut lines).await;
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
    let Workshop { life, recorder, .. } = workshop;
    let mut open = OpenRun::new(fence, &mut runner, &operation.definition.limits, lines);
    let end = open.drive(life, recorder).await;
    let reusable = matches!(end, End::Done | End::Failed(_)) && open.sentence.is_none();
    let elapsed_ms = open.elapsed_ms();
    // Its cgroup knows; it goes with the tree.
    let memory_peak = open.runner.memory_peak(open.limits, open.began.elapsed());
    open.sentence = open.sentence.take().or_else(|| open.over_memory());
    clear_away(&mut open, reusable, recorder).await;
    if matches!(end, End::LeaseLost) {
        return Err(LeaseLost);
    }
    let begun = is_begun(&workshop.nursery, fence);
    let mut completion = judge(&mut open, end, output_file.as_ref(), begun || fresh);
    completion.elapsed_ms = begun.then_some(elapsed_ms);
    completion.memory_peak = memory_peak;
    finish_log(&mut open, &workshop.recorder);
    if reusable {
        workshop.runners.give_back(runner).await;
    }
    Ok(completion)
}

/// A runner with the run handed to it. For a command its start is the handing over.
async fn make_ready(
    workshop: &mut Workshop,
    operation: &Operation,
    claimed: &Claimed,
    lines: &mut Vec<Line>,
) -> Result<(Runner, Option<OutputFile>), Early> {
    let cannot = |why: &dyn std::fmt::Display| {
        Early::Verdict(Verdict::refused(format!("the operation cannot be loaded: {why}")))
    };
    operation.check(&claimed.input).map_err(Early::Verdict)?;
    let path = &operation.path;
    let revision = Revision::of(path, claimed.version.revision)
        .map_err(|error| cannot(&format!("`{}`: {error}", path.display())))?;
    match operation.kind {
        Kind::Command => {
            let definition = &operation.definition;
            let found = command::find(path, &definition.domain, &definition.name)
                .map_err(|why| cannot(&why))?;
            let (program, output) = command::prepare(&workshop.nursery, &found, claimed)
                .map_err(|error| cannot(&error))?;
            note_begun(&workshop.nursery, claimed.fence);
            let mut runner = workshop
                .nursery
                .start(program, revision, false, operation.definition.limits.memory_bytes)
                .map_err(|error| not_started(&error))?;
            runner.tree.memory_peak_reset();
            Ok((runner, Some(output)))
        }
        Kind::Rust => {
            let mut runner = warm(workshop, operation, revision, claimed.fence, lines).await?;
            let request = ToRunner::Run(request(operation, claimed));
            let body: &[u8] = match &claimed.input {
                Payload::None => &[],
                Payload::Json(text) => text.as_bytes(),
                Payload::Bytes(bytes) => bytes,
            };
            let handed = runner.frames.as_mut().map(|frames| frames.send(&request, body));
            match handed {
                Some(Ok(())) => Ok((runner, None)),
                Some(Err(error)) => {
                    runners::end(runner).await;
                    Err(cannot(&error))
                }
                None => Err(cannot(&"its runner has no socket")),
            }
        }
        Kind::Python => Err(cannot(&"Python modules come with a later version")),
    }
}

/// A warm runner of this code, or a new one that has said `hello`.
async fn warm(
    workshop: &mut Workshop,
    operation: &Operation,
    revision: Revision,
    fence: Fence,
    lines: &mut Vec<Line>,
) -> Result<Runner, Early> {
    let memory = operation.definition.limits.memory_bytes;
    if let Some(mut runner) = workshop.runners.take(&revision).await {
        if runner.limit_memory(memory).is_ok() {
            return Ok(runner);
        }
        // What it holds from earlier runs is past this operation's limit.
        runners::end(runner).await;
    }
    let Workshop { nursery, life, start_timeout, .. } = workshop;
    let program =
        nursery.executable(&operation.path).map_err(|error| not_started(&error.into()))?;
    let mut runner =
        nursery.start(program, revision, true, memory).map_err(|error| not_started(&error))?;
    let early = {
        let hello = runner.hello(*start_timeout, lines);
        tokio::pin!(hello);
        loop {
            tokio::select! {
                greeted = &mut hello => match greeted {
                    Ok(()) => break None,
                    Err(error) => break Some(not_started(&error)),
                },
                event = life.next(Some(fence)) => match event {
                    Event::Abort(cause, reason) => {
                        let sentence = crate::ending::Sentence::Abort(cause, reason);
                        break Some(Early::Verdict(sentence.verdict()));
                    }
                    Event::LeaseLost => break Some(Early::LeaseLost),
                    Event::Woken | Event::Retired => {}
                },
            }
        }
    };
    match early {
        None => Ok(runner),
        Some(early) => {
            runners::end(runner).await;
            Err(early)
        }
    }
}

/// What cannot be started at all no further attempt can mend; a machine that has no process or
/// memory left may have some later.
fn not_started(error: &StartError) -> Early {
    let reason = format!("the operation cannot be loaded: {error}");
    let passing =
        matches!(error, StartError::System(_) | StartError::Launch(LaunchError::System(_)));
    let outcome = if passing { Outcome::Failed } else { Outcome::Refused };
    Early::Verdict(Verdict { outcome, reason: Some(reason) })
}

fn request(operation: &Operation, claimed: &Claimed) -> RunRequest {
    let definition = &operation.definition;
    RunRequest {
        task: claimed.fence.task,
        run: claimed.fence.run,
        attempt: claimed.attempt,
        domain: definition.domain.clone(),
        operation: definition.name.clone(),
        phase: "execute".to_owned(),
        deadline_ms: definition.limits.timeout_ms.map(i64::unsigned_abs),
        raw: matches!(claimed.input, Payload::Bytes(_)),
        has_input: claimed.input != Payload::None,
        metadata: claimed.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        store: None,
    }
}

/// No process of the run is left after this: all of a runner that cannot be used again, and what
/// the run left behind of one that can.
async fn clear_away(open: &mut OpenRun<'_>, reusable: bool, recorder: &Recorder) {
    loop {
        let gone = if reusable {
            open.runner.tree.kill_others(PATIENCE).await.map(drop)
        } else {
            open.runner.kill().await.map(drop)
        };
        match gone {
            Ok(()) => break,
            Err(unkillable) => recorder.unkillable(open.fence, unkillable.to_string()),
        }
    }
    if let Err(error) = open.runner.drain(&mut open.lines) {
        tracing::warn!("what a run wrote last could not be read: {error}");
    }
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
            reason: Some(format!("its runner ended before it began: {}", words(exit))),
        },
        End::Exited(exit) => of_exit(exit, output_file.is_some()),
        End::GraceOver | End::LeaseLost => {
            Verdict { outcome: Outcome::Failed, reason: Some("killed".to_owned()) }
        }
    };
    match output_file.map(OutputFile::read) {
        Some(Ok(written)) => output = written,
        Some(Err(why)) if verdict.outcome == Outcome::Done => {
            verdict = Verdict::refused(format!("the output cannot be stored: {why}"));
        }
        Some(Err(_)) | None => {}
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

fn page_bytes(fence: Fence) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&fence.task.to_le_bytes());
    bytes[8..].copy_from_slice(&fence.run.to_le_bytes());
    bytes
}

/// A command is begun by the worker itself: it cannot say so.
fn note_begun(nursery: &Nursery, fence: Fence) {
    if let Err(error) = nursery.page().write_all_at(&page_bytes(fence), 0) {
        tracing::warn!("the page of begun runs cannot be written: {error}");
    }
}

fn is_begun(nursery: &Nursery, fence: Fence) -> bool {
    let mut bytes = [0; 16];
    nursery.page().read_exact_at(&mut bytes, 0).is_ok() && bytes == page_bytes(fence)
}
