//! What a runner says of an open run, and what is done about it.

use std::{collections::VecDeque, future::pending, time::Duration};

use rework_core::{
    claim::Payload,
    frame::Frame,
    frames::FramesError,
    operation::Form,
    protocol::{Done, FromRunner, ToRunner},
    report::{Child, Line},
};
use serde_json::json;

use tokio::time::Instant;

use super::{End, OpenRun};
use crate::{
    ending::Sentence,
    lines::MAX_LINE_BYTES,
    recorder::{Answer, Recorder},
};

/// From the end of a runner's socket to its exit.
const EXIT_FOLLOWS: Duration = Duration::from_secs(1);

/// Longest name of a logger that is kept: it is stored with every line.
const MAX_LOGGER_CHARS: usize = 200;

impl OpenRun<'_> {
    pub(super) fn on_frame(
        &mut self,
        frame: Result<Option<Frame>, FramesError>,
        recorder: &Recorder,
    ) -> Option<End> {
        let frame = match frame {
            Ok(Some(frame)) => frame,
            // It closed its socket: its exit follows, or there is no use in it.
            Ok(None) => {
                self.runner.frames = None;
                self.front.kill_at.get_or_insert_with(|| Instant::now() + EXIT_FOLLOWS);
                return None;
            }
            Err(error) => {
                self.pass(Sentence::Broken(error.to_string()));
                // What cannot be read stays so, and would be found again at once, for ever.
                self.runner.frames = None;
                return None;
            }
        };
        let message = match frame.of_type("done") {
            Some(done) => done.map(FromRunner::Done),
            None => frame.message(),
        };
        match message {
            Ok(message) => self.on_message(message, frame.body, recorder),
            Err(error) => {
                self.pass(Sentence::Broken(error.to_string()));
                None
            }
        }
    }

    fn on_message(
        &mut self,
        message: FromRunner,
        body: Vec<u8>,
        recorder: &Recorder,
    ) -> Option<End> {
        if run_of(&message) != Some(self.front.key()) {
            if let FromRunner::Revoked { task, run } = message
                && self.on_revoked((task, run), recorder)
            {
                return None;
            }
            if is_late(&message) {
                tracing::debug!("a frame of a run that has ended was left aside");
                return None;
            }
            self.pass(Sentence::Broken("a frame of a run that is not open".to_owned()));
            return None;
        }
        match message {
            FromRunner::Done(Done { output, span, .. }) => {
                self.front.span = span;
                if let Some(form) = output {
                    self.on_output(form == Form::Bytes, body);
                }
                return Some(End::Done);
            }
            FromRunner::Failed(failure) => {
                self.front.span = failure.span;
                return Some(End::Failed(failure));
            }
            FromRunner::Revoked { .. }
                if self.front.sentence.is_some() || self.series.is_revoked() =>
            {
                return Some(End::Revoked);
            }
            FromRunner::Log { level, logger, .. } => {
                self.log(known_level(&level), &stream_of(&logger), &body);
            }
            FromRunner::Progress { done, total, message, .. } => {
                let progress = json!({"done": done, "total": total, "message": message});
                self.front.progress = Some(progress.to_string());
            }
            FromRunner::Output { raw, .. } => self.on_output(raw, body),
            asked @ FromRunner::Schedule { .. } => self.on_schedule(asked, body, recorder),
            FromRunner::Store { .. } | FromRunner::Revoked { .. } | FromRunner::Hello { .. } => {
                self.pass(Sentence::Broken("a frame that has no place in this run".to_owned()));
            }
        }
        None
    }

    fn on_schedule(&mut self, asked: FromRunner, body: Vec<u8>, recorder: &Recorder) {
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
            return;
        };
        match payload(raw, has_input, body) {
            Ok(input) => {
                let child = Child {
                    number: number as i32,
                    operation,
                    domain,
                    priority: i32::from(priority),
                    delay_ms: delay_ms.map(|ms| ms as i64),
                    input,
                };
                let answer = recorder.child(self.fence(), child);
                self.front.scheduling.push_back((number, answer));
            }
            Err(why) => self.pass(Sentence::Broken(format!("an input that is {why}"))),
        }
    }

    fn on_output(&mut self, raw: bool, body: Vec<u8>) {
        match payload(raw, true, body) {
            Ok(output) => {
                self.front.output = output;
                self.front.unsaved_output = true;
            }
            Err(why) => self.pass(Sentence::Broken(format!("an output that is {why}"))),
        }
    }

    /// A line longer than a row is several, as on the streams.
    fn log(&mut self, level: &'static str, stream: &str, text: &[u8]) {
        let at = chrono::Utc::now();
        let pieces = text.len().div_ceil(MAX_LINE_BYTES).max(1);
        self.front.lines.extend((1..=pieces).map(|piece| {
            let from = (piece - 1) * MAX_LINE_BYTES;
            let bytes = text[from..text.len().min(piece * MAX_LINE_BYTES)].to_vec();
            Line { at, stream: stream.to_owned(), level, bytes, whole: piece == pieces }
        }));
    }

    pub(super) fn on_scheduled(&mut self, scheduled: (u32, Result<Option<i64>, String>)) {
        let (number, answer) = scheduled;
        let (task, error) = match answer {
            Ok(Some(task)) => (Some(task), None),
            Ok(None) => (None, Some("this run is not current any more".to_owned())),
            Err(error) => (None, Some(error)),
        };
        if let Some(frames) = &mut self.runner.frames
            && let Err(error) = frames.send(&ToRunner::Scheduled { number, task, error }, &[])
        {
            self.pass(Sentence::Broken(error.to_string()));
        }
    }
}

/// The answer to the oldest request to schedule; none for ever where there is none.
pub(super) async fn first(
    scheduling: &mut VecDeque<(u32, Answer<Option<i64>>)>,
) -> (u32, Result<Option<i64>, String>) {
    let Some((number, answer)) = scheduling.front_mut() else { return pending().await };
    let number = *number;
    let answered = match answer.await {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(stopped) => Err(stopped.to_string()),
    };
    scheduling.pop_front();
    (number, answered)
}

fn run_of(message: &FromRunner) -> Option<(i64, i64)> {
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
fn is_late(message: &FromRunner) -> bool {
    matches!(
        message,
        FromRunner::Log { .. }
            | FromRunner::Progress { .. }
            | FromRunner::Output { .. }
            | FromRunner::Store { .. }
    )
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
