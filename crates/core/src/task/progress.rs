//! Recording what a run does before it ends: its start, its log lines, its progress, an output that
//! it saves early, and the tasks that it schedules. Every statement names the fence (task, number
//! and token of the run), so a run that is no longer current changes nothing.

use chrono::{DateTime, Utc};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};
use uuid::Uuid;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    task::{fence::Fence, payload::Payload, schedule::MAX_DELAY_MS},
};

/// A row for the log of a run that is not stored yet: a line, or a piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLogLine {
    /// When the worker received the line, by the clock of its host.
    pub at: DateTime<Utc>,
    /// The source of the line: `stdout`, `stderr`, `shared` (several runs at once), `rework`, or the name of a logger.
    pub stream: String,
    /// The log level: `ERROR`, `WARNING`, `INFO`, `DEBUG` or `TRACE`.
    pub level: &'static str,
    /// The text without the newline. It need not be UTF-8.
    pub bytes: Vec<u8>,
    /// Whether a newline followed. If not, another piece of the line may come, or the output ended without a newline.
    pub whole: bool,
    /// Whether the row before it with the same stream and level is a piece of the same line.
    pub continues: bool,
}

impl NewLogLine {
    /// Returns a warning of rework itself about a run.
    pub fn warning(text: String) -> NewLogLine {
        NewLogLine {
            at: Utc::now(),
            stream: "rework".to_owned(),
            level: "WARNING",
            bytes: text.into_bytes(),
            whole: true,
            continues: false,
        }
    }
}

/// Records that the code of a run started `elapsed_ms` milliseconds ago, and returns this moment by the server's clock.
/// This moment is later than `earliest_start`. `None` if the run is not current, or if another session has locked the
/// task.
pub async fn record_start(
    db: &Db,
    fence: Fence,
    elapsed_ms: i64,
    revision: &str,
    earliest_start: Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>> {
    let more: [Param<'_>; 3] =
        [(&elapsed_ms, Type::INT8), (&revision, Type::TEXT), (&earliest_start, Type::TIMESTAMPTZ)];
    let row = fenced(db, include_str!("sql/record_start.sql"), fence, &more).await?;
    row.map(|row| Columns::new(&row).get("started_at")).transpose()
}

/// Saves the progress (JSON text) and the output of a run. `None` and [`Payload::None`] leave the former value. Returns
/// false if the run is not current, or if another session has locked the task.
pub async fn save_progress(
    db: &Db,
    fence: Fence,
    progress: Option<&str>,
    output: &Payload,
) -> Result<bool> {
    let (json, bytes) = output.columns();
    let more: [Param<'_>; 3] =
        [(&progress, Type::TEXT), (&json, Type::TEXT), (&bytes, Type::BYTEA)];
    Ok(fenced(db, include_str!("sql/save_progress.sql"), fence, &more).await?.is_some())
}

/// Records as the reason of a task that processes of its run cannot be killed. Returns false if that is recorded
/// already, if the run is not current, or if another session has locked the task.
pub async fn record_unkillable(db: &Db, fence: Fence, reason: &str) -> Result<bool> {
    let more: [Param<'_>; 1] = [(&reason, Type::TEXT)];
    Ok(fenced(db, include_str!("sql/record_unkillable.sql"), fence, &more).await?.is_some())
}

/// Runs a statement whose first three parameters are the fence. Returns its first row; `None` if it
/// returned no row.
async fn fenced(db: &Db, sql: &str, fence: Fence, more: &[Param<'_>]) -> Result<Option<Row>> {
    let mut params: Vec<Param<'_>> =
        vec![(&fence.task, Type::INT8), (&fence.run, Type::INT8), (&fence.token, Type::UUID)];
    params.extend(more.iter().map(|(value, kind)| (*value as &(dyn ToSql + Sync), kind.clone())));
    db.query_opt(sql, &params).await
}

/// Appends lines to the logs of runs in this order, all of them or none. Lines of runs that are not current are
/// dropped.
pub async fn append_log(db: &Db, lines: &[(Fence, NewLogLine)]) -> Result<()> {
    db.query(APPEND_LOG, &LogLineParams::of(lines).params()).await.map(drop)
}

/// The statement that appends lines. Its parameters are [`LogLineParams::params`].
pub(crate) const APPEND_LOG: &str = include_str!("sql/append_log.sql");

/// The parameters of `append_log.sql`: one array for each column.
#[derive(Default)]
pub(crate) struct LogLineParams<'a> {
    tasks: Vec<i64>,
    runs: Vec<i64>,
    tokens: Vec<Uuid>,
    at: Vec<DateTime<Utc>>,
    streams: Vec<&'a str>,
    levels: Vec<&'a str>,
    bytes: Vec<&'a [u8]>,
    whole: Vec<bool>,
    continues: Vec<bool>,
}

impl<'a> LogLineParams<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(crate) fn of(lines: &'a [(Fence, NewLogLine)]) -> LogLineParams<'a> {
        let mut params = LogLineParams::default();
        for (fence, line) in lines {
            params.tasks.push(fence.task);
            params.runs.push(fence.run);
            params.tokens.push(fence.token);
            params.at.push(line.at);
            params.streams.push(&line.stream);
            params.levels.push(line.level);
            params.bytes.push(&line.bytes);
            params.whole.push(line.whole);
            params.continues.push(line.continues);
        }
        params
    }

    pub(crate) fn params(&self) -> [Param<'_>; 9] {
        [
            (&self.tasks, Type::INT8_ARRAY),
            (&self.runs, Type::INT8_ARRAY),
            (&self.tokens, Type::UUID_ARRAY),
            (&self.at, Type::TIMESTAMPTZ_ARRAY),
            (&self.streams, Type::TEXT_ARRAY),
            (&self.levels, Type::TEXT_ARRAY),
            (&self.bytes, Type::BYTEA_ARRAY),
            (&self.whole, Type::BOOL_ARRAY),
            (&self.continues, Type::BOOL_ARRAY),
        ]
    }
}

/// Returns how many rows of a run are in the log. After a lost reply, the worker uses this number to find out whether
/// its lines were stored.
pub async fn count_log_lines(db: &Db, fence: Fence) -> Result<i64> {
    let params: [Param<'_>; 2] = [(&fence.task, Type::INT8), (&fence.run, Type::INT8)];
    let row = db.query_one(include_str!("sql/count_log_lines.sql"), &params).await?;
    Columns::new(&row).get("count")
}

/// A task that the code of a run schedules.
#[derive(Debug, Clone)]
pub struct ChildTask {
    /// The number of this child within the run, from 1. A request that is repeated with the same number returns the
    /// same task.
    pub number: i32,
    /// The name of the operation.
    pub operation: String,
    /// The domain of the operation. `None` if the name is registered in one domain only.
    pub domain: Option<String>,
    /// The priority; tasks with a higher priority run first. `None` takes the priority of the operation.
    pub priority: Option<i32>,
    /// The delay until the task may start, in milliseconds. `None` if it may start at once.
    pub delay_ms: Option<i64>,
    pub input: Payload,
}

/// Schedules a task for a run, once for each child number, and returns the id of the task. `None`
/// if the run is not current. `Err` in the cases of [`schedule`](crate::task::schedule::schedule).
pub async fn schedule_child(db: &Db, fence: Fence, child: &ChildTask) -> Result<Option<i64>> {
    let (json, bytes) = child.input.columns();
    let delay_ms = child.delay_ms.map(|milliseconds| milliseconds.min(MAX_DELAY_MS));
    let params: [Param<'_>; 10] = [
        (&fence.task, Type::INT8),
        (&fence.run, Type::INT8),
        (&fence.token, Type::UUID),
        (&child.number, Type::INT4),
        (&child.operation, Type::TEXT),
        (&child.domain, Type::TEXT),
        (&json, Type::TEXT),
        (&bytes, Type::BYTEA),
        (&child.priority, Type::INT4),
        (&delay_ms, Type::INT8),
    ];
    let row = db.query_one(include_str!("sql/schedule_child.sql"), &params).await?;
    Columns::new(&row).get("id")
}
