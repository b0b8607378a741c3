//! An open run: from the moment its code begins until it has returned, exited, or must be killed.

mod messages;

use std::{collections::VecDeque, time::Duration};

use nix::sys::signal::Signal;
use rework_core::{
    claim::{Fence, Payload},
    operation::{Limits, MAX_PAYLOAD_BYTES},
    protocol::{Failure, ToRunner},
    report::Line,
};
use rework_process::Exit;
use tokio::time::{Instant, sleep_until};

use crate::{
    ending::Sentence,
    hand::Hand,
    life::{Event, Life},
    lines::Budget,
    pace::LONG,
    recorder::{Answer, Recorder},
    runner::Runner,
};

/// Lines and progress wait no longer than this to be written.
const FLUSH: Duration = Duration::from_millis(200);

/// Lines that are written without waiting.
const FLUSH_LINES: usize = 2_000;

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
    /// It takes long: its beginning is noted, and nothing waits behind it. The beginning of a short
    /// one is noted with its end.
    is_long: bool,
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
    /// It was asked to end before it had begun, and will not begin.
    Revoked,
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
            is_long: false,
            kill_at: None,
            sample_at: limits.memory_bytes.map(|_| now + SAMPLE),
        }
    }

    /// Until the end. What waits `behind` it goes back to the queue when it takes long.
    pub(crate) async fn drive(
        &mut self,
        life: &mut Life,
        recorder: &Recorder,
        behind: &mut Hand,
    ) -> End {
        loop {
            let timer = self.next_timer(recorder);
            let Runner { child, frames, stdout, stderr, .. } = &mut *self.runner;
            let room = !recorder.is_full();
            let read = tokio::select! {
                biased;
                event = life.next(Some(self.fence)) => {
                    match event {
                        Event::Abort(abort) if abort.names(self.fence) => {
                            self.pass(Sentence::Abort(abort.cause, abort.reason));
                        }
                        Event::Abort(abort) => behind.abort(&abort, recorder),
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
                frame = Runner::next(frames), if room => {
                    if let Some(end) = self.on_frame(frame, recorder) {
                        return end;
                    }
                    Ok(())
                }
                scheduled = messages::first(&mut self.scheduling) => {
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
            if let Some(why) = life.retired() {
                behind.give_back(&format!("its worker was leaving: {why}"), recorder);
            } else if self.is_long {
                behind.give_back("the task before it took long", recorder);
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
        let unsaved =
            std::mem::take(&mut self.unsaved_output) && self.output.bytes() <= MAX_PAYLOAD_BYTES;
        let output = if unsaved { self.output.clone() } else { Payload::None };
        if progress.is_some() || output != Payload::None {
            recorder.save(self.fence, progress, output);
        }
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
        let begin = (!self.is_long).then_some(self.began + LONG);
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
        if !self.is_long && now >= self.began + LONG {
            self.is_long = true;
            recorder.begin(self.fence, self.began, self.revision.clone());
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
}
