//! A run starts: a command is launched, or an SDK's runner, warm or new, is handed the run.

use std::rc::Rc;

use rework_core::{
    operation::kind::Kind,
    task::{complete::Outcome, fence::Fence, payload::Payload, progress::Line},
};
use rework_process::LaunchError;
use rework_wire::{
    frame::FrameError,
    runner::{RunRequest, ToRunner, mark_bytes},
};
use tokio::time::timeout;

use crate::{
    batch_size::LONG,
    claimed_run::ClaimedRun,
    command::{self, OutputFile},
    context::{Context, Waited},
    life::LeaseLost,
    operations::Operation,
    revision::Revision,
    runner::{Runner, StartError},
    runners,
    started_page::note_started,
    verdict::Verdict,
};

/// A runner that was given a run.
pub(crate) struct Started {
    /// The runner.
    pub runner: Runner,
    /// Where a command leaves its output; `None` for an SDK's runner.
    pub output_file: Option<OutputFile>,
}

/// Why a run ended before its code started.
pub(crate) enum NotStarted {
    /// Its end is recorded like this.
    Verdict(Verdict),
    /// The run belongs to somebody else now.
    LeaseLost,
}

impl From<LeaseLost> for NotStarted {
    fn from(_: LeaseLost) -> NotStarted {
        NotStarted::LeaseLost
    }
}

/// Hands a run to a runner. `lines` receives what a new runner writes before it is ready.
pub(crate) async fn start(
    context: &mut Context,
    operation: &Operation,
    run: &ClaimedRun,
    lines: &mut Vec<Line>,
) -> Result<Started, NotStarted> {
    let ClaimedRun { claimed, slot } = run;
    let cannot = |why: &dyn std::fmt::Display| {
        NotStarted::Verdict(Verdict::refused(format!("the operation cannot be loaded: {why}")))
    };
    let path = &operation.code.path;
    let revision = Revision::of(&operation.code, claimed.version.revision)
        .map_err(|error| cannot(&format!("`{}`: {error}", path.display())))?;
    match operation.kind {
        Kind::Command => {
            let definition = &operation.definition;
            let found = command::find(path, &definition.domain, &definition.name)
                .map_err(|why| cannot(&why))?;
            let (program, output) = command::prepare(&context.launcher, &found, claimed)
                .map_err(|error| cannot(&error))?;
            // A command cannot note it by itself.
            if let Err(error) = note_started(context.launcher.page(), *slot, claimed.fence) {
                tracing::warn!("the page of started runs cannot be written: {error}");
            }
            context.life.set_to_work();
            let mut runner = context
                .launcher
                .start(program, revision, false, operation.definition.limits.memory_bytes)
                .map_err(|error| not_started(&error))?;
            runner.tree.memory_peak_reset();
            Ok(Started { runner, output_file: Some(output) })
        }
        Kind::Rust | Kind::Python => {
            let mut runner = warm(context, operation, revision, claimed.fence, lines).await?;
            let in_series = runner.runs_in_series(operation);
            if let Err(error) = send(&mut runner, operation, run, in_series) {
                runners::end(runner).await;
                return Err(cannot(&error));
            }
            if let Some(frames) = &mut runner.frames {
                frames.push();
            }
            Ok(Started { runner, output_file: None })
        }
    }
}

/// Puts a run among the frames that leave with the next push. With `in_series` the runner is to write a mark at the
/// end of the run, since others may follow it.
pub(crate) fn send(
    runner: &mut Runner,
    operation: &Operation,
    held: &ClaimedRun,
    in_series: bool,
) -> Result<(), FrameError> {
    let mut request = request(operation, held);
    if in_series {
        let (mark, bytes) = mark_of(held);
        request.mark = Some(mark);
        runner.stdout.splitter.expect(held.key(), bytes.clone());
        runner.stderr.splitter.expect(held.key(), bytes);
    }
    let body: &[u8] = match &held.claimed.input {
        Payload::None => &[],
        Payload::Json(text) => text.as_bytes(),
        Payload::Bytes(bytes) => bytes,
    };
    match &mut runner.frames {
        Some(frames) => frames.put(&ToRunner::Run(request), body),
        None => Ok(()),
    }
}

/// The mark of a run, and how it stands on its streams.
fn mark_of(held: &ClaimedRun) -> (String, Rc<[u8]>) {
    // A token may be that of a whole claim.
    let mark = format!("{}{:x}", held.claimed.fence.token.simple(), held.claimed.fence.task);
    let bytes = mark_bytes(&mark).into();
    (mark, bytes)
}

/// A warm runner of this code, or a new one that has sent `hello`.
async fn warm(
    context: &mut Context,
    operation: &Operation,
    revision: Revision,
    fence: Fence,
    lines: &mut Vec<Line>,
) -> Result<Runner, NotStarted> {
    let memory = operation.definition.limits.memory_bytes;
    if let Some(mut runner) = context.runners.take(&revision).await {
        if runner.limit_memory(memory).is_ok() {
            return Ok(runner);
        }
        // What it holds from earlier runs is past this operation's limit.
        runners::end(runner).await;
    }
    context.life.set_to_work();
    let launcher = &mut context.launcher;
    let program = launcher.program(&operation.code).map_err(|error| not_started(&error.into()))?;
    let mut runner =
        launcher.start(program, revision, true, memory).map_err(|error| not_started(&error))?;
    let hello = greet(context, &mut runner, fence, lines).await;
    if let Err(not_started) = hello {
        runners::end(runner).await;
        return Err(not_started);
    }
    Ok(runner)
}

/// Waits for the `hello` of a new runner. What is claimed does not wait with it for longer than [`LONG`].
async fn greet(
    context: &mut Context,
    runner: &mut Runner,
    fence: Fence,
    lines: &mut Vec<Line>,
) -> Result<(), NotStarted> {
    let hello = runner.hello(context.start_timeout, lines);
    tokio::pin!(hello);
    let waited = match context.wait_for(Some(fence), timeout(LONG, &mut hello)).await? {
        Waited::Ready(Ok(greeted)) => Waited::Ready(greeted),
        Waited::Ready(Err(_)) => {
            context.queue.give_back("its runner was slow to start", &context.recorder);
            context.wait_for(Some(fence), hello).await?
        }
        Waited::Aborted(abort) => Waited::Aborted(abort),
    };
    match waited {
        Waited::Ready(greeted) => greeted.map_err(|error| not_started(&error)),
        Waited::Aborted(abort) => Err(NotStarted::Verdict(abort.verdict())),
    }
}

/// What cannot be started at all no further attempt can mend; a machine that has no process or
/// memory left may have some later.
fn not_started(error: &StartError) -> NotStarted {
    let reason = format!("the operation cannot be loaded: {error}");
    let passing =
        matches!(error, StartError::System(_) | StartError::Launch(LaunchError::System(_)));
    let outcome = if passing { Outcome::Failed } else { Outcome::Refused };
    NotStarted::Verdict(Verdict { outcome, reason: Some(reason) })
}

fn request(operation: &Operation, ClaimedRun { claimed, slot }: &ClaimedRun) -> RunRequest {
    let definition = &operation.definition;
    RunRequest {
        task: claimed.fence.task,
        run: claimed.fence.run,
        slot: *slot,
        attempt: claimed.attempt,
        domain: definition.domain.clone(),
        operation: definition.name.clone(),
        deadline_ms: definition.limits.timeout_ms.map(i64::unsigned_abs),
        raw: matches!(claimed.input, Payload::Bytes(_)),
        has_input: claimed.input != Payload::None,
        metadata: claimed.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        mark: None,
    }
}
