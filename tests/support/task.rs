//! A task's row in `rework.task`, read with SQL instead of a `rework` command.

use chrono::{DateTime, Utc};
use rework_core::task::state::State;
use serde_json::Value;

use super::session::Session;

/// The columns of `rework.task` that tests check. SQL nulls in JSON columns are `Value::Null` here.
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
    /// Reads the row of a task. Panics if there is none.
    #[track_caller]
    pub(crate) fn read(session: &Session, id: i64) -> Task {
        let sql = "select state, reason, run, attempt, worker, revision, queued_at, started_at,
                          finished_at, output, output_bytes, error, progress
                     from rework.task where id = $1";
        let rows = session.query(sql, &[&id]);
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

    /// The recorded reason for the task's state. Empty if none is recorded.
    pub(crate) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    /// The message of the recorded error. Empty if no error is recorded.
    pub(crate) fn error_message(&self) -> &str {
        self.error["message"].as_str().unwrap_or_default()
    }

    /// When the code of the latest run started. Panics if it did not start.
    #[track_caller]
    pub(crate) fn start_time(&self) -> DateTime<Utc> {
        self.started_at.unwrap_or_else(|| panic!("task {} did not start: {self:?}", self.id))
    }

    /// When the task ended. Panics if it has not ended.
    #[track_caller]
    pub(crate) fn end_time(&self) -> DateTime<Utc> {
        self.finished_at.unwrap_or_else(|| panic!("task {} has not ended: {self:?}", self.id))
    }

    /// Seconds from the start of the task's code to its end.
    #[track_caller]
    pub(crate) fn running_seconds(&self) -> f64 {
        (self.end_time() - self.start_time()).as_seconds_f64()
    }
}
