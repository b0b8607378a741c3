//! Messages of a runner about one of its open runs.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::Poll,
};

use rework_core::{
    db::error::Result,
    task::{
        payload::Payload,
        progress::{Child, Line},
    },
};
use rework_wire::{
    frame::{Frame, FrameError},
    operation::Form,
    runner::{Done, FromRunner, ScheduleRequest, ToRunner},
};
use serde_json::json;
use tokio::sync::oneshot::error::RecvError;

use crate::{
    active_run::ActiveRun, claimed_run::Key, ending::End, lines::MAX_LINE_BYTES, recorder::Recorder,
};

/// Longest name of a logger that is kept: it is stored with every line.
const MAX_LOGGER_CHARS: usize = 200;

/// What a message means for its run.
pub(crate) enum Handled {
    /// The run goes on.
    GoesOn,
    /// The run has ended.
    Ended(End),
    /// The protocol does not allow this message here: why, in words.
    Broken(String),
}

/// The message in a frame.
pub(crate) fn message(frame: &Frame) -> Result<FromRunner, FrameError> {
    match frame.of_type("done") {
        Some(done) => done.map(FromRunner::Done),
        None => frame.message(),
    }
}

impl ActiveRun {
    /// Handles a message about this run. `revocable` says whether the worker has taken the run back or told it
    /// to stop, so that the runner may answer that it has not started it.
    pub(crate) fn handle(
        &mut self,
        message: FromRunner,
        body: Vec<u8>,
        revocable: bool,
        recorder: &Recorder,
    ) -> Handled {
        match message {
            FromRunner::Done(Done { output, span, .. }) => {
                self.span = span;
                match output.map(|form| self.on_output(form == Form::Bytes, body)) {
                    Some(Handled::Broken(why)) => return Handled::Broken(why),
                    _ => return Handled::Ended(End::Done),
                }
            }
            FromRunner::Failed(failure) => {
                self.span = failure.span;
                return Handled::Ended(End::Failed(failure));
            }
            FromRunner::Revoked { .. } if revocable => return Handled::Ended(End::NotStarted),
            FromRunner::Log { level, logger, .. } => {
                self.log(known_level(&level), &stream_of(&logger), &body);
            }
            FromRunner::Progress { done, total, message, .. } => {
                let progress = json!({"done": done, "total": total, "message": message});
                self.progress = Some(progress.to_string());
            }
            FromRunner::Output { raw, .. } => return self.on_output(raw, body),
            FromRunner::Schedule(request) => return self.on_schedule(request, body, recorder),
            FromRunner::Revoked { .. } | FromRunner::Hello { .. } => {
                return Handled::Broken("a frame that has no place in this run".to_owned());
            }
        }
        Handled::GoesOn
    }

    fn on_schedule(
        &mut self,
        request: ScheduleRequest,
        body: Vec<u8>,
        recorder: &Recorder,
    ) -> Handled {
        match payload(request.raw, request.has_input, body) {
            Ok(input) => {
                let child = Child {
                    number: request.number as i32,
                    operation: request.operation,
                    domain: request.domain,
                    priority: request.priority.map(i32::from),
                    delay_ms: request.delay_ms.map(|ms| ms as i64),
                    input,
                };
                let answer = recorder.child(self.fence(), child);
                self.scheduling.push_back((request.number, answer));
                Handled::GoesOn
            }
            Err(why) => Handled::Broken(format!("an input that is {why}")),
        }
    }

    fn on_output(&mut self, raw: bool, body: Vec<u8>) -> Handled {
        match payload(raw, true, body) {
            Ok(output) => {
                self.output = output;
                self.unsaved_output = true;
                Handled::GoesOn
            }
            Err(why) => Handled::Broken(format!("an output that is {why}")),
        }
    }

    /// A line longer than a row is several, as on the streams.
    fn log(&mut self, level: &'static str, stream: &str, text: &[u8]) {
        let at = chrono::Utc::now();
        let pieces = text.len().div_ceil(MAX_LINE_BYTES).max(1);
        self.lines.extend((1..=pieces).map(|piece| {
            let from = (piece - 1) * MAX_LINE_BYTES;
            let bytes = text[from..text.len().min(piece * MAX_LINE_BYTES)].to_vec();
            Line { at, stream: stream.to_owned(), level, bytes, whole: piece == pieces }
        }));
    }

    /// The answer to a request of this run.
    pub(crate) fn scheduled(&self, (number, answer): Scheduled) -> ToRunner {
        let (task, error) = match answer {
            Ok(Some(task)) => (Some(task), None),
            Ok(None) => (None, Some("this run is not current any more".to_owned())),
            Err(error) => (None, Some(error)),
        };
        let (parent, parent_run) = self.key();
        ToRunner::Scheduled { parent, parent_run, number, task, error }
    }
}

/// The number of a request within its run, and the id of the task that was scheduled; `None` if the run is no longer
/// current.
pub(crate) type Scheduled = (u32, Result<Option<i64>, String>);

/// Waits for the next answer to a request to schedule; with the place of its run in `open`.
pub(crate) async fn next_scheduled(open: &mut [ActiveRun]) -> (usize, Scheduled) {
    poll_fn(|context| {
        for (place, run) in open.iter_mut().enumerate() {
            let Some((number, answer)) = run.scheduling.front_mut() else { continue };
            if let Poll::Ready(answered) = Pin::new(answer).poll(context) {
                let answer = (*number, answer_of(answered));
                run.scheduling.pop_front();
                return Poll::Ready((place, answer));
            }
        }
        Poll::Pending
    })
    .await
}

/// The run that a message is about.
pub(crate) fn run_of(message: &FromRunner) -> Option<Key> {
    match message {
        FromRunner::Log { task, run, .. }
        | FromRunner::Progress { task, run, .. }
        | FromRunner::Output { task, run, .. }
        | FromRunner::Schedule(ScheduleRequest { task, run, .. })
        | FromRunner::Revoked { task, run }
        | FromRunner::Done(Done { task, run, .. }) => Some((*task, *run)),
        FromRunner::Failed(failure) => Some((failure.task, failure.run)),
        FromRunner::Hello { .. } => None,
    }
}

/// A logger's name as the log can hold it: one that it refused would take the lines beside it along.
fn stream_of(logger: &str) -> String {
    logger.chars().take(MAX_LOGGER_CHARS).map(|c| if c == '\0' { '\u{2400}' } else { c }).collect()
}

/// What may come of a run after its end from a thread that did not know of it.
pub(crate) fn is_late(message: &FromRunner) -> bool {
    matches!(
        message,
        FromRunner::Log { .. } | FromRunner::Progress { .. } | FromRunner::Output { .. }
    )
}

fn answer_of(answered: Result<Result<Option<i64>>, RecvError>) -> Result<Option<i64>, String> {
    match answered {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(stopped) => Err(stopped.to_string()),
    }
}

/// The levels that the log knows; what a runner calls otherwise is `INFO`.
fn known_level(level: &str) -> &'static str {
    ["ERROR", "WARNING", "INFO", "DEBUG", "TRACE"]
        .into_iter()
        .find(|known| *known == level)
        .unwrap_or("INFO")
}

fn payload(raw: bool, given: bool, body: Vec<u8>) -> Result<Payload, &'static str> {
    if !given {
        return Ok(Payload::None);
    }
    if raw {
        return Ok(Payload::Bytes(body));
    }
    let text = String::from_utf8(body).map_err(|_| "not UTF-8")?;
    serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|_| "not JSON")?;
    Ok(Payload::Json(text))
}
