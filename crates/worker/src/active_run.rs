//! A run that is open in a runner: what it wrote and sent so far, and why it was told to stop, if it was.

use std::{collections::VecDeque, time::Duration};

use nix::time::{ClockId, clock_gettime};
use rework_core::task::{fence::Fence, payload::Payload, progress::Line};
use rework_wire::{
    operation::{Limits, MAX_PAYLOAD_BYTES},
    runner::Span,
};
use tokio::time::Instant;

use crate::{
    batch_size::LONG,
    claimed_run::{ClaimedRun, Key},
    log_budget::Budget,
    recorder::Recorder,
    verdict::StopReason,
    writer::entry::Answer,
};

/// Lines and progress wait no longer than this to be written.
const FLUSH: Duration = Duration::from_millis(200);

/// Lines that are written without waiting.
const FLUSH_LINES: usize = 2_000;

/// An open run.
pub(crate) struct ActiveRun {
    /// The run as it was claimed.
    pub run: ClaimedRun,
    /// When it started, as far as the worker knows.
    pub began: Instant,
    /// When it ran, by its runner's account.
    pub span: Option<Span>,
    /// Lines of its log that were not handed to the recorder yet.
    pub lines: Vec<Line>,
    /// How much more it may log.
    pub budget: Budget,
    /// The last output that it sent.
    pub output: Payload,
    /// Whether that output was not handed to the recorder yet.
    pub unsaved_output: bool,
    /// Its progress, if that was not handed to the recorder yet.
    pub progress: Option<String>,
    /// Why it was told to stop; `None` if it was not.
    pub stop: Option<StopReason>,
    /// When its runner is killed if it has not stopped by then.
    pub kill_at: Option<Instant>,
    /// Tasks that it asked to schedule: the number of each request, and the answer to come.
    pub scheduling: VecDeque<(u32, Answer<Option<i64>>)>,
    /// It runs for longer than [`LONG`]: its start is recorded, and nothing waits behind it. The start of a
    /// short run is recorded together with its end.
    pub is_long: bool,
    flush_at: Option<Instant>,
}

impl ActiveRun {
    /// A run that starts now; `lines` were written before, while its runner was started for it.
    pub(crate) fn new(run: ClaimedRun, lines: Vec<Line>) -> ActiveRun {
        let now = Instant::now();
        ActiveRun {
            run,
            began: now,
            span: None,
            flush_at: (!lines.is_empty()).then_some(now + FLUSH),
            lines,
            budget: Budget::default(),
            output: Payload::None,
            unsaved_output: false,
            progress: None,
            stop: None,
            kill_at: None,
            scheduling: VecDeque::new(),
            is_long: false,
        }
    }

    /// The fence of the run.
    pub(crate) fn fence(&self) -> Fence {
        self.run.claimed.fence
    }

    /// The task and the run.
    pub(crate) fn key(&self) -> Key {
        self.run.key()
    }

    /// Hands what it wrote and sent to the recorder.
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

    /// Hands over the rest of its log after its end. Its output is recorded with the end.
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

    /// Hands lines to the recorder at once if they are many, otherwise within [`FLUSH`].
    pub(crate) fn look_after_lines(&mut self, recorder: &Recorder) {
        if self.lines.len() >= FLUSH_LINES {
            self.flush(recorder);
        } else if !self.lines.is_empty() || self.progress.is_some() || self.unsaved_output {
            self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH);
        }
    }

    /// When the run started and ended: by its runner's account, corrected to lie between `since` and now.
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

    /// When it times out; `None` without a timeout, or if it was told to stop already.
    pub(crate) fn timeout_at(&self, limits: &Limits) -> Option<Instant> {
        let limit = Duration::from_millis(limits.timeout_ms?.unsigned_abs());
        self.stop.is_none().then_some(self.began + limit)
    }

    /// When this run next needs the worker: to record its start, to flush, to time it out, to kill it.
    pub(crate) fn timer(&self, limits: &Limits) -> Option<Instant> {
        let begin = (!self.is_long).then_some(self.began + LONG);
        [begin, self.flush_at, self.timeout_at(limits), self.kill_at].into_iter().flatten().min()
    }

    /// Whether lines have waited long enough.
    pub(crate) fn flush_is_due(&self, now: Instant) -> bool {
        self.flush_at.is_some_and(|at| at <= now)
    }
}
