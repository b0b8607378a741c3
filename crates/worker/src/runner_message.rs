//! Handles the messages of a runner about one of its open runs: log lines, progress, output, requests to schedule a
//! task, and the end.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::Poll,
};

use rework_core::{
    db::error::Result,
    task::{
        payload::Payload,
        progress::{ChildTask, NewLogLine},
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
    active_run::ActiveRun, claimed_run::RunKey, ending::RunEnd, line_splitter::MAX_LINE_BYTES,
    recorder::Recorder,
};

/// The longest name of a logger that is kept, in characters. It is stored with every line.
const MAX_LOGGER_CHARS: usize = 200;

/// The most loggers of a run whose last line may be unfinished. Above it, the next text of the oldest one begins a new
/// line.
const MAX_PARTIAL_LOGGERS: usize = 100;

/// The effect of a message on its run.
pub(crate) enum Handled {
    /// The run continues.
    Continue,
    /// The run has ended.
    Ended(RunEnd),
    /// The protocol does not allow this message here, for this reason.
    Broken(String),
}

/// Decodes the message in a frame. `done` is tried first, because it is by far the most frequent.
pub(crate) fn message(frame: &Frame) -> Result<FromRunner, FrameError> {
    match frame.message_of_type("done") {
        Some(done) => done.map(FromRunner::Done),
        None => frame.message(),
    }
}

impl ActiveRun {
    /// Handles a message about this run. `revocable` is whether the worker has revoked the run or ordered it to stop,
    /// so that the runner may answer that it has not started it.
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
                    _ => return Handled::Ended(RunEnd::Done),
                }
            }
            FromRunner::Failed(failure) => {
                self.span = failure.span;
                return Handled::Ended(RunEnd::Failed(failure));
            }
            FromRunner::Revoked { .. } if revocable => return Handled::Ended(RunEnd::NotStarted),
            FromRunner::Log { level, logger, partial, .. } => {
                self.log(log_level(&level), &stream_name(&logger), &body, partial);
            }
            FromRunner::Progress { done, total, message, .. } => {
                let progress = json!({"done": done, "total": total, "message": message});
                self.progress = Some(progress.to_string());
            }
            FromRunner::Output { raw, .. } => return self.on_output(raw, body),
            FromRunner::Schedule(request) => return self.on_schedule(request, body, recorder),
            FromRunner::Revoked { .. } | FromRunner::Hello { .. } | FromRunner::Checked { .. } => {
                return Handled::Broken("a frame that is not allowed in this run".to_owned());
            }
        }
        Handled::Continue
    }

    fn on_schedule(
        &mut self,
        request: ScheduleRequest,
        body: Vec<u8>,
        recorder: &Recorder,
    ) -> Handled {
        match payload(request.raw, request.has_input, body) {
            Ok(input) => {
                let child = ChildTask {
                    number: request.number as i32,
                    operation: request.operation,
                    domain: request.domain,
                    priority: request.priority.map(i32::from),
                    delay_ms: request.delay_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
                    input,
                };
                let answer = recorder.schedule_child(self.fence(), child);
                self.schedule_answers.push_back((request.number, answer));
                Handled::Continue
            }
            Err(why) => Handled::Broken(format!("an input that is {why}")),
        }
    }

    fn on_output(&mut self, raw: bool, body: Vec<u8>) -> Handled {
        match payload(raw, true, body) {
            Ok(output) => {
                self.output = output;
                self.unsaved_output = true;
                Handled::Continue
            }
            Err(why) => Handled::Broken(format!("an output that is {why}")),
        }
    }

    /// Adds a line of a logger, or, if it is `partial`, a piece of a line that the next text of the logger continues. A
    /// text longer than [`MAX_LINE_BYTES`] becomes several rows.
    fn log(&mut self, level: &'static str, stream: &str, text: &[u8], partial: bool) {
        let at = chrono::Utc::now();
        let continues = self.take_partial(stream, level);
        if partial {
            if self.partial_loggers.len() >= MAX_PARTIAL_LOGGERS {
                self.partial_loggers.remove(0);
            }
            self.partial_loggers.push((stream.to_owned(), level));
        }
        let pieces = text.len().div_ceil(MAX_LINE_BYTES).max(1);
        self.lines.extend((1..=pieces).map(|piece| {
            let from = (piece - 1) * MAX_LINE_BYTES;
            NewLogLine {
                at,
                stream: stream.to_owned(),
                level,
                bytes: text[from..text.len().min(piece * MAX_LINE_BYTES)].to_vec(),
                whole: piece == pieces && !partial,
                continues: piece > 1 || continues,
            }
        }));
    }

    /// Returns whether the last line of a logger is unfinished, and removes this information.
    fn take_partial(&mut self, stream: &str, level: &'static str) -> bool {
        let is_same = |(name, its_level): &(String, &str)| name == stream && *its_level == level;
        let index = self.partial_loggers.iter().position(is_same);
        index.map(|index| self.partial_loggers.remove(index)).is_some()
    }

    /// Returns the answer to a request of this run to schedule a task.
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

/// The number of a request within its run, and the id of the task that was scheduled; `None` if the run is not current
/// any more.
pub(crate) type Scheduled = (u32, Result<Option<i64>, String>);

/// Waits for the next answer to a request to schedule a task. Also returns the index of its run in `open`.
pub(crate) async fn next_scheduled(open: &mut [ActiveRun]) -> (usize, Scheduled) {
    poll_fn(|context| {
        for (index, run) in open.iter_mut().enumerate() {
            let Some((number, answer)) = run.schedule_answers.front_mut() else { continue };
            if let Poll::Ready(answered) = Pin::new(answer).poll(context) {
                let answer = (*number, flatten_answer(answered));
                run.schedule_answers.pop_front();
                return Poll::Ready((index, answer));
            }
        }
        Poll::Pending
    })
    .await
}

/// Returns the run that a message is about. `None` for `hello` and `checked`, which are about no run.
pub(crate) fn run_key(message: &FromRunner) -> Option<RunKey> {
    match message {
        FromRunner::Log { task, run, .. }
        | FromRunner::Progress { task, run, .. }
        | FromRunner::Output { task, run, .. }
        | FromRunner::Schedule(ScheduleRequest { task, run, .. })
        | FromRunner::Revoked { task, run }
        | FromRunner::Done(Done { task, run, .. }) => Some((*task, *run)),
        FromRunner::Failed(failure) => Some((failure.task, failure.run)),
        FromRunner::Hello { .. } | FromRunner::Checked { .. } => None,
    }
}

/// Returns a logger's name as the database can store it. A name with a NUL byte would make the statement fail, together
/// with all other lines in it.
fn stream_name(logger: &str) -> String {
    logger.chars().take(MAX_LOGGER_CHARS).map(|c| if c == '\0' { '\u{2400}' } else { c }).collect()
}

/// Returns whether a message may arrive after the end of its run, sent by a thread that did not
/// notice the end.
pub(crate) fn may_arrive_late(message: &FromRunner) -> bool {
    matches!(
        message,
        FromRunner::Log { .. } | FromRunner::Progress { .. } | FromRunner::Output { .. }
    )
}

fn flatten_answer(answered: Result<Result<Option<i64>>, RecvError>) -> Result<Option<i64>, String> {
    match answered {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(closed) => Err(closed.to_string()),
    }
}

/// Returns the level of a log line; `INFO` for an unknown one.
fn log_level(level: &str) -> &'static str {
    ["ERROR", "WARNING", "INFO", "DEBUG", "TRACE"]
        .into_iter()
        .find(|known| *known == level)
        .unwrap_or("INFO")
}

/// Returns the body of a frame as a payload. `Err` describes what is wrong with it.
fn payload(raw: bool, has_input: bool, body: Vec<u8>) -> Result<Payload, &'static str> {
    if !has_input {
        return Ok(Payload::None);
    }
    if raw {
        return Ok(Payload::Bytes(body));
    }
    let text = String::from_utf8(body).map_err(|_| "not UTF-8")?;
    serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|_| "not JSON")?;
    Ok(Payload::Json(text))
}
