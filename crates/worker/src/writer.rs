//! The writer: the task that writes what the [recorder](crate::recorder) sends, in order. The database may be slow,
//! unavailable, or drop an answer. Log lines, ends of runs and a claim that wait at the same time are written in one
//! transaction (`exchange.rs`). If that fails, each kind is written by a statement of its own (`batch.rs`, `claim.rs`).
//! A statement that misses its deadline twice in a row is tried with fewer rows.

pub(crate) mod backlog;
mod batch;
mod claim;
pub(crate) mod entry;
mod exchange;
mod make_plans;
mod refusals;
mod scan_start;
pub(crate) mod slots;

use std::rc::Rc;

use chrono::{DateTime, Utc};
use rework_core::{
    db::size_limit::SizeLimit,
    fleet::worker,
    task::{
        self,
        claim::{Claimant, placed_operation},
        complete::Completion,
        fence::Fence,
    },
};
use rework_wire::worker::STARTED_RUNS_SLOTS;
use rustc_hash::FxHashMap;
use tokio::{sync::mpsc, time::sleep};

use self::{
    backlog::Backlog,
    batch::{Batch, MAX_ENDS, MAX_LINES},
    entry::{Batched, Entry, Immediate},
    exchange::{ExchangePause, NotExchanged},
    refusals::{REFUSED_PAUSE, log_refused_write, until_accepted},
    scan_start::ScanStart,
};
use crate::database_connection::DatabaseConnection;

/// Owns the worker's connection to the database.
pub(crate) struct DbWriter {
    database: DatabaseConnection,
    claimant: Claimant,
    backlog: Rc<Backlog>,
    /// The number of log lines that are stored for each open run. It shows whether a statement whose answer was lost
    /// was applied.
    lines_written: FxHashMap<Fence, i64>,
    batch: Batch,
    /// Ends of runs that wait because another transaction has locked the row of the task.
    locked_ends: Vec<Completion>,
    /// The positions in the queue from which the next claim scans.
    scan_start: ScanStart,
    exchange_pause: ExchangePause,
    /// The most log lines of one statement.
    line_limit: SizeLimit,
    /// The most ends of runs of one statement.
    end_limit: SizeLimit,
    /// The most tasks of one claim, besides the limits of `batch_size.rs`.
    claim_limit: SizeLimit,
    /// The latest start time of a run that this worker has recorded; `None` if it has recorded
    /// none. It is a lower bound for the start times of runs recorded later.
    latest_start: Option<DateTime<Utc>>,
}

impl DbWriter {
    pub(crate) fn new(
        database: DatabaseConnection,
        claimant: Claimant,
        backlog: Rc<Backlog>,
    ) -> DbWriter {
        DbWriter {
            database,
            claimant,
            backlog,
            lines_written: FxHashMap::default(),
            batch: Batch::default(),
            locked_ends: Vec::new(),
            scan_start: ScanStart::default(),
            exchange_pause: ExchangePause::default(),
            line_limit: SizeLimit::new(MAX_LINES),
            end_limit: SizeLimit::new(MAX_ENDS),
            claim_limit: SizeLimit::new(STARTED_RUNS_SLOTS as usize),
            latest_start: None,
        }
    }

    /// Writes entries until the recorder is dropped. Log lines, ends of runs and a claim that wait at the same time are
    /// written together. Any other entry is written by itself, after those that came before it. An entry comes with its
    /// size in bytes.
    pub(crate) async fn run(mut self, mut entries: mpsc::UnboundedReceiver<(Entry, usize)>) {
        loop {
            let expires = self.database.expires();
            let has_locked_ends = !self.locked_ends.is_empty();
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
                () = sleep(REFUSED_PAUSE), if has_locked_ends => self.complete_locked().await,
                () = idle => self.close_idle_connection(),
            }
            // Entries that arrived while the last statement ran are written together.
            while let Ok((entry, bytes)) = entries.try_recv() {
                self.enqueue(entry, bytes).await;
            }
            self.flush().await;
        }
    }

    /// Adds an entry to the batch. An immediate entry is written by itself, after the batch.
    async fn enqueue(&mut self, entry: Entry, bytes: usize) {
        self.batch.bytes += bytes;
        self.batch.unsaved += usize::from(entry.is_unsaved());
        match entry {
            Entry::Batched(Batched::Lines(fence, lines)) => self.batch.lines(fence, lines),
            Entry::Batched(Batched::Complete(end)) => self.batch.ends.push(*end),
            Entry::Batched(Batched::Plan(end, domain, keys)) => {
                let end = self.planned(*end, &domain, &keys).await;
                self.batch.ends.push(end);
            }
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
        let (db, latest_start) = (&mut self.database, self.latest_start);
        match immediate {
            Immediate::Start(fence, started_at, revision) => {
                let record = async |db: &_| {
                    let elapsed_ms = started_at.elapsed().as_millis() as i64;
                    task::progress::record_start(db, fence, elapsed_ms, &revision, latest_start)
                        .await
                };
                let recorded_at = db.until_answered("the start of a run", record).await;
                self.latest_start = latest_start.max(recorded_at.as_ref().ok().copied().flatten());
                log_refused_write(recorded_at.map(|at| at.is_some()));
            }
            Immediate::Save(fence, progress, output) => {
                let save = async |db: &_| {
                    task::progress::save_progress(db, fence, progress.as_deref(), &output).await
                };
                log_refused_write(db.until_answered("the progress of a run", save).await);
            }
            Immediate::Unkillable(fence, reason) => {
                let record =
                    async |db: &_| task::progress::record_unkillable(db, fence, &reason).await;
                log_refused_write(db.until_answered("an unkillable process", record).await);
            }
            Immediate::Child(fence, child, answer) => {
                let schedule =
                    async |db: &_| task::progress::schedule_child(db, fence, &child).await;
                until_accepted(db, "a child task", schedule, answer).await;
            }
            Immediate::PlacedOperation(version, answer) => {
                let load = async |db: &_| placed_operation(db, version).await;
                until_accepted(db, "the request for an operation", load, answer).await;
            }
            Immediate::Close => db.close(),
            Immediate::Flush(answer) => {
                while !self.locked_ends.is_empty() {
                    sleep(REFUSED_PAUSE).await;
                    self.complete_locked().await;
                }
                let _ = answer.send(Ok(()));
            }
            Immediate::Exit(reason, answer) => {
                let worker = self.claimant.worker;
                let record = async |db: &_| worker::finish(db, worker, &reason).await;
                let _ = answer.send(db.until_answered("the end of the worker", record).await);
            }
        }
    }

    /// Closes a connection that was not used for a minute. If it was open until now, the lease was renewed after the
    /// last end was recorded. A failover that loses this end also loses the renewal, and the monitor notices that.
    fn close_idle_connection(&mut self) {
        if self.database.expire() {
            self.backlog.last_end.set(None);
        }
    }

    /// Writes the batch: in one transaction if possible, otherwise one statement after the other, each repeated until
    /// it is answered.
    async fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let locked = self.locked_ends.len();
        let exchanged = self.exchange(&batch).await;
        let Batch { lines, ends, claim, bytes, unsaved } = batch;
        let mut used_ranges = false;
        let claimed = match exchanged {
            Ok(((recorded, claimed), in_ranges)) => {
                self.count_lines(&lines);
                self.on_recorded(ends.into_iter().zip(recorded));
                used_ranges = in_ranges;
                Ok(claimed)
            }
            Err(failure) => {
                self.append(&lines, failure == NotExchanged::Unknown).await;
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
                Ok(tasks) if tasks.is_empty() && used_ranges => {
                    self.claim_in_whole_lanes(&batches).await
                }
                claimed => claimed,
            };
            self.deliver(claimed, answer).await;
        }
        self.backlog
            .unsaved
            .set(self.backlog.unsaved.get() - unsaved + self.locked_ends.len() - locked);
    }
}
