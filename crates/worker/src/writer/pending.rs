//! What waits to be written together, and how each kind of it is written where that failed: the
//! lines of logs, then the ends of runs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rework_core::{
    db::error::{Error, Result},
    task::{
        self,
        claim::Batches,
        complete::{Completion, Outcome, Recorded, complete},
        fence::Fence,
        progress::Line,
    },
};

use super::{DbWriter, entry::Answering};
use crate::claimed_run::ClaimedRun;

/// Most lines of one statement.
const MAX_LINES: usize = 5_000;

/// Most ends of one statement.
const MAX_ENDS: usize = 1000;

/// What waits.
#[derive(Default)]
pub(super) struct Batch {
    pub lines: Vec<(Fence, Line)>,
    pub ends: Vec<Completion>,
    /// A claim, and who waits for it.
    pub claim: Option<(Batches, Answering<Vec<ClaimedRun>>)>,
    /// What all of it takes, as the backlog counts it.
    pub bytes: usize,
    /// How many entries of it exist only here.
    pub unsaved: usize,
}

impl Batch {
    pub(super) fn lines(&mut self, fence: Fence, lines: Vec<Line>) {
        self.lines.extend(lines.into_iter().map(|line| (fence, line)));
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= MAX_LINES || self.ends.len() >= MAX_ENDS
    }

    /// How many statements it is.
    pub(super) fn kinds(&self) -> usize {
        let kinds = [!self.lines.is_empty(), !self.ends.is_empty(), self.claim.is_some()];
        kinds.iter().filter(|some| **some).count()
    }
}

impl DbWriter {
    /// All of them, in order, once: an answer that was lost is looked up before they are sent
    /// again. One that cannot be stored takes no other along.
    pub(super) async fn append(&mut self, lines: &[(Fence, Line)], lost: bool) {
        for some in lines.chunks(MAX_LINES) {
            if let Err(error) = self.append_together(some, lost).await {
                tracing::debug!("lines of logs are written one by one: {error}");
                for line in some.chunks(1) {
                    if let Err(error) = self.append_together(line, false).await {
                        let task = line[0].0.task;
                        tracing::error!("a line of the log of task {task} is lost: {error}");
                    }
                }
            }
        }
    }

    async fn append_together(&mut self, lines: &[(Fence, Line)], lost: bool) -> Result<()> {
        let mut after: HashMap<Fence, i64> = HashMap::new();
        for (fence, _) in lines {
            let written = || self.written.get(fence).copied().unwrap_or_default();
            *after.entry(*fence).or_insert_with(written) += 1;
        }
        let mut tries = 0;
        self.retry_until_stored("lines of a log", async |db| {
            tries += 1;
            if lost || tries > 1 {
                // They are written all or none; of a run that is not current, none ever.
                for (fence, after) in &after {
                    if task::progress::stored_lines(db, *fence).await? >= *after {
                        return Ok(());
                    }
                }
            }
            task::progress::append_log(db, lines).await
        })
        .await?;
        self.note_lines(lines);
        Ok(())
    }

    pub(super) fn note_lines(&mut self, lines: &[(Fence, Line)]) {
        for (fence, _) in lines {
            *self.written.entry(*fence).or_default() += 1;
        }
    }

    /// All of them, together where that goes, else one by one.
    pub(super) async fn complete(&mut self, ends: Vec<Completion>) {
        if ends.len() > 1 {
            let after = self.after;
            let all = self
                .retry_until_stored("the ends of runs", async |db| complete(db, &ends, after).await)
                .await;
            match all {
                Ok(recorded) => {
                    return self.note_ends(ends.into_iter().zip(recorded));
                }
                Err(error) => tracing::debug!("ends of runs are written one by one: {error}"),
            }
        }
        for end in ends {
            self.complete_one(end, self.after).await;
        }
    }

    /// Those whose rows were held by others: each on its own, so that none waits for another.
    pub(super) async fn complete_locked(&mut self) {
        let before = self.locked.len();
        for end in std::mem::take(&mut self.locked) {
            self.complete_one(end, None).await;
        }
        self.backlog.unsaved.set(self.backlog.unsaved.get() + self.locked.len() - before);
    }

    async fn complete_one(&mut self, mut end: Completion, after: Option<DateTime<Utc>>) {
        loop {
            let one = std::slice::from_ref(&end);
            let recorded = self
                .retry_until_stored("the end of a run", async |db| complete(db, one, after).await);
            match recorded.await {
                Ok(recorded) => return self.note_ends([end].into_iter().zip(recorded)),
                Err(error) if error.is_locked() => {
                    tracing::warn!("task {} is held by somebody's transaction", end.fence.task);
                    return self.locked.push(end);
                }
                Err(error) if error.is_data() && end.outcome != Outcome::Refused => {
                    end = without_what_cannot_be_stored(end, &error);
                }
                // It stays in hand: it is not to be run again.
                Err(error) => {
                    let task = end.fence.task;
                    tracing::error!("the end of task {task} could not be recorded: {error}");
                    return;
                }
            }
        }
    }

    pub(super) fn note_ends(&mut self, ends: impl Iterator<Item = (Completion, Recorded)>) {
        for (Completion { fence, .. }, recorded) in ends {
            match recorded {
                Recorded::Now { started_at, .. } => self.after = self.after.max(started_at),
                Recorded::Already => {}
                Recorded::Stale => {
                    let Fence { task, run, .. } = fence;
                    tracing::warn!("run {run} of task {task} was not current any more");
                }
            }
            self.slots.end(fence);
            self.written.remove(&fence);
        }
    }
}

fn without_what_cannot_be_stored(end: Completion, error: &Error) -> Completion {
    let reason = Some(format!("the output cannot be stored: {error}"));
    let fence = end.fence;
    Completion {
        began: end.began,
        ended: end.ended,
        memory_peak: end.memory_peak,
        revision: end.revision,
        ..Completion::new(fence, Outcome::Refused, reason)
    }
}
