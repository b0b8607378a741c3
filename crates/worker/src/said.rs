//! What a runner says of a run that is open, and what becomes of it.

use std::{collections::VecDeque, future::pending};

use rework_core::{
    db::error::Result,
    operation::definition::Form,
    task::{
        payload::Payload,
        progress::{Child, Line},
    },
    wire::{
        frame::{Frame, FrameError},
        runner::{Done, FromRunner, ToRunner},
    },
};
use serde_json::json;
use tokio::sync::oneshot::error::RecvError;

use crate::{
    front::Front,
    lines::{Key, MAX_LINE_BYTES},
    open_run::End,
    recorder::{Answer, Recorder},
};

/// Longest name of a logger that is kept: it is stored with every line.
const MAX_LOGGER_CHARS: usize = 200;

/// What a message makes of its run.
pub(crate) enum Heard {
    /// It goes on.
    On,
    /// It is over.
    End(End),
    /// What was said cannot be: why, in words.
    Broken(String),
}

/// The message in a frame.
pub(crate) fn message(frame: &Frame) -> Result<FromRunner, FrameError> {
    match frame.of_type("done") {
        Some(done) => done.map(FromRunner::Done),
        None => frame.message(),
    }
}

impl Front {
    /// Takes what was said of this run. `revocable`: it was taken back, or asked to end.
    pub(crate) fn hear(
        &mut self,
        message: FromRunner,
        body: Vec<u8>,
        revocable: bool,
        recorder: &Recorder,
    ) -> Heard {
        match message {
            FromRunner::Done(Done { output, span, .. }) => {
                self.span = span;
                match output.map(|form| self.on_output(form == Form::Bytes, body)) {
                    Some(Heard::Broken(why)) => return Heard::Broken(why),
                    _ => return Heard::End(End::Done),
                }
            }
            FromRunner::Failed(failure) => {
                self.span = failure.span;
                return Heard::End(End::Failed(failure));
            }
            FromRunner::Revoked { .. } if revocable => return Heard::End(End::Revoked),
            FromRunner::Log { level, logger, .. } => {
                self.log(known_level(&level), &stream_of(&logger), &body);
            }
            FromRunner::Progress { done, total, message, .. } => {
                let progress = json!({"done": done, "total": total, "message": message});
                self.progress = Some(progress.to_string());
            }
            FromRunner::Output { raw, .. } => return self.on_output(raw, body),
            asked @ FromRunner::Schedule { .. } => return self.on_schedule(asked, body, recorder),
            FromRunner::Store { .. } | FromRunner::Revoked { .. } | FromRunner::Hello { .. } => {
                return Heard::Broken("a frame that has no place in this run".to_owned());
            }
        }
        Heard::On
    }

    fn on_schedule(&mut self, asked: FromRunner, body: Vec<u8>, recorder: &Recorder) -> Heard {
        let FromRunner::Schedule {
            number,
            operation,
            domain,
            priority,
            delay_ms,
            has_input,
            raw,
            ..
        } = asked
        else {
            return Heard::On;
        };
        match payload(raw, has_input, body) {
            Ok(input) => {
                let child = Child {
                    number: number as i32,
                    operation,
                    domain,
                    priority: priority.map(i32::from),
                    delay_ms: delay_ms.map(|ms| ms as i64),
                    input,
                };
                let answer = recorder.child(self.fence(), child);
                self.scheduling.push_back((number, answer));
                Heard::On
            }
            Err(why) => Heard::Broken(format!("an input that is {why}")),
        }
    }

    fn on_output(&mut self, raw: bool, body: Vec<u8>) -> Heard {
        match payload(raw, true, body) {
            Ok(output) => {
                self.output = output;
                self.unsaved_output = true;
                Heard::On
            }
            Err(why) => Heard::Broken(format!("an output that is {why}")),
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

/// The number of a request within its run, and the id of the task that was made; none: the run is not current.
pub(crate) type Scheduled = (u32, Result<Option<i64>, String>);

/// The answer to the oldest request to schedule; none for ever where there is none.
pub(crate) async fn first(scheduling: &mut VecDeque<(u32, Answer<Option<i64>>)>) -> Scheduled {
    let Some((number, answer)) = scheduling.front_mut() else { return pending().await };
    let number = *number;
    let answered = self::answer(answer.await);
    scheduling.pop_front();
    (number, answered)
}

/// The run that a message is about.
pub(crate) fn run_of(message: &FromRunner) -> Option<Key> {
    match message {
        FromRunner::Log { task, run, .. }
        | FromRunner::Progress { task, run, .. }
        | FromRunner::Output { task, run, .. }
        | FromRunner::Store { task, run }
        | FromRunner::Schedule { task, run, .. }
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
        FromRunner::Log { .. }
            | FromRunner::Progress { .. }
            | FromRunner::Output { .. }
            | FromRunner::Store { .. }
    )
}

/// What came of a request, as the runner is told.
pub(crate) fn answer(
    answered: Result<Result<Option<i64>>, RecvError>,
) -> Result<Option<i64>, String> {
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
