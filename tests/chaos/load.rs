//! The tasks of a chaos test. A batch of them is scheduled whenever few are waiting, so that a slow machine gets fewer.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};

use crate::support::session::Session;

/// The tasks of one batch: the operation (`tests/operations/src/witness.rs`), how many tasks, and how many milliseconds
/// each of them takes. Short ones are claimed and sent to runners many at once. Long ones are interrupted by faults.
const BATCH: [(&str, usize, Range<u64>); 7] = [
    ("witnessed", 60, 0..3),
    ("witnessed", 5, 10..150),
    ("witnessed", 1, 200..1_500),
    ("witnessed_repeatable", 40, 0..3),
    ("witnessed_repeatable", 5, 10..150),
    ("witnessed_repeatable", 2, 200..1_500),
    ("witnessed_leaving_process", 2, 0..30),
];

/// A batch is scheduled when fewer tasks than this are queued.
const MIN_QUEUED: i64 = 150;

/// Time between two checks whether a batch is to be scheduled.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Schedules a batch in one transaction. If a reply was lost, the same keys return the same tasks.
const SCHEDULE: &str = "
    select rework.schedule(request.operation, request.input, unique_key => request.key)
      from unnest($1::text[], $2::json[], $3::text[]) as request (operation, input, key)";

/// Schedules tasks and remembers which ones were acknowledged.
pub(crate) struct Load {
    session: Session,
    /// The file to which the runs write their lines.
    path: PathBuf,
    random: Rng,
    /// The number of the last request. Each request has its own.
    number: u32,
    checked_at: Instant,
    /// The batch that is not acknowledged yet.
    batch: Option<Batch>,
    acknowledged: Vec<i64>,
}

/// Requests that are sent together. Those at one index belong together.
#[derive(Default)]
struct Batch {
    operations: Vec<&'static str>,
    inputs: Vec<Value>,
    keys: Vec<String>,
}

impl Load {
    /// `dsn` connects directly, and lets no statement wait for long. The runs will write to `path`.
    pub(crate) fn new(dsn: &str, path: &Path, seed: u64) -> Load {
        Load {
            session: Session::open(dsn),
            path: path.to_owned(),
            random: Rng::with_seed(seed),
            number: 0,
            checked_at: Instant::now(),
            batch: None,
            acknowledged: Vec::new(),
        }
    }

    /// Returns the ids of the tasks whose scheduling was acknowledged.
    pub(crate) fn acknowledged(&self) -> &[i64] {
        &self.acknowledged
    }

    /// Schedules a batch if few tasks are queued.
    pub(crate) fn offer(&mut self) {
        if self.checked_at.elapsed() < CHECK_INTERVAL {
            return;
        }
        self.checked_at = Instant::now();
        if self.batch.is_none() && self.has_few_queued() {
            self.batch = Some(self.next_batch());
        }
        self.send();
    }

    /// Returns whether every request is acknowledged and every task has ended. Sends a request again that is not
    /// acknowledged.
    pub(crate) fn is_done(&mut self) -> bool {
        self.send();
        let sql = "select not exists (select from rework.task where finished_at is null)";
        self.batch.is_none()
            && self.session.try_query(sql, &[]).is_ok_and(|rows| rows[0].get::<_, bool>(0))
    }

    /// Sends the batch that is not acknowledged, if there is one. It stays if the reply does not come.
    fn send(&mut self) {
        let Some(Batch { operations, inputs, keys }) = &self.batch else { return };
        if let Ok(rows) = self.session.try_query(SCHEDULE, &[operations, inputs, keys]) {
            self.acknowledged.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
            self.batch = None;
        }
    }

    fn has_few_queued(&self) -> bool {
        let sql = "select count(*)
                     from (select from rework.task where state = 'queued' limit $1) queued";
        let rows = self.session.try_query(sql, &[&MIN_QUEUED]);
        rows.is_ok_and(|rows| rows[0].get::<_, i64>(0) < MIN_QUEUED)
    }

    fn next_batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        for (operation, count, milliseconds) in BATCH {
            for _ in 0..count {
                self.number += 1;
                let milliseconds = self.random.u64(milliseconds.clone());
                batch.operations.push(operation);
                batch.inputs.push(json!({
                    "path": self.path, "number": self.number, "milliseconds": milliseconds,
                }));
                batch.keys.push(format!("chaos {}", self.number));
            }
        }
        batch
    }
}
