//! An open run: from the moment its code begins until it has returned, exited, or must be killed.

use std::{collections::VecDeque, future::pending, time::Duration};

use nix::sys::signal::Signal;
use rework_core::{
    claim::{Fence, Payload},
    frame::Frame,
    operation::Limits,
    protocol::{Failure, FromRunner, ToRunner},
    report::{Child, Line},
};
use rework_process::Exit;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::{
    ending::Sentence,
    frames::FramesError,
    life::{Event, Life},
    lines::Budget,
    recorder::{Answer, Recorder},
    runner::Runner,
};

/// Lines and progress wait no longer than this to be written.
const FLUSH: Duration = Duration::from_millis(200);

/// Lines that are written without waiting.
const FLUSH_LINES: usize = 2_000;

/// A run that lasts so long is noted as begun; a shorter one is noted with its end.
const NOTE_BEGIN: Duration = Duration::from_millis(100);

/// How often memory is looked at where there is a limit.
const SAMPLE: Duration = Duration::from_millis(100);

/// A run in progress.
pub(crate) struct OpenRun<'a> {
    /// Whose it is.
    pub fence: Fence,
    /// Where it runs.
    pub runner: &'a mut Runner,
    /// What it may take.
    pub limits: &'a Limits,
    /// Its revision, in words.
    pub revision: String,
    /// When it began.
    pub began: Instant,
    /// What it wrote and is not on its way yet.
    pub lines: Vec<Line>,
    /// What it may still write.
    pub budget: Budget,
    /// The last output that it gave.
    pub output: Payload,
    /// Why it is to end, if it is.
    pub sentence: Option<Sentence>,
    progress: Option<String>,
    unsaved_output: bool,
    scheduling: VecDeque<(u32, Answer<Option<i64>>)>,
    begin_noted: bool,
    flush_at: Option<Instant>,
    kill_at: Option<Instant>,
    sample_at: Option<Instant>,
}

/// How an open run came to its end.
#[derive(Debug)]
pub(crate) enum End {
    /// The code says that it returned.
    Done,
    /// The code says that it failed.
    Failed(Failure),
    /// The process ended.
    Exited(Exit),
    /// The grace is over: all of it is to be killed.
    GraceOver,
    /// The run is somebody else's now: all of it is to be killed, and nothing recorded.
    LeaseLost,
}

impl<'a> OpenRun<'a> {
    /// Begins now.
    pub(crate) fn new(
        fence: Fence,
        runner: &'a mut Runner,
        limits: &'a Limits,
        lines: Vec<Line>,
    ) -> OpenRun<'a> {
        let now = Instant::now();
        OpenRun {
            fence,
            limits,
            revision: runner.revision.to_string(),
            runner,
            began: now,
            flush_at: (!lines.is_empty()).then_some(now + FLUSH),
            lines,
            budget: Budget::default(),
            output: Payload::None,
            sentence: None,
            progress: None,
            unsaved_output: false,
            scheduling: VecDeque::new(),
            begin_noted: false,
            kill_at: None,
            sample_at: limits.memory_bytes.map(|_| now + SAMPLE),
        }
    }

    /// Until the end.
    pub(crate) async fn drive(&mut self, life: &mut Life, recorder: &Recorder) -> End {
        loop {
            let timer = self.next_timer(recorder);
            let Runner { child, frames, stdout, stderr, .. } = &mut *self.runner;
            let room = !recorder.is_full();
            let read = tokio::select! {
                biased;
                event = life.next(Some(self.fence)) => {
                    match event {
                        Event::Abort(cause, reason) => self.pass(Sentence::Abort(cause, reason)),
                        Event::LeaseLost => return End::LeaseLost,
                        Event::Woken | Event::Retired => {}
                    }
                    Ok(())
                }
                () = sleep_until(timer) => {
                    if self.on_timer(recorder) {
                        return End::GraceOver;
                    }
                    Ok(())
                }
                frame = Runner::next(frames) => {
                    if let Some(end) = self.on_frame(frame, recorder) {
                        return end;
                    }
                    Ok(())
                }
                scheduled = first(&mut self.scheduling) => {
                    self.on_scheduled(scheduled);
                    Ok(())
                }
                exit = child.wait() => match exit {
                    Ok(exit) => return End::Exited(exit),
                    Err(error) => Err(error),
                },
                read = stdout.read(), if room && stdout.is_open() => {
                    read.map(|bytes| stdout.split(&bytes, &mut self.lines))
                }
                read = stderr.read(), if room && stderr.is_open() => {
                    read.map(|bytes| stderr.split(&bytes, &mut self.lines))
                }
            };
            if let Err(error) = read {
                self.pass(Sentence::Broken(error.to_string()));
            }
            self.look_after_lines(recorder);
        }
    }

    /// Sends what was written and reported on its way.
    pub(crate) fn flush(&mut self, recorder: &Recorder) {
        self.flush_at = None;
        let mut lines = std::mem::take(&mut self.lines);
        self.budget.keep(&mut lines);
        if !lines.is_empty() {
            recorder.lines(self.fence, lines);
        }
        let progress = self.progress.take();
        let unsaved = std::mem::take(&mut self.unsaved_output);
        let output = if unsaved { self.output.clone() } else { Payload::None };
        if progress.is_some() || output != Payload::None {
            recorder.save(self.fence, progress, output);
        }
    }

    /// Milliseconds since it began.
    pub(crate) fn elapsed_ms(&self) -> i64 {
        self.began.elapsed().as_millis() as i64
    }

    fn look_after_lines(&mut self, recorder: &Recorder) {
        if self.lines.len() >= FLUSH_LINES {
            self.flush(recorder);
        } else if !self.lines.is_empty() || self.progress.is_some() || self.unsaved_output {
            self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH);
        }
    }

    fn timeout_at(&self) -> Option<Instant> {
        let limit = Duration::from_millis(self.limits.timeout_ms?.unsigned_abs());
        self.sentence.is_none().then_some(self.began + limit)
    }

    fn next_timer(&self, recorder: &Recorder) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let begin = (!self.begin_noted).then_some(self.began + NOTE_BEGIN);
        let room = recorder.is_full().then(|| Instant::now() + SAMPLE);
        [begin, self.flush_at, self.timeout_at(), self.kill_at, self.sample_at, room]
            .into_iter()
            .flatten()
            .fold(far, Instant::min)
    }

    /// Whatever is due. True: the grace is over.
    fn on_timer(&mut self, recorder: &Recorder) -> bool {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.kill_at) {
            return true;
        }
        if !self.begin_noted && now >= self.began + NOTE_BEGIN {
            self.begin_noted = true;
            recorder.begin(self.fence, self.elapsed_ms(), self.revision.clone());
        }
        if due(self.flush_at) {
            self.flush(recorder);
        }
        if due(self.timeout_at()) {
            let limit = self.limits.timeout_ms.unwrap_or_default().unsigned_abs();
            self.pass(Sentence::Timeout(Duration::from_millis(limit)));
        }
        if due(self.sample_at) {
            self.sample_at = Some(now + SAMPLE);
            if let Some(sentence) = self.over_memory() {
                // It would only take more: there is no grace.
                self.sentence.get_or_insert(sentence);
                self.kill_at = Some(now);
            }
        }
        false
    }

    /// The sentence for a tree that is past its memory.
    pub(crate) fn over_memory(&mut self) -> Option<Sentence> {
        let limit = self.limits.memory_bytes?.unsigned_abs();
        let used = self.runner.tree.exceeded()?;
        Some(Sentence::Memory { used, limit, sampled: self.runner.sampled })
    }

    /// The run is to end: it is asked to, and killed when its grace is over.
    fn pass(&mut self, sentence: Sentence) {
        if self.sentence.is_some() {
            return;
        }
        let grace = Duration::from_millis(self.limits.grace_ms.unsigned_abs());
        let broken = matches!(sentence, Sentence::Broken(_));
        self.kill_at = Some(Instant::now() + if broken { Duration::ZERO } else { grace });
        let reason = sentence.verdict().reason.unwrap_or_default();
        self.sentence = Some(sentence);
        let asked = match &mut self.runner.frames {
            Some(frames) => {
                let Fence { task, run, .. } = self.fence;
                frames.send(&ToRunner::Abort { task, run, reason }, &[]).is_ok()
            }
            None => self.runner.tree.signal(Signal::SIGTERM).is_ok(),
        };
        if !asked {
            self.kill_at = Some(Instant::now());
        }
    }

    fn on_frame(
        &mut self,
        frame: Result<Option<Frame>, FramesError>,
        recorder: &Recorder,
    ) -> Option<End> {
        let frame = match frame {
            Ok(Some(frame)) => frame,
            // It closed its socket: its exit follows, or there is no use in it.
            Ok(None) => {
                self.runner.frames = None;
                return None;
            }
            Err(error) => {
                self.pass(Sentence::Broken(error.to_string()));
                return None;
            }
        };
        match frame.message::<FromRunner>() {
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
        if run_of(&message) != Some((self.fence.task, self.fence.run)) {
            self.pass(Sentence::Broken("a frame of a run that is not open".to_owned()));
            return None;
        }
        match message {
            FromRunner::Done { .. } => return Some(End::Done),
            FromRunner::Failed(failure) => return Some(End::Failed(failure)),
            FromRunner::Log { level, logger, .. } => {
                let level = known_level(&level);
                let at = chrono::Utc::now();
                self.lines.push(Line { at, stream: logger, level, bytes: body, whole: true });
            }
            FromRunner::Progress { done, total, message, .. } => {
                let progress = json!({"done": done, "total": total, "message": message});
                self.progress = Some(progress.to_string());
            }
            FromRunner::Output { raw, .. } => match payload(raw, true, body) {
                Ok(output) => {
                    self.output = output;
                    self.unsaved_output = true;
                }
                Err(why) => self.pass(Sentence::Broken(format!("an output that is {why}"))),
            },
            FromRunner::Schedule {
                number,
                operation,
                domain,
                priority,
                delay_ms,
                has_input,
                raw,
                ..
            } => match payload(raw, has_input, body) {
                Ok(input) => {
                    let child = Child {
                        number: number as i32,
                        operation,
                        domain,
                        priority: i32::from(priority),
                        delay_ms: delay_ms.map(|ms| ms as i64),
                        input,
                    };
                    let answer = recorder.child(self.fence, child);
                    self.scheduling.push_back((number, answer));
                }
                Err(why) => self.pass(Sentence::Broken(format!("an input that is {why}"))),
            },
            FromRunner::Store { .. } | FromRunner::Revoked { .. } | FromRunner::Hello { .. } => {
                self.pass(Sentence::Broken("a frame that has no place in this run".to_owned()));
            }
        }
        None
    }

    fn on_scheduled(&mut self, scheduled: (u32, Result<Option<i64>, String>)) {
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
async fn first(
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
        | FromRunner::Done { task, run } => Some((*task, *run)),
        FromRunner::Failed(failure) => Some((failure.task, failure.run)),
        FromRunner::Hello { .. } => None,
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
