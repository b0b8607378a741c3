//! Show tasks: everything that is known about each, in the one JSON shape in which every
//! interface gives a task. Inputs, outputs and metadata are what was given, to the byte.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;
use tokio_postgres::{Row, types::Type};

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
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
    /// Of a flow or a step.
    pub phase: Option<String>,
    /// The flow that it is a step of.
    pub flow: Option<i64>,
    pub step: Option<String>,
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
    Ok(rows.iter().map(task).collect())
}

/// The runs of a task that ended without ending it, first one first.
pub async fn runs(db: &Db, task: i64) -> Result<Vec<Run>> {
    let rows = db.query(include_str!("sql/list_runs.sql"), &[(&task, Type::INT8)]).await?;
    let run = |row: Row| Run {
        run: row.get(0),
        attempt: row.get(1),
        outcome: row.get(2),
        reason: row.get(3),
        error: json(row.get(4)),
        worker: row.get(5),
        host: row.get(6),
        revision: row.get(7),
        memory_peak: row.get(8),
        started_at: row.get(9),
        finished_at: row.get(10),
    };
    Ok(rows.into_iter().map(run).collect())
}

fn task(row: &Row) -> Task {
    Task {
        id: row.get(0),
        operation: row.get(1),
        domain: row.get(2),
        host: row.get(3),
        state: State::stored(row.get(4)),
        phase: row.get(5),
        flow: None,
        step: None,
        priority: row.get(6),
        attempt: row.get(7),
        attempts: row.get(8),
        run: row.get(9),
        worker: row.get(10),
        queued_at: row.get(11),
        delayed_until: row.get(12),
        started_at: row.get(13),
        finished_at: row.get(14),
        input: Payload::from_columns(row.get(15), row.get(16)),
        output: Payload::from_columns(row.get(17), row.get(18)),
        error: json(row.get(19)),
        reason: row.get(20),
        progress: json(row.get(21)),
        unique_key: row.get(22),
        metadata: json(row.get(23)),
        revision: row.get(24),
        beside: Beside {
            capabilities: row.get(25),
            pinned: row.get(26),
            memory_peak: row.get(27),
            memory_limit: row.get(28),
            timeout_ms: row.get(29),
            registered: row.get(30),
            now: row.get(31),
        },
    }
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

fn json(text: Option<String>) -> Option<Box<RawValue>> {
    text.and_then(|text| serde_json::from_str(&text).ok())
}
