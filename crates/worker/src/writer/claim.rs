//! Claims: how the writer claims tasks so that none is lost. If the answer to a claim was lost, the claimed tasks are
//! found again. Tasks that nobody waits for any more are requeued. How many tasks are claimed at once is decided in
//! `batch_size.rs`.

use std::time::Duration;

use rework_core::{
    db::{connect::Db, error::Result, size_limit::SizeLimit},
    lease::recovery::has_runs,
    task::{
        claim::{BatchLimits, Claimant, ClaimedTask, ScanRanges, claim, existing_claims},
        complete::Completion,
    },
};
use tokio::time::Instant;

use super::{DbWriter, backlog::Backlog, entry::AnswerSender};
use crate::claimed_run::ClaimedRun;

/// How long a server process whose connection was closed may still carry out a claim.
const UNCONFIRMED_CLAIM_DURATION: Duration = Duration::from_secs(300);

/// Records that the answer to a claim was lost, so that it may still take effect.
pub(super) fn set_unconfirmed_claim(backlog: &Backlog) {
    backlog.unconfirmed_claim_until.set(Some(Instant::now() + UNCONFIRMED_CLAIM_DURATION));
}

impl DbWriter {
    /// Claims tasks, first within the known ranges of the queue, then by a scan of whole lanes (a
    /// lane has the waiting tasks that need the same thing of a host). If whole lanes were scanned
    /// too recently, returns nothing and sets the time to scan again.
    pub(super) async fn claim(&mut self, batches: &BatchLimits) -> Result<Vec<ClaimedTask>> {
        let now = Instant::now().into_std();
        if let Some(ranges) = self.scan_start.ranges(now) {
            let (claimed, took) = self.claim_in_ranges(batches, &ranges).await;
            self.observe_scan(&claimed, false, took);
            if !matches!(&claimed, Ok(tasks) if tasks.is_empty()) {
                return claimed;
            }
        }
        self.claim_in_whole_lanes(batches).await
    }

    /// Claims tasks by a scan of whole lanes, after a scan of the known ranges found nothing. If whole lanes may not be
    /// scanned yet, returns nothing and sets the time to scan again.
    pub(super) async fn claim_in_whole_lanes(
        &mut self,
        batches: &BatchLimits,
    ) -> Result<Vec<ClaimedTask>> {
        let now = Instant::now().into_std();
        if self.scan_start.ranges(now).is_some() {
            self.backlog.rescan_at.set(self.scan_start.next_whole_scan().map(Instant::from_std));
            return Ok(Vec::new());
        }
        let (claimed, took) = self.claim_in_ranges(batches, &ScanRanges::default()).await;
        self.observe_scan(&claimed, true, took);
        claimed
    }

    /// Records the result and the duration of a scan, for the choice of the next ranges. `took` is
    /// `None` if nothing was scanned.
    fn observe_scan(
        &mut self,
        claimed: &Result<Vec<ClaimedTask>>,
        whole: bool,
        took: Option<Duration>,
    ) {
        if let (Ok(claimed), Some(took)) = (claimed, took) {
            self.scan_start.record_claim(claimed, whole, took, Instant::now().into_std());
        }
    }

    /// Claims tasks within `ranges`, and repeats the statement while the database is unavailable. Also returns how long
    /// the last scan took; `None` if the tasks come from a claim whose answer was lost.
    async fn claim_in_ranges(
        &mut self,
        batches: &BatchLimits,
        ranges: &ScanRanges,
    ) -> (Result<Vec<ClaimedTask>>, Option<Duration>) {
        let mut sent_at = None;
        let claimant = self.claimant.clone();
        let has_unconfirmed_claim = self.backlog.has_unconfirmed_claim();
        let (backlog, claim_limit) = (&self.backlog, &self.claim_limit);
        let mut attempts = 0;
        let claimed = self
            .database
            .until_answered("a claim", async |db| {
                attempts += 1;
                sent_at = None;
                let size = claim_size(backlog, claim_limit);
                // After a lost answer, first find the tasks that the lost claim took.
                if has_unconfirmed_claim || attempts > 1 {
                    let lost = lost_claims(db, &claimant, backlog, size).await;
                    // Finding none says nothing about the size of a claim that can be answered in time.
                    if !matches!(lost, Ok(None)) {
                        claim_limit.record(size, &lost);
                        return lost.map(Option::unwrap_or_default);
                    }
                }
                sent_at = Some(Instant::now());
                let limits = limited(batches, size);
                let claimed = claim(db, &claimant, &limits, ranges).await;
                let largest = limits.sizes.iter().copied().max().unwrap_or(1);
                claim_limit.record(usize::try_from(largest).unwrap_or(1), &claimed);
                claimed
            })
            .await;
        // A lost claim may have taken more tasks than were found at once.
        let found_lost = sent_at.is_none() && claimed.is_ok();
        if attempts > 1 || claimed.is_err() || found_lost {
            set_unconfirmed_claim(&self.backlog);
        }
        (claimed, sent_at.map(|sent_at| sent_at.elapsed()))
    }

    /// Returns the most tasks that the next claim may take.
    pub(super) fn claim_size(&self) -> usize {
        claim_size(&self.backlog, &self.claim_limit)
    }

    /// Assigns slots to the claimed tasks and sends them to the caller. Tasks without a free slot are requeued, and so
    /// are all of them if the caller does not wait any more.
    pub(super) async fn deliver(
        &mut self,
        claimed: Result<Vec<ClaimedTask>>,
        answer: AnswerSender<Vec<ClaimedRun>>,
    ) {
        let (mut runs, mut unwanted) = (Vec::new(), Vec::new());
        let claimed = claimed.map(|claimed| {
            for claimed in claimed {
                let fence = claimed.fence;
                match self.backlog.slots.borrow_mut().assign(claimed) {
                    Some(run) => runs.push(run),
                    None => unwanted.push(fence),
                }
            }
            runs
        });
        if let Err(Ok(runs)) = answer.send(claimed) {
            unwanted.extend(runs.into_iter().map(|run| run.claimed.fence));
        }
        let reason = "its worker did not need it any more";
        self.complete(
            unwanted.into_iter().map(|fence| Completion::not_started(fence, reason)).collect(),
        )
        .await;
    }
}

/// Returns the most tasks that a claim may take: one for each free slot, and fewer after claims that missed their
/// deadline.
fn claim_size(backlog: &Backlog, limit: &SizeLimit) -> usize {
    backlog.slots.borrow().free_count().min(limit.get()).max(1)
}

/// Returns tasks that claims without an answer have taken, at most `size`. `None` if there are none. No task if the
/// database has gone back to an earlier state: a run that has ended is open again. The check after the recovery ends
/// the worker.
async fn lost_claims(
    db: &Db,
    claimant: &Claimant,
    backlog: &Backlog,
    size: usize,
) -> Result<Option<Vec<ClaimedTask>>> {
    let known = backlog.slots.borrow().runs();
    let lost = existing_claims(db, claimant, &known, size).await?;
    if lost.is_empty() {
        return Ok(None);
    }
    let has_last_end = has_runs(db, &[], backlog.last_end.get()).await?;
    Ok(Some(if has_last_end { lost } else { Vec::new() }))
}

/// Returns the batch sizes, limited to `most` tasks.
pub(super) fn limited(batches: &BatchLimits, most: usize) -> BatchLimits {
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    BatchLimits {
        operations: batches.operations.clone(),
        sizes: batches.sizes.iter().map(|size| (*size).min(most)).collect(),
        only_operation: batches.only_operation,
        excluded: batches.excluded.clone(),
    }
}
