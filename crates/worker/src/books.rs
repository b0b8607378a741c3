//! The books: what the recorder's task does with each entry, against a database that may be slow,
//! away, or lose an answer.

use std::{rc::Rc, time::Duration};

use rework_core::{
    claim::{Claimant, Claimed, Fence, claim, held, placed},
    complete::{Completion, Outcome, Recorded, complete},
    connect::Db,
    error::{Error, Result},
    report::{self, Line},
    turn::turn,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::{
    database::Database,
    recorder::{Entry, Gauge},
};

/// Most lines of one statement.
const MAX_LINES: usize = 5_000;

/// Until what the database refused is told again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// A backend that we gave up may still carry out a claim of ours for so long.
const DOUBT: Duration = Duration::from_secs(300);

/// The recorder's own side.
pub(crate) struct Books {
    database: Database,
    who: Claimant,
    gauge: Rc<Gauge>,
    /// The run whose end was told last: it is not held any more, whatever a slow server says.
    ended: Option<Fence>,
    /// The run whose lines were written last, and how many of them.
    log: (Option<Fence>, i64),
}

impl Books {
    pub(crate) fn new(database: Database, who: Claimant, gauge: Rc<Gauge>) -> Books {
        Books { database, who, gauge, ended: None, log: (None, 0) }
    }

    /// Writes down what comes, one after the other.
    pub(crate) async fn keep(mut self, mut entries: mpsc::UnboundedReceiver<(Entry, usize)>) {
        loop {
            let expires = self.database.expires();
            let idle = async {
                match expires {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                entry = entries.recv() => match entry {
                    Some((entry, bytes)) => {
                        self.handle(entry).await;
                        self.gauge.waiting.set(self.gauge.waiting.get() - bytes);
                    }
                    None => return,
                },
                () = idle => self.database.expire(),
            }
        }
    }

    async fn handle(&mut self, entry: Entry) {
        let db = &mut self.database;
        match entry {
            Entry::Lines(fence, lines) => self.append(fence, &lines).await,
            Entry::Begin(fence, began, revision) => {
                let note = async |db: &_| {
                    let elapsed_ms = began.elapsed().as_millis() as i64;
                    report::begin(db, fence, elapsed_ms, &revision).await
                };
                noted(db.until_answered(note).await);
            }
            Entry::Save(fence, progress, output) => noted(
                db.until_answered(async |db| {
                    report::save(db, fence, progress.as_deref(), &output).await
                })
                .await,
            ),
            Entry::Unkillable(fence, reason) => noted(
                db.until_answered(async |db| report::unkillable(db, fence, &reason).await).await,
            ),
            Entry::Child(fence, child, answer) => {
                let asked = async |db: &_| report::schedule_child(db, fence, &child).await;
                let _ = answer.send(db.until_answered(asked).await);
            }
            Entry::Placed(version, answer) => {
                let _ = answer.send(db.until_answered(async |db| placed(db, version).await).await);
            }
            Entry::Claim(answer) => {
                let _ = answer.send(self.claim().await);
            }
            Entry::Complete(end, answer) => {
                let _ = answer.send(self.complete(*end).await);
            }
            Entry::CompleteAndClaim(end, answer) => {
                let _ = answer.send(self.complete_and_claim(*end).await);
            }
            Entry::Adopt(answer) => {
                let _ = answer.send(self.adopt().await);
            }
            Entry::Renew(fence, answer) => {
                let (lease, epoch) = (self.who.lease, self.who.epoch);
                let renew = async |db: &_| report::renew_own(db, lease, epoch, fence).await;
                let _ = answer.send(db.until_answered(renew).await);
            }
            Entry::Leave(reason, answer) => {
                let worker = self.who.worker;
                let leave = async |db: &_| report::leave(db, worker, &reason).await;
                let _ = answer.send(db.until_answered(leave).await);
            }
        }
    }

    /// All of them, in order, once: an answer that was lost is looked up before they are sent
    /// again.
    async fn append(&mut self, fence: Fence, lines: &[Line]) {
        if self.log.0 != Some(fence) {
            self.log = (Some(fence), 0);
        }
        for some in lines.chunks(MAX_LINES) {
            let after = self.log.1 + some.len() as i64;
            let mut tries = 0;
            let stored = self
                .insist("lines of a log", async |db| {
                    tries += 1;
                    if tries > 1 && report::stored_lines(db, fence).await? >= after {
                        return Ok(());
                    }
                    report::append_log(db, fence, some).await
                })
                .await;
            if let Err(error) = stored {
                tracing::error!("lines of the log of task {} are lost: {error}", fence.task);
            }
            self.log.1 = after;
        }
    }

    async fn claim(&mut self) -> Result<Option<Claimed>> {
        let (who, ended) = (self.who.clone(), self.ended);
        let in_doubt = self.gauge.doubt.get().is_some_and(|until| until > Instant::now());
        let mut tries = 0;
        let claimed = self
            .database
            .until_answered(async |db| {
                tries += 1;
                // After an answer that was lost: what it took, if it took anything.
                if in_doubt || tries > 1 {
                    let task = held(db, &who).await?.filter(|task| Some(task.fence) != ended);
                    if task.is_some() {
                        return Ok(task);
                    }
                }
                Ok(claim(db, &who, 1).await?.pop())
            })
            .await;
        if tries > 1 || claimed.is_err() {
            self.doubt();
        }
        claimed
    }

    fn doubt(&self) {
        self.gauge.doubt.set(Some(Instant::now() + DOUBT));
    }

    async fn complete(&mut self, mut end: Completion) -> Result<Recorded> {
        self.ended = Some(end.fence);
        loop {
            let recorded =
                self.insist("the end of a run", async |db| complete(db, &end).await).await;
            match recorded {
                Err(error) if error.is_data() && end.outcome != Outcome::Refused => {
                    end = without_what_cannot_be_stored(end, &error);
                }
                recorded => return recorded,
            }
        }
    }

    /// In one transaction where all goes well; else the end first, then the claim, each until it
    /// is answered.
    async fn complete_and_claim(&mut self, end: Completion) -> Result<(Recorded, Option<Claimed>)> {
        if self.gauge.doubt.get().is_none_or(|until| until <= Instant::now())
            && let Ok(db) = self.database.get().await
        {
            match turn(db, &end, &self.who).await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    tracing::debug!("an end and a claim in one go failed: {error}");
                    if !error.is_data() {
                        self.doubt();
                    }
                }
            }
        }
        let recorded = self.complete(end).await?;
        Ok((recorded, self.claim().await?))
    }

    /// Until it is done, or the value itself is at fault. A full disk, a server that only reads
    /// for now: what a run left exists only here.
    async fn insist<T>(
        &mut self,
        what: &str,
        mut tell: impl AsyncFnMut(&Db) -> Result<T>,
    ) -> Result<T> {
        loop {
            match self.database.until_answered(&mut tell).await {
                Err(error) if !error.is_data() => {
                    tracing::error!("{what} cannot be written: {error}");
                    sleep(REFUSED_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    async fn adopt(&mut self) -> Result<Option<(i64, i64)>> {
        let Claimant { worker, lease, epoch, .. } = self.who;
        let own = self
            .database
            .until_answered(async |db| report::adopt_lease(db, worker, lease, epoch).await)
            .await?;
        if let Some((lease, epoch)) = own {
            self.who.lease = lease;
            self.who.epoch = epoch;
        }
        Ok(own)
    }
}

fn without_what_cannot_be_stored(end: Completion, error: &Error) -> Completion {
    let reason = Some(format!("the output cannot be stored: {error}"));
    let fence = end.fence;
    Completion {
        elapsed_ms: end.elapsed_ms,
        memory_peak: end.memory_peak,
        revision: end.revision,
        ..Completion::new(fence, Outcome::Refused, reason)
    }
}

/// What nobody waits for: a run that is not current any more learns of it at its end.
fn noted(answer: Result<bool>) {
    match answer {
        Ok(true) => {}
        Ok(false) => tracing::debug!("a write of a run that is not current was refused"),
        Err(error) => tracing::warn!("a write of a run failed: {error}"),
    }
}
