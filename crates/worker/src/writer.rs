//! The writer: the task that writes what the [recorder](crate::recorder) hands over, in order, to a database that may be slow,
//! away, or lose an answer. Lines, ends and a claim that come together are one transaction.

pub(crate) mod backlog;
mod pending;
mod claim;
pub(crate) mod entry;
mod scan_start;
mod slots;

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rework_core::{
    db::{connect::Db, error::Result},
    fleet::worker,
    task::{
        self,
        claim::{Claimant, placed},
        complete::Completion,
        exchange::{Exchange, Exchanged, exchange},
        fence::Fence,
    },
};
use rustc_hash::FxHashMap;
use tokio::{sync::mpsc, time::sleep};

use self::{
    backlog::Backlog,
    claim::note_unconfirmed_claim,
    entry::{Batched, Entry, Immediate},
    pending::Batch,
    scan_start::ScanStart,
    slots::Slots,
};
use crate::database_away::Database;

/// Until what the database refused is told again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Writes to the database.
pub(crate) struct DbWriter {
    database: Database,
    who: Claimant,
    backlog: Rc<Backlog>,
    slots: Slots,
    /// How many lines of each open run are written.
    written: FxHashMap<Fence, i64>,
    batch: Batch,
    /// Ends of tasks whose rows somebody else holds in a long transaction.
    locked: Vec<Completion>,
    /// Where it looks for ready tasks.
    scan_start: ScanStart,
    /// When the run began that began last.
    after: Option<DateTime<Utc>>,
}

/// What became of all that was to go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotExchanged {
    /// Nothing of it is done.
    Undone,
    /// All of it is done, or nothing.
    Unknown,
}

impl DbWriter {
    pub(crate) fn new(database: Database, who: Claimant, backlog: Rc<Backlog>) -> DbWriter {
        DbWriter {
            database,
            who,
            backlog,
            slots: Slots::new(),
            written: FxHashMap::default(),
            batch: Batch::default(),
            locked: Vec::new(),
            scan_start: ScanStart::default(),
            after: None,
        }
    }

    /// Writes what comes, in order, for as long as the worker lives.
    pub(crate) async fn run(mut self, mut entries: mpsc::UnboundedReceiver<(Entry, usize)>) {
        loop {
            let expires = self.database.expires();
            let waits = !self.locked.is_empty();
            let idle = async {
                match expires {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                entry = entries.recv() => match entry {
                    Some((entry, bytes)) => self.enqueue(entry, bytes).await,
                    None => return,
                },
                () = sleep(REFUSED_PAUSE), if waits => self.complete_locked().await,
                () = idle => self.database.expire(),
            }
            // What came while the last answer was awaited goes together.
            while let Ok((entry, bytes)) = entries.try_recv() {
                self.enqueue(entry, bytes).await;
            }
            self.flush().await;
        }
    }

    /// Adds an entry to the batch, or writes the batch and then the entry.
    async fn enqueue(&mut self, entry: Entry, bytes: usize) {
        self.batch.bytes += bytes;
        self.batch.unsaved += usize::from(entry.is_unsaved());
        match entry {
            Entry::Batched(Batched::Lines(fence, lines)) => self.batch.lines(fence, lines),
            Entry::Batched(Batched::Complete(end)) => self.batch.ends.push(*end),
            Entry::Batched(Batched::Claim(batches, answer)) => {
                self.batch.claim = Some((batches, answer));
                self.flush().await;
            }
            Entry::Immediate(immediate) => {
                self.flush().await;
                self.write(immediate).await;
            }
        }
        if self.batch.is_full() {
            self.flush().await;
        }
    }

    async fn write(&mut self, immediate: Immediate) {
        let (db, after) = (&mut self.database, self.after);
        match immediate {
            Immediate::Begin(fence, began, revision) => {
                let note = async |db: &_| {
                    let elapsed_ms = began.elapsed().as_millis() as i64;
                    task::progress::begin(db, fence, elapsed_ms, &revision, after).await
                };
                let at = db.until_answered(note).await;
                self.after = after.max(at.as_ref().ok().copied().flatten());
                noted(at.map(|at| at.is_some()));
            }
            Immediate::Save(fence, progress, output) => {
                let save = async |db: &_| {
                    task::progress::save(db, fence, progress.as_deref(), &output).await
                };
                noted(db.until_answered(save).await);
            }
            Immediate::Unkillable(fence, reason) => noted(
                db.until_answered(async |db| task::progress::unkillable(db, fence, &reason).await)
                    .await,
            ),
            Immediate::Child(fence, child, answer) => {
                let asked = async |db: &_| task::progress::schedule_child(db, fence, &child).await;
                let _ = answer.send(db.until_answered(asked).await);
            }
            Immediate::Placed(version, answer) => {
                let _ = answer.send(db.until_answered(async |db| placed(db, version).await).await);
            }
            Immediate::Settled(answer) => {
                while !self.locked.is_empty() {
                    sleep(REFUSED_PAUSE).await;
                    self.complete_locked().await;
                }
                let _ = answer.send(Ok(()));
            }
            Immediate::Leave(reason, answer) => {
                let worker = self.who.worker;
                let leave = async |db: &_| worker::leave(db, worker, &reason).await;
                let _ = answer.send(db.until_answered(leave).await);
            }
        }
    }

    /// Writes the batch: in one transaction if all goes well, otherwise one statement after the other,
    /// each until it is answered.
    async fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let locked = self.locked.len();
        let exchanged = self.exchange(&batch).await;
        let Batch { lines, ends, claim, bytes, unsaved } = batch;
        let mut hinted = false;
        let claimed = match exchanged {
            Ok(((recorded, claimed), by_hints)) => {
                self.note_lines(&lines);
                self.note_ends(ends.into_iter().zip(recorded));
                hinted = by_hints;
                Ok(claimed)
            }
            Err(not) => {
                self.append(&lines, not == NotExchanged::Unknown).await;
                self.complete(ends).await;
                match &claim {
                    Some((batches, _)) => self.claim(batches).await,
                    None => Ok(Vec::new()),
                }
            }
        };
        self.backlog.bytes.set(self.backlog.bytes.get() - bytes);
        if let Some((batches, answer)) = claim {
            let claimed = match claimed {
                Ok(none) if none.is_empty() && hinted => self.claim_anywhere(&batches).await,
                claimed => claimed,
            };
            self.answer(claimed, answer).await;
        }
        self.backlog.unsaved.set(self.backlog.unsaved.get() - unsaved + self.locked.len() - locked);
    }

    /// Writes the batch in one transaction, if it is more than one statement. Also returns whether it was by
    /// hints that one looked for more.
    async fn exchange(
        &mut self,
        batch: &Batch,
    ) -> std::result::Result<(Exchanged, bool), NotExchanged> {
        let Batch { lines, ends, claim, .. } = batch;
        if batch.kinds() < 2 || (claim.is_some() && self.backlog.has_unconfirmed_claim()) {
            return Err(NotExchanged::Undone);
        }
        let batches = claim.as_ref().map(|(batches, _)| self.within_room(batches));
        let hints = self.scan_start.ranges(Instant::now());
        let ranges = hints.clone().unwrap_or_default();
        let Ok(db) = self.database.get().await else { return Err(NotExchanged::Undone) };
        let began = Instant::now();
        let claim = batches.as_ref().map(|batches| (&self.who, batches, &ranges));
        let exchanged = exchange(db, Exchange { lines, ends, after: self.after, claim }).await;
        if let (Some(_), Ok((_, claimed))) = (&batches, &exchanged) {
            self.scan_start.claimed(claimed, hints.is_none(), began.elapsed(), Instant::now());
        }
        exchanged.map(|exchanged| (exchanged, hints.is_some())).map_err(|error| {
            tracing::debug!("what was to go together did not: {error}");
            if error.is_data() || error.is_locked() {
                return NotExchanged::Undone;
            }
            if batches.is_some() {
                note_unconfirmed_claim(&self.backlog);
            }
            NotExchanged::Unknown
        })
    }

    /// Until it is done, or the value itself is at fault. A full disk, a server that only reads
    /// for now: what a run left exists only here.
    async fn retry_until_stored<T>(
        &mut self,
        what: &str,
        mut tell: impl AsyncFnMut(&Db) -> Result<T>,
    ) -> Result<T> {
        loop {
            match self.database.until_answered(&mut tell).await {
                Err(error) if !error.is_data() && !error.is_locked() => {
                    tracing::error!("{what} cannot be written: {error}");
                    sleep(REFUSED_PAUSE).await;
                }
                answer => return answer,
            }
        }
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
