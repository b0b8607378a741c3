//! The batch of entries that wait to be written together, and how each kind is written if the
//! exchange (one transaction for all of them) failed: first the log lines, then the ends of runs.
//! The claim is in `claim.rs`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rework_core::{
    db::error::{Error, Result},
    task::{
        self,
        claim::BatchLimits,
        complete::{Completion, Outcome, Recorded, complete},
        fence::Fence,
        progress::NewLogLine,
    },
};

use super::{DbWriter, entry::AnswerSender};
use crate::claimed_run::ClaimedRun;

/// The most log lines of one statement.
pub(super) const MAX_LINES: usize = 5_000;

/// The most ends of runs of one statement.
pub(super) const MAX_ENDS: usize = 1000;

/// Entries that wait to be written.
#[derive(Default)]
pub(super) struct Batch {
    pub lines: Vec<(Fence, NewLogLine)>,
    pub ends: Vec<Completion>,
    /// The claim, and the sender for its answer; `None` if there is no claim.
    pub claim: Option<(BatchLimits, AnswerSender<Vec<ClaimedRun>>)>,
    /// The memory that the batch takes, in bytes, as the backlog counts it.
    pub bytes: usize,
    /// The number of entries that exist only in this process.
    pub unsaved: usize,
}

impl Batch {
    pub(super) fn lines(&mut self, fence: Fence, lines: Vec<NewLogLine>) {
        self.lines.extend(lines.into_iter().map(|line| (fence, line)));
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= MAX_LINES || self.ends.len() >= MAX_ENDS
    }

    /// Returns how many kinds of entries the batch has. Each kind is one statement.
    pub(super) fn kinds(&self) -> usize {
        let kinds = [!self.lines.is_empty(), !self.ends.is_empty(), self.claim.is_some()];
        kinds.iter().filter(|is_present| **is_present).count()
    }
}

impl DbWriter {
    /// Appends log lines, in order and each one once. With `is_unconfirmed` they were sent before and the answer was
    /// lost, so a query first checks whether they are stored. If one line cannot be stored, the others still
    /// are.
    pub(super) async fn append(
        &mut self,
        mut lines: &[(Fence, NewLogLine)],
        mut is_unconfirmed: bool,
    ) {
        while !lines.is_empty() {
            let (chunk, later) = lines.split_at(self.line_limit.get().min(lines.len()));
            match self.append_statement(chunk, is_unconfirmed).await {
                // The same lines are tried again, fewer at once. They may have been stored after all.
                Err(Error::Deadline { .. }) => is_unconfirmed = true,
                Err(error) => {
                    self.append_one_by_one(chunk, &error).await;
                    lines = later;
                }
                Ok(()) => lines = later,
            }
        }
    }

    /// Appends lines that the database has refused to store together.
    async fn append_one_by_one(&mut self, lines: &[(Fence, NewLogLine)], error: &Error) {
        tracing::debug!("lines of logs are written one by one: {error}");
        for line in lines.chunks(1) {
            if let Err(error) = self.append_statement(line, false).await {
                let task = line[0].0.task;
                tracing::error!("a line of the log of task {task} is lost: {error}");
            }
        }
    }

    /// Appends lines by one statement. `Err` with [`Error::Deadline`] if they are several and the statement is overdue.
    async fn append_statement(
        &mut self,
        lines: &[(Fence, NewLogLine)],
        is_unconfirmed: bool,
    ) -> Result<()> {
        let mut expected: HashMap<Fence, i64> = HashMap::new();
        for (fence, _) in lines {
            let lines_written = || self.lines_written.get(fence).copied().unwrap_or_default();
            *expected.entry(*fence).or_insert_with(lines_written) += 1;
        }
        let mut attempts = 0;
        let stored = self.retry_until_stored("lines of a log", lines.len(), async |db| {
            attempts += 1;
            if is_unconfirmed || attempts > 1 {
                // The lines of a statement are stored all or none, and those of a run that is not current are never
                // stored. So it is enough to find the lines of one run.
                for (fence, expected) in &expected {
                    if task::progress::count_log_lines(db, *fence).await? >= *expected {
                        return Ok(());
                    }
                }
            }
            task::progress::append_log(db, lines).await
        });
        let stored = stored.await;
        match &stored {
            Ok(()) => {
                self.line_limit.raise();
                self.count_lines(lines);
            }
            Err(Error::Deadline { .. }) => self.line_limit.lower(lines.len()),
            Err(_) => {}
        }
        stored
    }

    /// Records that these lines are stored.
    pub(super) fn count_lines(&mut self, lines: &[(Fence, NewLogLine)]) {
        for (fence, _) in lines {
            *self.lines_written.entry(*fence).or_default() += 1;
        }
    }

    /// Records the ends of runs: together if possible, otherwise one by one.
    pub(super) async fn complete(&mut self, mut ends: Vec<Completion>) {
        while !ends.is_empty() {
            let later = ends.split_off(self.end_limit.get().min(ends.len()));
            let first = std::mem::replace(&mut ends, later);
            if let Err(mut overdue) = self.complete_together(first).await {
                overdue.append(&mut ends);
                ends = overdue;
            }
        }
    }

    /// Records ends by one statement; if the database refuses that, one by one. `Err` with the ends if the statement is
    /// overdue. Then fewer are to be recorded at once.
    async fn complete_together(&mut self, ends: Vec<Completion>) -> Result<(), Vec<Completion>> {
        if ends.len() > 1 {
            let latest_start = self.latest_start;
            let result = self
                .retry_until_stored("the ends of runs", ends.len(), async |db| {
                    complete(db, &ends, latest_start).await
                })
                .await;
            match result {
                Ok(recorded) => {
                    self.end_limit.raise();
                    self.on_recorded(ends.into_iter().zip(recorded));
                    return Ok(());
                }
                Err(Error::Deadline { .. }) => {
                    self.end_limit.lower(ends.len());
                    return Err(ends);
                }
                Err(error) => tracing::debug!("ends of runs are written one by one: {error}"),
            }
        }
        for end in ends {
            self.complete_one(end, self.latest_start).await;
        }
        Ok(())
    }

    /// Tries again to record the ends of runs whose task rows were locked. Each is written by itself, so that none
    /// waits for the lock of another.
    pub(super) async fn complete_locked(&mut self) {
        let before = self.locked_ends.len();
        for end in std::mem::take(&mut self.locked_ends) {
            self.complete_one(end, None).await;
        }
        self.backlog.unsaved.set(self.backlog.unsaved.get() + self.locked_ends.len() - before);
    }

    async fn complete_one(&mut self, mut end: Completion, latest_start: Option<DateTime<Utc>>) {
        loop {
            let one = std::slice::from_ref(&end);
            let recorded = self.retry_until_stored("the end of a run", one.len(), async |db| {
                complete(db, one, latest_start).await
            });
            match recorded.await {
                Ok(recorded) => return self.on_recorded([end].into_iter().zip(recorded)),
                Err(error) if error.is_locked() => {
                    let task = end.fence.task;
                    tracing::warn!(
                        "another transaction locks the row of task {task}: its end is recorded later"
                    );
                    return self.locked_ends.push(end);
                }
                Err(error) if error.is_data() && end.outcome != Outcome::Refused => {
                    end = without_output(end, &error);
                }
                // The run keeps its slot, so this worker does not take the task for a new claim.
                Err(error) => {
                    let task = end.fence.task;
                    tracing::error!("the end of task {task} could not be recorded: {error}");
                    return;
                }
            }
        }
    }

    /// Frees the slots of runs whose ends are recorded.
    pub(super) fn on_recorded(&mut self, ends: impl Iterator<Item = (Completion, Recorded)>) {
        for (Completion { fence, .. }, recorded) in ends {
            match recorded {
                Recorded::Now { started_at, .. } => {
                    self.latest_start = self.latest_start.max(started_at);
                    self.backlog.last_end.set(Some(fence));
                }
                Recorded::Already => self.backlog.last_end.set(Some(fence)),
                Recorded::Stale => {
                    let Fence { task, run, .. } = fence;
                    tracing::warn!(
                        "run {run} of task {task} is not current any more: its end was not recorded"
                    );
                }
            }
            self.backlog.slots.borrow_mut().release(fence);
            self.lines_written.remove(&fence);
        }
    }
}

/// Returns the end of a run without its output and error, which the database cannot store.
fn without_output(end: Completion, error: &Error) -> Completion {
    let reason = Some(format!("the output cannot be stored: {error}"));
    let fence = end.fence;
    Completion {
        started: end.started,
        ended: end.ended,
        memory_peak: end.memory_peak,
        revision: end.revision,
        ..Completion::new(fence, Outcome::Refused, reason)
    }
}
