//! The life of a runner: it says what it can run, then runs what it is given, one run after the
//! other, on the thread that called `run`, until it is told to leave.

use std::process::ExitCode;
use std::sync::Arc;
use std::{io, thread};

use rework_wire::frame::{FrameError, encode};
use rework_wire::operation::Form;
use rework_wire::outbox::Outbox;
use rework_wire::runner::{Done, Failure, FromRunner, Span, VERSION};

use crate::clock::now_us;
use crate::execution::Executor;
use crate::inbox::Inbox;
use crate::inherited::Inherited;
use crate::leave::{self, Leave};
use crate::link::Link;
use crate::listener::WorkerListener;
use crate::operation::Operation;
use crate::output::Outcome;
use crate::page::Page;
use crate::reader::Reader;
use crate::task::State;
use crate::watch::Watch;
use crate::{Error, Task, current, stderr, streams};

/// Who we are, in `hello`.
const SDK: &str = concat!("rework-rust ", env!("CARGO_PKG_VERSION"));

/// The end of a run that took less can wait for the next one's: who took long to come to an end is told of
/// at once.
const SHORT_US: i64 = 1_000;

/// Why a runner cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The operations do not fit in a frame.
    #[error("the schemas of this program's operations are too large: {0}")]
    Hello(#[from] FrameError),
    /// The system gives no thread, no second descriptor, or no memory for the page.
    #[error("the runner cannot start: {0}")]
    System(#[from] io::Error),
}

/// Serves the worker until it says to leave, or its end of the socket closes.
pub(crate) fn serve(
    inherited: Inherited,
    executor: &Executor,
    state: Arc<State>,
) -> Result<ExitCode, ServeError> {
    let watch = Arc::new(Watch::new()?);
    let outbox = inherited.outbox.as_ref().map(Outbox::of).transpose()?;
    let link = Arc::new(Link::new(inherited.socket.try_clone()?, outbox, watch.clone()));
    let operations = executor.operations().iter().map(Operation::definition).collect();
    let hello =
        FromRunner::Hello { version: VERSION, sdk: SDK.to_owned(), operations, ahead: true };
    link.send(&hello)?;
    let page = inherited.page.as_ref().map(Page::of).transpose()?;
    let inbox = Arc::new(Inbox::default());
    let reader = Reader::new(inherited.socket, inbox.clone(), link.clone(), state);
    let listener =
        Arc::new(WorkerListener::new(reader, inbox.clone(), link.clone(), watch.clone()));
    let second = listener.clone();
    thread::Builder::new().name("rework-watch".to_owned()).spawn(move || second.stand_by())?;
    let mut now = now_us();
    while let Some(task) = listener.next(now) {
        note_begun(page.as_ref(), &task);
        let began_us = now_us();
        watch.begin(began_us);
        let outcome = executor.run(&task);
        now = now_us();
        let span = Span { began_us, ended_us: now };
        task.requests().close();
        current::leave();
        watch.end();
        if let Some(mark) = task.mark() {
            streams::part(mark);
            if streams::has_children() {
                let waiting = listener.take_back();
                waiting
                    .into_iter()
                    .try_for_each(|(task, run)| link.send(&FromRunner::Revoked { task, run }))?;
            }
        }
        let can_wait = span.ended_us - began_us < SHORT_US && inbox.goes_on();
        task.send_last(&ending(&task, outcome, span), can_wait.then_some(now));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever finds this process dead reads there whether the run had begun.
fn note_begun(page: Option<&Page>, task: &Task) {
    if page.is_some_and(|page| !page.note(task.slot(), task.key())) {
        stderr::error(&format!(
            "the worker names slot {}, which its page does not have",
            task.slot()
        ));
        leave::now(Leave::NotOurs);
    }
}

/// The last frame of a run.
fn ending(task: &Task, outcome: Outcome, span: Span) -> Vec<u8> {
    let (id, run) = task.key();
    let done = outcome.and_then(|output| {
        let form = output.as_ref().map(|output| if output.raw { Form::Bytes } else { Form::Json });
        let done = FromRunner::Done(Done { task: id, run, output: form, span: Some(span) });
        let body = output.map(|output| output.bytes).unwrap_or_default();
        encode(&done, &body).map_err(|error| {
            Error::of(Failure::OUTPUT.into(), format!("the output cannot be sent: {error}"))
        })
    });
    done.unwrap_or_else(|error| {
        let failure = Failure { span: Some(span), ..error.into_failure(id, run) };
        bounded_frame(&FromRunner::Failed(failure))
    })
}

/// A frame whose parts are bounded where they are made, so that there is no limit to pass.
fn bounded_frame(message: &FromRunner) -> Vec<u8> {
    let frame = encode(message, &[]);
    debug_assert!(frame.is_ok(), "a frame past its limits: {frame:?}");
    frame.unwrap_or_default()
}
