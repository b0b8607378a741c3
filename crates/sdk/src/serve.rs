//! The life of a runner: it says what it can run, then runs what it is given, one run after the
//! other, on the thread that called `run`, until it is told to leave.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::{io, thread};

use rework_core::control::SLOT_BYTES;
use rework_core::frame::{FrameError, encode};
use rework_core::protocol::{FromRunner, VERSION};

use crate::execution::Executor;
use crate::inbox::Inbox;
use crate::inherited::Inherited;
use crate::link::Link;
use crate::operation::Operation;
use crate::output::Outcome;
use crate::reader::Reader;
use crate::task::State;
use crate::{Task, current};

/// Who we are, in `hello`.
const SDK: &str = concat!("rework-rust ", env!("CARGO_PKG_VERSION"));

/// Why a runner cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The operations do not fit in a frame.
    #[error("the schemas of this program's operations are too large: {0}")]
    Hello(#[from] FrameError),
    /// The system gives no thread, or no second descriptor.
    #[error("the runner cannot start: {0}")]
    System(#[from] io::Error),
}

/// Serves the worker until it says to leave, or its end of the socket closes.
pub(crate) fn serve(
    inherited: Inherited,
    executor: &Executor,
    state: Arc<State>,
) -> Result<ExitCode, ServeError> {
    let link = Arc::new(Link::new(inherited.socket.try_clone()?));
    let operations = executor.operations().iter().map(Operation::definition).collect();
    link.send(&FromRunner::Hello { version: VERSION, sdk: SDK.to_owned(), operations })?;
    let inbox = Arc::new(Inbox::default());
    let reader = Reader::new(inbox.clone(), link.clone(), state);
    thread::Builder::new()
        .name("rework-reader".to_owned())
        .spawn(move || reader.read(inherited.socket))?;
    while let Some(task) = inbox.next() {
        note_begun(inherited.page.as_ref(), &task);
        let outcome = executor.run(&task);
        task.requests().close();
        current::leave();
        task.send_last(&ending(&task, outcome));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever finds this process dead reads there whether the run had begun.
fn note_begun(page: Option<&File>, task: &Task) {
    let place = u64::from(task.slot()) * SLOT_BYTES;
    let (task, run) = task.key();
    let mut note = [0; SLOT_BYTES as usize];
    note[..8].copy_from_slice(&task.to_le_bytes());
    note[8..].copy_from_slice(&run.to_le_bytes());
    if let Some(Err(error)) = page.map(|page| page.write_all_at(&note, place)) {
        tracing::error!("the beginning of the run cannot be noted: {error}");
    }
}

/// The last frames of a run: they leave together.
fn ending(task: &Task, outcome: Outcome) -> Vec<u8> {
    let (id, run) = task.key();
    let output = outcome.and_then(|output| match output {
        Some(output) => task.encode_output(&output),
        None => Ok(Vec::new()),
    });
    match output {
        Ok(mut frames) => {
            frames.extend(bounded_frame(&FromRunner::Done { task: id, run }));
            frames
        }
        Err(error) => bounded_frame(&FromRunner::Failed(error.into_failure(id, run))),
    }
}

/// A frame whose parts are bounded where they are made, so that there is no limit to pass.
fn bounded_frame(message: &FromRunner) -> Vec<u8> {
    let frame = encode(message, &[]);
    debug_assert!(frame.is_ok(), "a frame past its limits: {frame:?}");
    frame.unwrap_or_default()
}
