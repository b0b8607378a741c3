//! Show tasks: everything that is known about each, in the one JSON shape in which every
//! interface gives a task. Inputs, outputs and metadata are what was given, to the byte.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;
use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    task::{payload::Payload, state::State},
};

/// A task. Its JSON has exactly these keys, in this order.
#[derive(Debug, Clone, Serialize)]
pub struct Task {
    pub id: i64,
    /// Its operation's name.
    pub operation: String,
    /// Its operation's domain.
    pub domain: String,
    /// The host that it ran on, else the one that it must run on.
    pub host: Option<String>,
    /// Where it is in its life.
    pub state: State,
    /// Higher first.
    pub priority: i16,
    /// Runs that count against its attempts.
    pub attempt: i32,
    /// How often it is tried in all.
    pub attempts: i32,
    /// Counts its claims.
    pub run: i64,
    /// The worker that claimed it last.
    pub worker: Option<i64>,
    /// When it was scheduled.
    pub queued_at: DateTime<Utc>,
    /// Not before this moment.
    pub delayed_until: Option<DateTime<Utc>>,
    /// When its code began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What it is given; bytes as `{"base64": …}`.
    #[serde(serialize_with = "payload")]
    pub input: Payload,
    /// What it gave; bytes as `{"base64": …}`.
    #[serde(serialize_with = "payload")]
    pub output: Payload,
    /// What its code reported: `{kind, message, traceback}`.
    pub error: Option<Box<RawValue>>,
    /// How it ended, in words.
    pub reason: Option<String>,
    /// How far it is: `{done, total, message}`.
    pub progress: Option<Box<RawValue>>,
    /// At most one task of its operation has this key.
    pub unique_key: Option<String>,
    /// What its author attached.
    pub metadata: Option<Box<RawValue>>,
    /// Of the code that ran.
    pub revision: Option<String>,
    /// What is not in the JSON.
    #[serde(skip)]
    pub beside: Beside,
}

/// What explains a task to people, and is no part of its JSON.
#[derive(Debug, Clone)]
pub struct Beside {
    /// What its host must have.
    pub capabilities: Vec<String>,
    /// The only host that may run it.
    pub pinned: Option<String>,
    /// The most memory that its last run used, in bytes.
    pub memory_peak: Option<i64>,
    /// The most that it may use, in bytes.
    pub memory_limit: Option<i64>,
    /// Milliseconds that a run may take.
    pub timeout_ms: Option<i64>,
    /// Whether its operation can be scheduled still.
    pub registered: bool,
    /// The server's clock.
    pub now: DateTime<Utc>,
}

/// A run that ended without ending its task.
#[derive(Debug, Clone)]
pub struct Run {
    /// Which claim of the task.
    pub run: i64,
    /// Which attempt that counts.
    pub attempt: i32,
    /// What happened: `failed`, `lost`, `drained`, `unbegun`, …
    pub outcome: String,
    /// The cause, in words.
    pub reason: Option<String>,
    /// What its code reported.
    pub error: Option<Box<RawValue>>,
    pub worker: Option<i64>,
    pub host: Option<String>,
    /// Of the code that ran.
    pub revision: Option<String>,
    /// The most memory that it used, in bytes.
    pub memory_peak: Option<i64>,
    /// When its code began; none: it never did.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

/// These tasks, by id; those that do not exist are left out.
pub async fn show(db: &Db, tasks: &[i64]) -> Result<Vec<Task>> {
    let params: [Param<'_>; 1] = [(&tasks, Type::INT8_ARRAY)];
    let rows = db.query(include_str!("sql/show_tasks.sql"), &params).await?;
    rows.iter().map(|row| task(Columns::of("task", "id", row))).collect()
}

/// The runs of a task that ended without ending it, first one first.
pub async fn runs(db: &Db, task: i64) -> Result<Vec<Run>> {
    let rows = db.query(include_str!("sql/list_runs.sql"), &[(&task, Type::INT8)]).await?;
    rows.iter().map(|row| run(Columns::of("run", "run", row))).collect()
}

fn run(row: Columns<'_>) -> Result<Run> {
    Ok(Run {
        run: row.get("run")?,
        attempt: row.get("attempt")?,
        outcome: row.get("outcome")?,
        reason: row.get("reason")?,
        error: row.json("error")?,
        worker: row.get("worker")?,
        host: row.get("host")?,
        revision: row.get("revision")?,
        memory_peak: row.get("memory_peak")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
    })
}

fn task(row: Columns<'_>) -> Result<Task> {
    Ok(Task {
        id: row.get("id")?,
        operation: row.get("operation")?,
        domain: row.get("domain")?,
        host: row.get("host")?,
        state: row.word("state")?,
        priority: row.get("priority")?,
        attempt: row.get("attempt")?,
        attempts: row.get("attempts")?,
        run: row.get("run")?,
        worker: row.get("worker")?,
        queued_at: row.get("queued_at")?,
        delayed_until: row.get("delayed_until")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        input: Payload::from_columns(row.get("input")?, row.get("input_bytes")?),
        output: Payload::from_columns(row.get("output")?, row.get("output_bytes")?),
        error: row.json("error")?,
        reason: row.get("reason")?,
        progress: row.json("progress")?,
        unique_key: row.get("unique_key")?,
        metadata: row.json("metadata")?,
        revision: row.get("revision")?,
        beside: Beside {
            capabilities: row.get("capabilities")?,
            pinned: row.get("pinned")?,
            memory_peak: row.get("memory_peak")?,
            memory_limit: row.get("memory_limit")?,
            timeout_ms: row.get("timeout_ms")?,
            registered: row.get("registered")?,
            now: row.get("now")?,
        },
    })
}

fn payload<S: Serializer>(payload: &Payload, serializer: S) -> Result<S::Ok, S::Error> {
    let (json, bytes) = payload.columns();
    match (json, bytes) {
        (None, Some(bytes)) => {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry("base64", &BASE64_STANDARD.encode(bytes))?;
            map.end()
        }
        (json, _) => as_given(json, serializer),
    }
}

/// JSON text as it is. Postgres lets through what our parser would not (`"\ud800"`), but only
/// within strings, which are not looked at here.
fn as_given<S: Serializer>(json: Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    let raw: Option<&RawValue> =
        json.map(serde_json::from_str).transpose().map_err(serde::ser::Error::custom)?;
    raw.serialize(serializer)
}
