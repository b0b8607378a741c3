//! Claims: asked so that one whose answer was lost is found again, and answered so that nothing of
//! it is stranded.

use std::time::Duration;

use rework_core::{
    db::error::Result,
    task::{
        claim::{Batches, Claimed, ScanRanges, claim, held},
        complete::Completion,
    },
};
use tokio::time::Instant;

use super::{DbWriter, backlog::Backlog, entry::Answering};
use crate::claimed_run::ClaimedRun;

/// How long a server process whose connection was given up may still carry out a claim.
const UNCONFIRMED: Duration = Duration::from_secs(300);

/// The answer to a claim was lost: it may still take effect.
pub(super) fn note_unconfirmed_claim(backlog: &Backlog) {
    backlog.unconfirmed_claim_until.set(Some(Instant::now() + UNCONFIRMED));
}

impl DbWriter {
    /// Looks everywhere before it believes that there is nothing, unless it has just done so: then
    /// the worker is to look again.
    pub(super) async fn claim(&mut self, batches: &Batches) -> Result<Vec<Claimed>> {
        let now = Instant::now().into_std();
        if let Some(ranges) = self.scan_start.ranges(now) {
            let (claimed, took) = self.claim_in(batches, &ranges).await;
            self.note_claimed(&claimed, false, took);
            if !matches!(&claimed, Ok(none) if none.is_empty()) {
                return claimed;
            }
        }
        self.claim_anywhere(batches).await
    }

    /// What was looked at was not everything, and there was nothing.
    pub(super) async fn claim_anywhere(&mut self, batches: &Batches) -> Result<Vec<Claimed>> {
        let now = Instant::now().into_std();
        if self.scan_start.ranges(now).is_some() {
            self.backlog.rescan_at.set(self.scan_start.next_whole().map(Instant::from_std));
            return Ok(Vec::new());
        }
        let (claimed, took) = self.claim_in(batches, &ScanRanges::default()).await;
        self.note_claimed(&claimed, true, took);
        claimed
    }

    fn note_claimed(
        &mut self,
        claimed: &Result<Vec<Claimed>>,
        whole: bool,
        took: Option<Duration>,
    ) {
        if let (Ok(claimed), Some(took)) = (claimed, took) {
            self.scan_start.claimed(claimed, whole, took, Instant::now().into_std());
        }
    }

    /// With how long the last try looked, if it did.
    async fn claim_in(
        &mut self,
        batches: &Batches,
        ranges: &ScanRanges,
    ) -> (Result<Vec<Claimed>>, Option<Duration>) {
        let mut began = None;
        let (who, batches) = (self.who.clone(), self.within_room(batches));
        let in_doubt = self.backlog.has_unconfirmed_claim();
        let slots = &self.slots;
        let mut tries = 0;
        let claimed = self
            .database
            .until_answered(async |db| {
                tries += 1;
                began = None;
                // After an answer that was lost: what it took, if it took anything.
                if in_doubt || tries > 1 {
                    let mut lost = held(db, &who).await?;
                    lost.retain(|claimed| !slots.has(claimed.fence));
                    if !lost.is_empty() {
                        return Ok(lost);
                    }
                }
                began = Some(Instant::now());
                claim(db, &who, &batches, ranges).await
            })
            .await;
        if tries > 1 || claimed.is_err() {
            note_unconfirmed_claim(&self.backlog);
        }
        (claimed, began.map(|began| began.elapsed()))
    }

    /// No more than the page has room for.
    pub(super) fn within_room(&self, batches: &Batches) -> Batches {
        let room = i32::try_from(self.slots.room()).unwrap_or(i32::MAX).max(1);
        let most = batches.most.iter().map(|most| (*most).min(room)).collect();
        Batches { short: batches.short.clone(), most, sole: batches.sole }
    }

    /// What there is no room for, and what nobody waits for any more, goes back.
    pub(super) async fn answer(
        &mut self,
        claimed: Result<Vec<Claimed>>,
        answer: Answering<Vec<ClaimedRun>>,
    ) {
        let (mut held, mut back) = (Vec::new(), Vec::new());
        let claimed = claimed.map(|claimed| {
            for claimed in claimed {
                let fence = claimed.fence;
                match self.slots.take(claimed) {
                    Some(one) => held.push(one),
                    None => back.push(fence),
                }
            }
            held
        });
        if let Err(Ok(held)) = answer.send(claimed) {
            back.extend(held.into_iter().map(|held| held.claimed.fence));
        }
        let why = "its worker had no use for it any more";
        self.complete(back.into_iter().map(|fence| Completion::unbegun(fence, why)).collect())
            .await;
    }
}
