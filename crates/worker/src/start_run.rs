//! Starts a run: launches a command, or sends the run to a runner of an SDK, warm or new.

use std::rc::Rc;

use rework_core::{operation::module_kind::ModuleKind, task::payload::Payload};
use rework_wire::{
    frame::FrameError,
    runner::{RunRequest, ToRunner, boundary_bytes},
};
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::{
    active_run::ActiveRun,
    batch_size::LONG_RUN,
    check,
    claimed_run::ClaimedRun,
    command::{self, OutputFile},
    context::{Context, Waited},
    not_started::NotStarted,
    operations::Operation,
    revision::Revision,
    runner::Runner,
    start_error::StartError,
    started_runs::{clear, record_started},
    warm_runners,
};

/// A runner that has received its first run.
pub(crate) struct Started {
    /// The runner.
    pub runner: Runner,
    /// The file to which a command writes its output; `None` for a runner of an SDK.
    pub output_file: Option<OutputFile>,
}

/// Starts a run. The output of a new runner before it is ready is logged for this run.
pub(crate) async fn start(
    context: &mut Context,
    operation: &Operation,
    run: &mut ActiveRun,
) -> Result<Started, NotStarted> {
    let ClaimedRun { claimed, slot } = &run.run;
    let path = &operation.code.path;
    let waiting = (claimed.version, Some(claimed.fence));
    let revision = Revision::of(&operation.code, claimed.version.revision)
        .map_err(|source| StartError::File { path: path.clone(), source })?;
    match operation.kind {
        ModuleKind::Command => {
            let command_operation = command::find(operation)?;
            check::of_command(context, operation, &command_operation, waiting, &revision).await?;
            let (program, output) = command::prepare(
                &mut context.launcher,
                &command_operation,
                claimed,
                &mut run.lines,
            )?;
            // A command cannot record its start itself.
            if let Err(error) =
                record_started(context.launcher.started_runs(), *slot, claimed.fence)
            {
                tracing::warn!("the start of a run cannot be recorded in shared memory: {error}");
            }
            context.supervisor.report_busy();
            let memory_bytes = operation.definition.limits.memory_bytes;
            let started = context.launcher.start(program, revision, false, memory_bytes);
            if started.is_err() {
                clear(context.launcher.started_runs(), *slot);
            }
            let mut runner = started?;
            runner.tree.reset_memory_peak();
            Ok(Started { runner, output_file: Some(output) })
        }
        ModuleKind::Rust | ModuleKind::Python => {
            let runner = get_runner(context, operation, revision, run).await?;
            let mut runner = check::in_runner(context, operation, waiting, runner).await?;
            let with_boundary = runner.can_send_ahead(operation);
            if let Err(error) = send(&mut runner, operation, &run.run, with_boundary) {
                warm_runners::end(runner).await;
                return Err(StartError::Request(error).into());
            }
            if let Some(frames) = &mut runner.frames {
                frames.flush();
            }
            Ok(Started { runner, output_file: None })
        }
    }
}

/// Queues a run for the runner; the run is sent at the next flush. With `with_boundary` the runner
/// must write a boundary (bytes that separate the output of two runs) after the run, since others
/// may follow it.
pub(crate) fn send(
    runner: &mut Runner,
    operation: &Operation,
    run: &ClaimedRun,
    with_boundary: bool,
) -> Result<(), FrameError> {
    let mut request = request(operation, run);
    if with_boundary {
        let (boundary, bytes) = boundary_of(run);
        request.boundary = Some(boundary);
        runner.stdout.splitter.expect(run.key(), bytes.clone());
        runner.stderr.splitter.expect(run.key(), bytes);
    }
    let body: &[u8] = match &run.claimed.input {
        Payload::None => &[],
        Payload::Json(text) => text.as_bytes(),
        Payload::Bytes(bytes) => bytes,
    };
    match &mut runner.frames {
        Some(frames) => frames.queue(&ToRunner::Run(request), body),
        None => Ok(()),
    }
}

/// Returns the boundary of a run, and its bytes as they appear on the streams.
fn boundary_of(run: &ClaimedRun) -> (String, Rc<[u8]>) {
    // The task id is added, because all tasks of one claim may have the same token.
    let boundary = format!("{}{:x}", run.claimed.fence.token.simple(), run.claimed.fence.task);
    let bytes = boundary_bytes(&boundary).into();
    (boundary, bytes)
}

/// Returns a warm runner of this code, or starts a new one and waits for its `hello`.
async fn get_runner(
    context: &mut Context,
    operation: &Operation,
    revision: Revision,
    run: &mut ActiveRun,
) -> Result<Runner, NotStarted> {
    let memory = operation.definition.limits.memory_bytes;
    if let Some(mut runner) = context.warm_runners.take(&revision).await {
        if runner.limit_memory(memory).is_ok() {
            return Ok(runner);
        }
        // The memory that it holds from earlier runs exceeds this operation's limit.
        warm_runners::end(runner).await;
    }
    context.supervisor.report_busy();
    let launcher = &mut context.launcher;
    let program = launcher.program(&operation.code).map_err(StartError::System)?;
    let mut runner = launcher.start(program, revision, true, memory)?;
    let ready = wait_for_hello(context, &mut runner, run).await;
    if let Err(not_started) = ready {
        runner.finish_output(&mut run.lines);
        warm_runners::end(runner).await;
        return Err(not_started);
    }
    Ok(runner)
}

/// Waits for the `hello` of a new runner. If that takes longer than [`LONG_RUN`], the runs in the local queue are
/// requeued, so that other workers can run them.
async fn wait_for_hello(
    context: &mut Context,
    runner: &mut Runner,
    run: &mut ActiveRun,
) -> Result<(), NotStarted> {
    let (fence, recorder) = (run.fence(), context.recorder.clone());
    let hello = runner.hello(context.start_timeout, run, &recorder);
    tokio::pin!(hello);
    let waited = match context.wait_for(Some(fence), timeout(LONG_RUN, &mut hello)).await? {
        Waited::Ready(Ok(hello)) => Waited::Ready(hello),
        Waited::Ready(Err(_)) => {
            context.queue.requeue_all("its runner was slow to start", &context.recorder);
            context.wait_for(Some(fence), hello).await?
        }
        Waited::Aborted(abort) => Waited::Aborted(abort),
    };
    match waited {
        Waited::Ready(hello) => hello.map_err(NotStarted::from),
        Waited::Aborted(abort) => Err(NotStarted::RunResult(abort.result())),
    }
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
        metadata: claimed.metadata.clone().and_then(|text| RawValue::from_string(text).ok()),
        boundary: None,
    }
}
