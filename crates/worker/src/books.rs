//! The books: what the recorder's task does with each entry, against a database that may be slow,
//! away, or lose an answer. What may go together, goes together.

mod claims;
mod pending;

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
        exchange::{Turn, Turned, turn},
        fence::Fence,
    },
};
use rustc_hash::FxHashMap;
use tokio::{sync::mpsc, time::sleep};

use self::{claims::doubt, pending::Pending};
use crate::{
    database::Database,
    floors::Floors,
    holding::Holding,
    recorder::{Entry, Gauge},
};

/// Until what the database refused is told again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// The recorder's own side.
pub(crate) struct Books {
    database: Database,
    who: Claimant,
    gauge: Rc<Gauge>,
    holding: Holding,
    /// How many lines of each open run are written.
    written: FxHashMap<Fence, i64>,
    pending: Pending,
    /// Ends of tasks whose rows somebody else holds in a long transaction.
    locked: Vec<Completion>,
    /// Where it looks for ready tasks.
    floors: Floors,
    /// When the run began that began last.
    after: Option<DateTime<Utc>>,
}

/// What became of all that was to go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotTurned {
    /// Nothing of it is done.
    Undone,
    /// All of it is done, or nothing.
    Unknown,
}

impl Books {
    pub(crate) fn new(database: Database, who: Claimant, gauge: Rc<Gauge>) -> Books {
        Books {
            database,
            who,
            gauge,
            holding: Holding::new(),
            written: FxHashMap::default(),
            pending: Pending::default(),
            locked: Vec::new(),
            floors: Floors::default(),
            after: None,
        }
    }

    /// Writes down what comes, in order.
    pub(crate) async fn keep(mut self, mut entries: mpsc::UnboundedReceiver<(Entry, usize)>) {
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
                    Some((entry, bytes)) => self.take(entry, bytes).await,
                    None => return,
                },
                () = sleep(REFUSED_PAUSE), if waits => self.complete_locked().await,
                () = idle => self.database.expire(),
            }
            // What came while the last answer was awaited goes together.
            while let Ok((entry, bytes)) = entries.try_recv() {
                self.take(entry, bytes).await;
            }
            self.settle().await;
        }
    }

    /// What can wait for company, waits; the rest follows what came before it.
    async fn take(&mut self, entry: Entry, bytes: usize) {
        self.pending.bytes += bytes;
        self.pending.owed += usize::from(entry.is_owed());
        match entry {
            Entry::Lines(fence, lines) => self.pending.lines(fence, lines),
            Entry::Complete(mut end) => {
                end.ctid = self.holding.ctid(end.fence);
                self.pending.ends.push(*end);
            }
            Entry::Claim(batches, answer) => {
                self.pending.claim = Some((batches, answer));
                self.settle().await;
            }
            entry => {
                self.settle().await;
                self.handle(entry).await;
            }
        }
        if self.pending.is_full() {
            self.settle().await;
        }
    }

    async fn handle(&mut self, entry: Entry) {
        let (db, after) = (&mut self.database, self.after);
        match entry {
            Entry::Lines(..) | Entry::Complete(_) | Entry::Claim(..) => {}
            Entry::Begin(fence, began, revision) => {
                self.holding.moved(fence);
                let note = async |db: &_| {
                    let elapsed_ms = began.elapsed().as_millis() as i64;
                    task::progress::begin(db, fence, elapsed_ms, &revision, after).await
                };
                let at = db.until_answered(note).await;
                self.after = after.max(at.as_ref().ok().copied().flatten());
                noted(at.map(|at| at.is_some()));
            }
            Entry::Save(fence, progress, output) => {
                self.holding.moved(fence);
                let save = async |db: &_| {
                    task::progress::save(db, fence, progress.as_deref(), &output).await
                };
                noted(db.until_answered(save).await);
            }
            Entry::Unkillable(fence, reason) => noted(
                db.until_answered(async |db| task::progress::unkillable(db, fence, &reason).await)
                    .await,
            ),
            Entry::Child(fence, child, answer) => {
                let asked = async |db: &_| task::progress::schedule_child(db, fence, &child).await;
                let _ = answer.send(db.until_answered(asked).await);
            }
            Entry::Placed(version, answer) => {
                let _ = answer.send(db.until_answered(async |db| placed(db, version).await).await);
            }
            Entry::Settled(answer) => {
                while !self.locked.is_empty() {
                    sleep(REFUSED_PAUSE).await;
                    self.complete_locked().await;
                }
                let _ = answer.send(Ok(()));
            }
            Entry::Leave(reason, answer) => {
                let worker = self.who.worker;
                let leave = async |db: &_| worker::leave(db, worker, &reason).await;
                let _ = answer.send(db.until_answered(leave).await);
            }
        }
    }

    /// Writes what is pending: in one transaction where all goes well; else one after the other,
    /// each until it is answered.
    async fn settle(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let locked = self.locked.len();
        let turned = self.turn(&pending).await;
        let Pending { lines, ends, claim, bytes, owed } = pending;
        let mut hinted = false;
        let claimed = match turned {
            Ok(((recorded, claimed), by_hints)) => {
                self.note_lines(&lines);
                self.note_ends(ends.into_iter().zip(recorded));
                hinted = by_hints;
                Ok(claimed)
            }
            Err(not) => {
                self.append(&lines, not == NotTurned::Unknown).await;
                self.complete(ends).await;
                match &claim {
                    Some((batches, _)) => self.claim(batches).await,
                    None => Ok(Vec::new()),
                }
            }
        };
        self.gauge.waiting.set(self.gauge.waiting.get() - bytes);
        if let Some((batches, answer)) = claim {
            let claimed = match claimed {
                Ok(none) if none.is_empty() && hinted => self.claim_anywhere(&batches).await,
                claimed => claimed,
            };
            self.answer(claimed, answer).await;
        }
        self.gauge.owed.set(self.gauge.owed.get() - owed + self.locked.len() - locked);
    }

    /// All that is pending in one go, where it is more than one statement; and whether it was by
    /// hints that one looked for more.
    async fn turn(&mut self, pending: &Pending) -> std::result::Result<(Turned, bool), NotTurned> {
        let Pending { lines, ends, claim, .. } = pending;
        if pending.kinds() < 2 || (claim.is_some() && self.is_in_doubt()) {
            return Err(NotTurned::Undone);
        }
        let batches = claim.as_ref().map(|(batches, _)| self.within_room(batches));
        let hints = self.floors.regions(Instant::now());
        let regions = hints.clone().unwrap_or_default();
        let Ok(db) = self.database.get().await else { return Err(NotTurned::Undone) };
        let began = Instant::now();
        let claim = batches.as_ref().map(|batches| (&self.who, batches, &regions));
        let turned = turn(db, Turn { lines, ends, after: self.after, claim }).await;
        if let (Some(_), Ok((_, claimed))) = (&batches, &turned) {
            self.floors.claimed(claimed, hints.is_none(), began.elapsed(), Instant::now());
        }
        turned.map(|turned| (turned, hints.is_some())).map_err(|error| {
            tracing::debug!("what was to go together did not: {error}");
            if error.is_data() || error.is_locked() {
                return NotTurned::Undone;
            }
            if batches.is_some() {
                doubt(&self.gauge);
            }
            NotTurned::Unknown
        })
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
