//! What a run tells while it runs: that it began, its lines, its progress, an output saved early,
//! a task that it schedules. Every statement is behind the fence.

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
    task::{fence::Fence, payload::Payload},
};

/// One line that a run wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was read, by the worker's clock.
    pub at: DateTime<Utc>,
    /// `stdout`, `stderr`, `shared`, `rework`, or a logger's name.
    pub stream: String,
    /// `ERROR`, `WARNING`, `INFO`, `DEBUG` or `TRACE`.
    pub level: &'static str,
    /// The bytes, without the newline.
    pub bytes: Vec<u8>,
    /// Whether a newline followed.
    pub whole: bool,
}

/// Notes that the code of a run began, so many milliseconds ago, and gives the moment, which is not
/// before `after`. None: the run is not current.
pub async fn begin(
    db: &Db,
    fence: Fence,
    elapsed_ms: i64,
    revision: &str,
    after: Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>> {
    let more: [Param<'_>; 3] =
        [(&elapsed_ms, Type::INT8), (&revision, Type::TEXT), (&after, Type::TIMESTAMPTZ)];
    let row = fenced(db, include_str!("sql/begin.sql"), fence, &more).await?;
    row.map(|row| Columns::new(&row).get("started_at")).transpose()
}

/// Saves progress (JSON text) and output. False: the run is not current.
pub async fn save(db: &Db, fence: Fence, progress: Option<&str>, output: &Payload) -> Result<bool> {
    let (json, bytes) = output.columns();
    let more: [Param<'_>; 3] =
        [(&progress, Type::TEXT), (&json, Type::TEXT), (&bytes, Type::BYTEA)];
    Ok(fenced(db, include_str!("sql/save.sql"), fence, &more).await?.is_some())
}

/// Notes that processes of a run do not die. False: it is noted already, or not current.
pub async fn unkillable(db: &Db, fence: Fence, reason: &str) -> Result<bool> {
    let more: [Param<'_>; 1] = [(&reason, Type::TEXT)];
    Ok(fenced(db, include_str!("sql/unkillable.sql"), fence, &more).await?.is_some())
}

async fn fenced(db: &Db, sql: &str, fence: Fence, more: &[Param<'_>]) -> Result<Option<Row>> {
    let mut params: Vec<Param<'_>> =
        vec![(&fence.task, Type::INT8), (&fence.run, Type::INT8), (&fence.token, Type::UUID)];
    params.extend(more.iter().map(|(value, kind)| (*value as &(dyn ToSql + Sync), kind.clone())));
    db.query_opt(sql, &params).await
}

/// Appends lines to the logs of runs, in this order, all or none.
pub async fn append_log(db: &Db, lines: &[(Fence, Line)]) -> Result<()> {
    db.query(APPEND_LOG, &Lines::of(lines).params()).await.map(drop)
}

/// The statement; its parameters are [`Lines::params`].
pub(crate) const APPEND_LOG: &str = include_str!("sql/append_log.sql");

/// What the statement is given.
#[derive(Default)]
pub(crate) struct Lines<'a> {
    tasks: Vec<i64>,
    runs: Vec<i64>,
    tokens: Vec<Uuid>,
    at: Vec<DateTime<Utc>>,
    streams: Vec<&'a str>,
    levels: Vec<&'a str>,
    bytes: Vec<&'a [u8]>,
    whole: Vec<bool>,
}

impl<'a> Lines<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(crate) fn of(lines: &'a [(Fence, Line)]) -> Lines<'a> {
        let mut all = Lines::default();
        for (fence, line) in lines {
            all.tasks.push(fence.task);
            all.runs.push(fence.run);
            all.tokens.push(fence.token);
            all.at.push(line.at);
            all.streams.push(&line.stream);
            all.levels.push(line.level);
            all.bytes.push(&line.bytes);
            all.whole.push(line.whole);
        }
        all
    }

    pub(crate) fn params(&self) -> [Param<'_>; 8] {
        [
            (&self.tasks, Type::INT8_ARRAY),
            (&self.runs, Type::INT8_ARRAY),
            (&self.tokens, Type::UUID_ARRAY),
            (&self.at, Type::TIMESTAMPTZ_ARRAY),
            (&self.streams, Type::TEXT_ARRAY),
            (&self.levels, Type::TEXT_ARRAY),
            (&self.bytes, Type::BYTEA_ARRAY),
            (&self.whole, Type::BOOL_ARRAY),
        ]
    }
}

/// How many lines of a run are in the log.
pub async fn stored_lines(db: &Db, fence: Fence) -> Result<i64> {
    let params: [Param<'_>; 2] = [(&fence.task, Type::INT8), (&fence.run, Type::INT8)];
    let row = db.query_one(include_str!("sql/stored_lines.sql"), &params).await?;
    Columns::new(&row).get("count")
}

/// A task that a run schedules.
#[derive(Debug, Clone)]
pub struct Child {
    /// Its number within the run, from 1: asked again, it is the same task.
    pub number: i32,
    pub operation: String,
    /// Its domain, where the name alone is ambiguous.
    pub domain: Option<String>,
    /// Higher first; none: as the operation says.
    pub priority: Option<i32>,
    /// Not before so many milliseconds from now; none: now.
    pub delay_ms: Option<i64>,
    /// What it is given.
    pub input: Payload,
}

/// Schedules a task for a run, once per (task, run, number), and gives its id. None: the run is
/// not current.
pub async fn schedule_child(db: &Db, fence: Fence, child: &Child) -> Result<Option<i64>> {
    let (json, bytes) = child.input.columns();
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
        (&child.delay_ms, Type::INT8),
    ];
    let row = db.query_opt(include_str!("sql/schedule_child.sql"), &params).await?;
    row.map(|row| Columns::new(&row).get("id")).transpose()
}
