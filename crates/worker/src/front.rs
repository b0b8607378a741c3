//! The run that a runner has in hand: what it wrote and said so far, and why it is to end, if it is.

use std::{collections::VecDeque, time::Duration};

use nix::time::{ClockId, clock_gettime};
use rework_core::{
    operation::definition::{Limits, MAX_PAYLOAD_BYTES},
    task::{fence::Fence, payload::Payload, progress::Line},
    wire::runner::Span,
};
use tokio::time::Instant;

use crate::{
    ending::Sentence,
    lines::{Budget, Key},
    pace::LONG,
    recorder::{Answer, Held, Recorder},
};

/// Lines and progress wait no longer than this to be written.
const FLUSH: Duration = Duration::from_millis(200);

/// Lines that are written without waiting.
const FLUSH_LINES: usize = 2_000;

/// How often memory is looked at where there is a limit.
pub(crate) const SAMPLE: Duration = Duration::from_millis(100);

/// A run in progress.
pub(crate) struct Front {
    /// Which.
    pub held: Held,
    /// When it began, as far as we know.
    pub began: Instant,
    /// When it ran, as it says itself.
    pub span: Option<Span>,
    /// What it wrote and is not on its way yet.
    pub lines: Vec<Line>,
    /// What it may still write.
    pub budget: Budget,
    /// The last output that it gave.
    pub output: Payload,
    /// An output that was given under way, and is not on its way yet.
    pub unsaved_output: bool,
    /// How far it is, if that is not on its way yet.
    pub progress: Option<String>,
    /// Why it is to end, if it is.
    pub sentence: Option<Sentence>,
    /// When it is killed, if it is to end.
    pub kill_at: Option<Instant>,
    /// What it wants to schedule.
    pub scheduling: VecDeque<(u32, Answer<Option<i64>>)>,
    /// It takes long: its beginning is noted, and nothing waits behind it. The beginning of a short
    /// one is noted with its end.
    pub is_long: bool,
    /// When its memory is looked at next, where that is limited.
    pub sample_at: Option<Instant>,
    flush_at: Option<Instant>,
}

impl Front {
    /// Begins now, with the lines that it has written already.
    pub(crate) fn new(held: Held, limits: &Limits, lines: Vec<Line>) -> Front {
        let now = Instant::now();
        Front {
            held,
            began: now,
            span: None,
            flush_at: (!lines.is_empty()).then_some(now + FLUSH),
            lines,
            budget: Budget::default(),
            output: Payload::None,
            unsaved_output: false,
            progress: None,
            sentence: None,
            kill_at: None,
            scheduling: VecDeque::new(),
            is_long: false,
            sample_at: limits.memory_bytes.map(|_| now + SAMPLE),
        }
    }

    /// Its fence.
    pub(crate) fn fence(&self) -> Fence {
        self.held.claimed.fence
    }

    /// Its task and run.
    pub(crate) fn key(&self) -> Key {
        self.held.key()
    }

    /// Sends what was written and reported on its way.
    pub(crate) fn flush(&mut self, recorder: &Recorder) {
        self.flush_at = None;
        self.flush_lines(recorder);
        let progress = self.progress.take();
        let unsaved =
            std::mem::take(&mut self.unsaved_output) && self.output.bytes() <= MAX_PAYLOAD_BYTES;
        let output = if unsaved { self.output.clone() } else { Payload::None };
        if progress.is_some() || output != Payload::None {
            recorder.save(self.fence(), progress, output);
        }
    }

    /// The same when it is over: its output goes with its end.
    pub(crate) fn flush_last(&mut self, recorder: &Recorder) {
        self.unsaved_output = false;
        self.flush(recorder);
        if let Some(mark) = self.budget.mark() {
            recorder.lines(self.fence(), vec![mark]);
        }
    }

    fn flush_lines(&mut self, recorder: &Recorder) {
        if self.lines.is_empty() {
            return;
        }
        let mut lines = std::mem::take(&mut self.lines);
        self.budget.keep(&mut lines);
        if !lines.is_empty() {
            recorder.lines(self.fence(), lines);
        }
    }

    /// Sends it on its way where there is much of it, else soon.
    pub(crate) fn look_after_lines(&mut self, recorder: &Recorder) {
        if self.lines.len() >= FLUSH_LINES {
            self.flush(recorder);
        } else if !self.lines.is_empty() || self.progress.is_some() || self.unsaved_output {
            self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH);
        }
    }

    /// When a run began and ended: as it says itself, within what can be; not before `since`.
    pub(crate) fn times(&self, since: Instant) -> (std::time::Instant, std::time::Instant) {
        let now = std::time::Instant::now();
        let Some(span) = self.span else { return (self.began.into_std(), now) };
        let now_us = clock_gettime(ClockId::CLOCK_MONOTONIC)
            .map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000);
        let moment = |us: i64| {
            let ago = Duration::from_micros(u64::try_from(now_us - us).unwrap_or_default());
            now.checked_sub(ago).unwrap_or(now)
        };
        let began = moment(span.began_us).clamp(since.into_std(), now);
        (began, moment(span.ended_us).clamp(began, now))
    }

    /// When its time is over, where that is limited and nothing else ends it before.
    pub(crate) fn timeout_at(&self, limits: &Limits) -> Option<Instant> {
        let limit = Duration::from_millis(limits.timeout_ms?.unsigned_abs());
        self.sentence.is_none().then_some(self.began + limit)
    }

    /// When something is to be done next.
    pub(crate) fn timer(&self, limits: &Limits) -> Option<Instant> {
        let begin = (!self.is_long).then_some(self.began + LONG);
        [begin, self.flush_at, self.timeout_at(limits), self.kill_at, self.sample_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether lines have waited long enough.
    pub(crate) fn flush_is_due(&self, now: Instant) -> bool {
        self.flush_at.is_some_and(|at| at <= now)
    }
}
