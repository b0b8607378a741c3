//! What the tables say of a task, without asking the product.

use chrono::{DateTime, Utc};
use rework_core::task::state::State;
use serde_json::Value;

use super::session::Session;

/// A row of `rework.task`.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: i64,
    pub(crate) state: State,
    pub(crate) reason: Option<String>,
    pub(crate) run: i64,
    pub(crate) attempt: i32,
    pub(crate) worker: Option<i64>,
    pub(crate) revision: Option<String>,
    pub(crate) queued_at: DateTime<Utc>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) output: Value,
    pub(crate) output_bytes: Option<Vec<u8>>,
    pub(crate) error: Value,
    pub(crate) progress: Value,
}

impl Task {
    /// Reads one; it has to be there.
    #[track_caller]
    pub(crate) fn read(session: &Session, id: i64) -> Task {
        let sql = "select state, reason, run, attempt, worker, revision, queued_at, started_at,
                          finished_at, output, output_bytes, error, progress
                     from rework.task where id = $1";
        let rows = session.rows(sql, &[&id]);
        let row = rows.first().unwrap_or_else(|| panic!("there is no task {id}"));
        let json = |column| row.get::<_, Option<Value>>(column).unwrap_or_default();
        Task {
            id,
            state: row.get::<_, String>(0).parse().unwrap(),
            reason: row.get(1),
            run: row.get(2),
            attempt: row.get(3),
            worker: row.get(4),
            revision: row.get(5),
            queued_at: row.get(6),
            started_at: row.get(7),
            finished_at: row.get(8),
            output: json(9),
            output_bytes: row.get(10),
            error: json(11),
            progress: json(12),
        }
    }

    /// How it ended, in words; empty where nothing is recorded.
    pub(crate) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    /// The message of its error; empty where it has none.
    pub(crate) fn error_message(&self) -> &str {
        self.error["message"].as_str().unwrap_or_default()
    }

    /// When its code began; it has.
    #[track_caller]
    pub(crate) fn began(&self) -> DateTime<Utc> {
        self.started_at.unwrap_or_else(|| panic!("task {} never began: {self:?}", self.id))
    }

    /// When it ended; it has.
    #[track_caller]
    pub(crate) fn ended(&self) -> DateTime<Utc> {
        self.finished_at.unwrap_or_else(|| panic!("task {} has not ended: {self:?}", self.id))
    }

    /// From the beginning of its code to its end, in seconds.
    #[track_caller]
    pub(crate) fn seconds(&self) -> f64 {
        (self.ended() - self.began()).as_seconds_f64()
    }
}
