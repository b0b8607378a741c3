//! A run that is open in a runner: its log lines, its output, its time limits, and the reason to stop it if there is
//! one.

use std::{collections::VecDeque, time::Duration};

use nix::time::{ClockId, clock_gettime};
use rework_core::task::{fence::Fence, payload::Payload, progress::NewLogLine};
use rework_wire::{
    operation::{Limits, MAX_PAYLOAD_BYTES},
    runner::Span,
};
use tokio::time::Instant;

use crate::{
    batch_size::LONG_RUN,
    claimed_run::{ClaimedRun, RunKey},
    log_budget::LogBudget,
    recorder::Recorder,
    run_result::StopReason,
    writer::entry::Answer,
};

/// The longest time that log lines and progress wait before they are sent to the recorder.
pub(crate) const FLUSH_INTERVAL: Duration = Duration::from_millis(200);

/// The number of log lines that are sent to the recorder without waiting.
const MAX_PENDING_LINES: usize = 2_000;

/// The number of bytes of log lines that are sent to the recorder without waiting. The recorder limits how much waits
/// to be written, and it does not know of these lines before.
const MAX_PENDING_BYTES: usize = 1 << 20;

/// An open run.
pub(crate) struct ActiveRun {
    /// The run as it was claimed.
    pub run: ClaimedRun,
    /// When the run started, as far as the worker knows.
    pub started_at: Instant,
    /// When the run started and ended according to its runner; `None` until it has ended, or if the
    /// runner does not measure the times.
    pub span: Option<Span>,
    /// Log lines that were not sent to the recorder yet.
    pub lines: Vec<NewLogLine>,
    /// The number of bytes in the first lines of `lines`, and how many lines that are.
    pending: PendingBytes,
    /// The names and levels of the loggers whose last line is unfinished.
    pub partial_loggers: Vec<(String, &'static str)>,
    /// How much more the run may log.
    pub log_budget: LogBudget,
    /// The last output that the run sent.
    pub output: Payload,
    /// Whether `output` was not sent to the recorder yet.
    pub unsaved_output: bool,
    /// The last progress, as JSON; `None` if there is none, or if it was sent to the recorder.
    pub progress: Option<String>,
    /// Why the run was ordered to stop; `None` if it was not.
    pub stop_reason: Option<StopReason>,
    /// When the runner is killed if the run has not stopped by then; `None` until the run is
    /// ordered to stop.
    pub kill_at: Option<Instant>,
    /// The requests of this run to schedule a task: the number of each, and its future answer: the
    /// id of the new task, or `None` if the run is not current any more.
    pub schedule_answers: VecDeque<(u32, Answer<Option<i64>>)>,
    /// Whether the run takes longer than [`LONG_RUN`]. Then its start is recorded at once, and no other run waits
    /// behind it. The start of a short run is recorded together with its end.
    pub is_long: bool,
    /// When the waiting lines and progress are sent to the recorder; `None` if nothing waits.
    flush_at: Option<Instant>,
}

/// The number of bytes in log lines that wait.
#[derive(Debug, Default)]
struct PendingBytes {
    bytes: usize,
    /// How many lines were counted.
    lines: usize,
}

impl PendingBytes {
    /// Counts the lines that were added since the last call. Returns the number of bytes in all lines.
    fn count(&mut self, lines: &[NewLogLine]) -> usize {
        let added = lines.get(self.lines..).unwrap_or_default();
        self.bytes += added.iter().map(|line| line.bytes.len()).sum::<usize>();
        self.lines = lines.len();
        self.bytes
    }
}

impl ActiveRun {
    /// Creates a run that starts now.
    pub(crate) fn new(run: ClaimedRun) -> ActiveRun {
        ActiveRun {
            run,
            started_at: Instant::now(),
            span: None,
            flush_at: None,
            lines: Vec::new(),
            pending: PendingBytes::default(),
            partial_loggers: Vec::new(),
            log_budget: LogBudget::default(),
            output: Payload::None,
            unsaved_output: false,
            progress: None,
            stop_reason: None,
            kill_at: None,
            schedule_answers: VecDeque::new(),
            is_long: false,
        }
    }

    pub(crate) fn fence(&self) -> Fence {
        self.run.claimed.fence
    }

    /// Returns the task id and the run number.
    pub(crate) fn key(&self) -> RunKey {
        self.run.key()
    }

    /// Sends the waiting log lines, progress and output to the recorder.
    pub(crate) fn flush(&mut self, recorder: &Recorder) {
        self.flush_at = None;
        self.flush_lines(recorder);
        let progress = self.progress.take();
        let is_unsaved =
            std::mem::take(&mut self.unsaved_output) && self.output.bytes() <= MAX_PAYLOAD_BYTES;
        let output = if is_unsaved { self.output.clone() } else { Payload::None };
        if progress.is_some() || output != Payload::None {
            recorder.save(self.fence(), progress, output);
        }
    }

    /// Sends the rest of the log after the end of the run. The output is recorded together with the end.
    pub(crate) fn flush_last(&mut self, recorder: &Recorder) {
        self.unsaved_output = false;
        self.flush(recorder);
        if let Some(notice) = self.log_budget.truncation_notice() {
            recorder.lines(self.fence(), vec![notice]);
        }
    }

    fn flush_lines(&mut self, recorder: &Recorder) {
        if self.lines.is_empty() {
            return;
        }
        let mut lines = std::mem::take(&mut self.lines);
        self.pending = PendingBytes::default();
        self.log_budget.keep(&mut lines);
        if !lines.is_empty() {
            recorder.lines(self.fence(), lines);
        }
    }

    /// Sends the log lines to the recorder at once if there are many, otherwise within [`FLUSH_INTERVAL`].
    pub(crate) fn schedule_flush(&mut self, recorder: &Recorder) {
        let bytes = self.pending.count(&self.lines);
        if self.lines.len() >= MAX_PENDING_LINES || bytes >= MAX_PENDING_BYTES {
            self.flush(recorder);
        } else if !self.lines.is_empty() || self.progress.is_some() || self.unsaved_output {
            self.flush_at.get_or_insert_with(|| Instant::now() + FLUSH_INTERVAL);
        }
    }

    /// Returns when the run started and ended. The times that its runner reported are limited to the range from
    /// `earliest` to now.
    pub(crate) fn times(&self, earliest: Instant) -> (std::time::Instant, std::time::Instant) {
        let now = std::time::Instant::now();
        let Some(span) = self.span else { return (self.started_at.into_std(), now) };
        let now_us = clock_gettime(ClockId::CLOCK_MONOTONIC)
            .map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000);
        let instant_of = |us: i64| {
            let ago = Duration::from_micros(u64::try_from(now_us - us).unwrap_or_default());
            now.checked_sub(ago).unwrap_or(now)
        };
        let started_at = instant_of(span.started_us).clamp(earliest.into_std(), now);
        (started_at, instant_of(span.ended_us).clamp(started_at, now))
    }

    /// Returns when the run times out; `None` without a timeout, or if it was already ordered to stop.
    pub(crate) fn timeout_at(&self, limits: &Limits) -> Option<Instant> {
        let limit = Duration::from_millis(limits.timeout_ms?.unsigned_abs());
        self.stop_reason.is_none().then_some(self.started_at + limit)
    }

    /// Returns when this run next needs the worker: to record its start, to flush its log, to time
    /// it out, or to kill its runner. `None` if nothing of this is due at any time.
    pub(crate) fn timer(&self, limits: &Limits) -> Option<Instant> {
        let record_start_at = (!self.is_long).then_some(self.started_at + LONG_RUN);
        [record_start_at, self.flush_at, self.timeout_at(limits), self.kill_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns whether log lines have waited long enough.
    pub(crate) fn flush_is_due(&self, now: Instant) -> bool {
        self.flush_at.is_some_and(|at| at <= now)
    }
}
