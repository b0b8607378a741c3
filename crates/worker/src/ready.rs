//! A runner made ready for a run: a command started, or an SDK's runner that has been handed it.

use std::{os::unix::fs::FileExt, rc::Rc};

use rework_core::{
    operation::kind::Kind,
    task::{complete::Outcome, fence::Fence, payload::Payload, progress::Line},
    wire::{
        frame::FrameError,
        runner::{RunRequest, ToRunner, mark_bytes},
        worker::SLOT_BYTES,
    },
};
use rework_process::LaunchError;
use tokio::time::sleep;

use crate::{
    command::{self, OutputFile},
    ending::Verdict,
    life::Event,
    operations::Operation,
    pace::LONG,
    recorder::Held,
    revision::Revision,
    run::Workshop,
    runner::{Nursery, Runner, StartError},
    runners,
};

/// Why a run ended before its code began.
pub(crate) enum Early {
    Verdict(Verdict),
    LeaseLost,
}

/// A runner with the run handed to it. For a command its start is the handing over.
pub(crate) async fn make_ready(
    workshop: &mut Workshop,
    operation: &Operation,
    held: &Held,
    lines: &mut Vec<Line>,
) -> Result<(Runner, Option<OutputFile>), Early> {
    let Held { claimed, slot } = held;
    let cannot = |why: &dyn std::fmt::Display| {
        Early::Verdict(Verdict::refused(format!("the operation cannot be loaded: {why}")))
    };
    let path = &operation.code.path;
    let revision = Revision::of(&operation.code, claimed.version.revision)
        .map_err(|error| cannot(&format!("`{}`: {error}", path.display())))?;
    match operation.kind {
        Kind::Command => {
            let definition = &operation.definition;
            let found = command::find(path, &definition.domain, &definition.name)
                .map_err(|why| cannot(&why))?;
            let (program, output) = command::prepare(&workshop.nursery, &found, claimed)
                .map_err(|error| cannot(&error))?;
            note_begun(&workshop.nursery, *slot, claimed.fence);
            workshop.life.set_to_work();
            let mut runner = workshop
                .nursery
                .start(program, revision, false, operation.definition.limits.memory_bytes)
                .map_err(|error| not_started(&error))?;
            runner.tree.memory_peak_reset();
            Ok((runner, Some(output)))
        }
        Kind::Rust | Kind::Python => {
            let mut runner = warm(workshop, operation, revision, claimed.fence, lines).await?;
            let ahead = runner.ahead
                && operation.definition.limits.memory_bytes.is_none()
                && !operation.has_crowd();
            if let Err(error) = send(&mut runner, operation, held, ahead) {
                runners::end(runner).await;
                return Err(cannot(&error));
            }
            if let Some(frames) = &mut runner.frames {
                frames.push();
            }
            Ok((runner, None))
        }
    }
}

/// Hands a run to a runner, with a mark where others may follow it; it leaves with the next push.
pub(crate) fn send(
    runner: &mut Runner,
    operation: &Operation,
    held: &Held,
    ahead: bool,
) -> Result<(), FrameError> {
    let mut request = request(operation, held);
    if ahead {
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
fn mark_of(held: &Held) -> (String, Rc<[u8]>) {
    // A token may be that of a whole claim.
    let mark = format!("{}{:x}", held.claimed.fence.token.simple(), held.claimed.fence.task);
    let bytes = mark_bytes(&mark).into();
    (mark, bytes)
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
    workshop.life.set_to_work();
    let Workshop { nursery, life, recorder, hand, start_timeout, .. } = workshop;
    let program = nursery.program(&operation.code).map_err(|error| not_started(&error.into()))?;
    let mut runner =
        nursery.start(program, revision, true, memory).map_err(|error| not_started(&error))?;
    let early = {
        let hello = runner.hello(*start_timeout, lines);
        let long = sleep(LONG);
        tokio::pin!(hello, long);
        loop {
            tokio::select! {
                greeted = &mut hello => match greeted {
                    Ok(()) => break None,
                    Err(error) => break Some(not_started(&error)),
                },
                () = &mut long, if !long.is_elapsed() => {
                    hand.give_back("its runner was slow to start", recorder);
                }
                event = life.next(Some(fence)) => match event {
                    Event::Abort(abort) if abort.names(fence) => {
                        break Some(Early::Verdict(abort.verdict()));
                    }
                    Event::Abort(abort) => hand.abort(&abort, recorder),
                    Event::LeaseLost => break Some(Early::LeaseLost),
                    Event::Retired => hand.give_back("its worker was leaving", recorder),
                    Event::Woken => {}
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

fn request(operation: &Operation, Held { claimed, slot }: &Held) -> RunRequest {
    let definition = &operation.definition;
    RunRequest {
        task: claimed.fence.task,
        run: claimed.fence.run,
        slot: *slot,
        attempt: claimed.attempt,
        domain: definition.domain.clone(),
        operation: definition.name.clone(),
        phase: "execute".to_owned(),
        deadline_ms: definition.limits.timeout_ms.map(i64::unsigned_abs),
        raw: matches!(claimed.input, Payload::Bytes(_)),
        has_input: claimed.input != Payload::None,
        metadata: claimed.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        store: None,
        mark: None,
    }
}

fn page_bytes(fence: Fence) -> [u8; SLOT_BYTES as usize] {
    let mut bytes = [0; SLOT_BYTES as usize];
    bytes[..8].copy_from_slice(&fence.task.to_le_bytes());
    bytes[8..].copy_from_slice(&fence.run.to_le_bytes());
    bytes
}

/// A command is begun by the worker itself: it cannot say so.
fn note_begun(nursery: &Nursery, slot: u32, fence: Fence) {
    if let Err(error) = nursery.page().write_all_at(&page_bytes(fence), place_of(slot)) {
        tracing::warn!("the page of begun runs cannot be written: {error}");
    }
}

pub(crate) fn is_begun(nursery: &Nursery, slot: u32, fence: Fence) -> bool {
    let mut bytes = [0; SLOT_BYTES as usize];
    let read = nursery.page().read_exact_at(&mut bytes, place_of(slot));
    read.is_ok() && bytes == page_bytes(fence)
}

fn place_of(slot: u32) -> u64 {
    u64::from(slot) * SLOT_BYTES
}
