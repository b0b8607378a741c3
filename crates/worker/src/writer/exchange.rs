//! The exchange: log lines, ends of runs and a claim that are ready at the same time are written in one transaction.

use std::time::{Duration, Instant};

use rework_core::{
    db::{error::Error, size_limit::MISSES},
    task::exchange::{Exchange, Exchanged, exchange},
};

use super::{
    DbWriter,
    batch::Batch,
    claim::{limited, set_unconfirmed_claim},
};

/// How long nothing is exchanged after exchanges have missed their deadline twice in a row. Each kind of entries is
/// written by itself then, which takes smaller statements.
const PAUSE: Duration = Duration::from_secs(60);

/// The reason why a batch was not written in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotExchanged {
    /// Nothing of the batch was written.
    NotApplied,
    /// All of the batch was written or nothing; the answer was lost.
    Unknown,
}

/// A pause in which nothing is exchanged.
#[derive(Debug, Default)]
pub(super) struct ExchangePause {
    /// How many exchanges in a row have missed their deadline.
    missed: u32,
    /// The end of the pause; `None` if there was none.
    until: Option<Instant>,
}

impl ExchangePause {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    fn exchange_answered(&mut self) {
        self.missed = 0;
    }

    /// Records a missed deadline. Returns whether a pause begins.
    fn deadline_missed(&mut self, now: Instant) -> bool {
        self.missed += 1;
        let begins = self.missed >= MISSES;
        if begins {
            *self = ExchangePause { missed: 0, until: Some(now + PAUSE) };
        }
        begins
    }
}

impl DbWriter {
    /// Writes the batch in one transaction, if it has at least two kinds of entries. Also returns whether the claim
    /// scanned only the known ranges of the queue. While an earlier claim is unconfirmed, nothing is exchanged, because
    /// the claim must first find the tasks that the earlier one took.
    pub(super) async fn exchange(
        &mut self,
        batch: &Batch,
    ) -> Result<(Exchanged, bool), NotExchanged> {
        let Batch { lines, ends, claim, .. } = batch;
        let is_unconfirmed = claim.is_some() && self.backlog.has_unconfirmed_claim();
        if batch.kinds() < 2 || is_unconfirmed || !self.exchange_pause.is_over(Instant::now()) {
            return Err(NotExchanged::NotApplied);
        }
        let batches = claim.as_ref().map(|(batches, _)| limited(batches, self.claim_size()));
        let known_ranges = self.scan_start.ranges(Instant::now());
        let ranges = known_ranges.clone().unwrap_or_default();
        let Ok(db) = self.database.get().await else { return Err(NotExchanged::NotApplied) };
        let sent_at = Instant::now();
        let claim = batches.as_ref().map(|batches| (&self.claimant, batches, &ranges));
        let exchanged =
            exchange(db, Exchange { lines, ends, earliest_start: self.latest_start, claim }).await;
        match exchanged {
            Ok(exchanged) => {
                self.exchange_pause.exchange_answered();
                if batches.is_some() {
                    self.claim_limit.raise();
                    let is_whole = known_ranges.is_none();
                    let (took, now) = (sent_at.elapsed(), Instant::now());
                    self.scan_start.record_claim(&exchanged.1, is_whole, took, now);
                }
                Ok((exchanged, known_ranges.is_some()))
            }
            Err(error) => Err(self.not_exchanged(&error, batches.is_some())),
        }
    }

    /// Handles the error of an exchange. `has_claim` means that the exchange contained a claim.
    fn not_exchanged(&mut self, error: &Error, has_claim: bool) -> NotExchanged {
        tracing::debug!("a batch could not be written in one transaction: {error}");
        if error.is_data() || error.is_locked() {
            return NotExchanged::NotApplied;
        }
        if matches!(error, Error::Deadline { .. })
            && self.exchange_pause.deadline_missed(Instant::now())
        {
            self.database.report_overdue("an exchange", error);
        }
        if has_claim {
            set_unconfirmed_claim(&self.backlog);
        }
        NotExchanged::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_pause_after_two_missed_deadlines_in_a_row() {
        let now = Instant::now();
        let mut pause = ExchangePause::default();
        assert!(!pause.deadline_missed(now));
        pause.exchange_answered();
        assert!(!pause.deadline_missed(now));
        assert!(pause.is_over(now));
        assert!(pause.deadline_missed(now));
        assert!(!pause.is_over(now + PAUSE / 2));
        assert!(pause.is_over(now + PAUSE));
        assert!(!pause.deadline_missed(now + PAUSE), "the next pause begins after two more");
    }
}
