//! Claims: asked so that one whose answer was lost is found again, and answered so that nothing of
//! it is stranded.

use std::time::Duration;

use rework_core::{
    db::error::Result,
    task::claim::{Batches, Claimed, Regions, claim, held},
};
use tokio::{sync::oneshot, time::Instant};

use super::Books;
use crate::{
    local_queue::unbegun,
    recorder::{ClaimedRun, Gauge},
};

/// A backend that we gave up may still carry out a claim of ours for so long.
const DOUBT: Duration = Duration::from_secs(300);

/// From now on a claim may come to light whose answer was lost.
pub(super) fn doubt(gauge: &Gauge) {
    gauge.doubt.set(Some(Instant::now() + DOUBT));
}

impl Books {
    /// Looks everywhere before it believes that there is nothing, unless it has just done so: then
    /// the worker is to look again.
    pub(super) async fn claim(&mut self, batches: &Batches) -> Result<Vec<Claimed>> {
        let now = Instant::now().into_std();
        if let Some(regions) = self.floors.regions(now) {
            let (claimed, took) = self.claim_in(batches, &regions).await;
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
        if self.floors.regions(now).is_some() {
            self.gauge.again.set(self.floors.next_whole().map(Instant::from_std));
            return Ok(Vec::new());
        }
        let (claimed, took) = self.claim_in(batches, &Regions::default()).await;
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
            self.floors.claimed(claimed, whole, took, Instant::now().into_std());
        }
    }

    /// With how long the last try looked, if it did.
    async fn claim_in(
        &mut self,
        batches: &Batches,
        regions: &Regions,
    ) -> (Result<Vec<Claimed>>, Option<Duration>) {
        let mut began = None;
        let (who, batches) = (self.who.clone(), self.within_room(batches));
        let in_doubt = self.is_in_doubt();
        let holding = &self.holding;
        let mut tries = 0;
        let claimed = self
            .database
            .until_answered(async |db| {
                tries += 1;
                began = None;
                // After an answer that was lost: what it took, if it took anything.
                if in_doubt || tries > 1 {
                    let mut lost = held(db, &who).await?;
                    lost.retain(|claimed| !holding.has(claimed.fence));
                    if !lost.is_empty() {
                        return Ok(lost);
                    }
                }
                began = Some(Instant::now());
                claim(db, &who, &batches, regions).await
            })
            .await;
        if tries > 1 || claimed.is_err() {
            doubt(&self.gauge);
        }
        (claimed, began.map(|began| began.elapsed()))
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.gauge.doubt.get().is_some_and(|until| until > Instant::now())
    }

    /// No more than the page has room for.
    pub(super) fn within_room(&self, batches: &Batches) -> Batches {
        let room = i32::try_from(self.holding.room()).unwrap_or(i32::MAX).max(1);
        let most = batches.most.iter().map(|most| (*most).min(room)).collect();
        Batches { short: batches.short.clone(), most, sole: batches.sole }
    }

    /// What there is no room for, and what nobody waits for any more, goes back.
    pub(super) async fn answer(
        &mut self,
        claimed: Result<Vec<Claimed>>,
        answer: oneshot::Sender<Result<Vec<ClaimedRun>>>,
    ) {
        let (mut held, mut back) = (Vec::new(), Vec::new());
        let claimed = claimed.map(|claimed| {
            for claimed in claimed {
                let fence = claimed.fence;
                match self.holding.take(claimed) {
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
        self.complete(back.into_iter().map(|fence| unbegun(fence, why)).collect()).await;
    }
}
