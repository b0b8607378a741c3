//! Showing tasks with everything that is known about them. [`Task`] serializes to the JSON that every interface of
//! rework returns for a task. Inputs, outputs and metadata are copied byte for byte.

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
    pause::row::Pause,
    task::{payload::Payload, state::State},
};

/// A task. The JSON of a task has exactly these keys, in this order.
#[derive(Debug, Clone, Serialize)]
pub struct Task {
    pub id: i64,
    /// The name of the operation.
    pub operation: String,
    /// The domain of the operation.
    pub domain: String,
    /// The host that the task ran on. Before its first run, the host that it is pinned to; `None`
    /// if it is not pinned.
    pub host: Option<String>,
    pub state: State,
    /// The priority. Tasks with a higher priority run first.
    pub priority: i16,
    /// The number of runs that used up an attempt.
    pub attempt: i32,
    /// The number of attempts that the retry policy or the operation allows.
    pub attempts: i32,
    /// The number of claims so far.
    pub run: i64,
    /// The id of the worker that claimed the task last. `None` if no worker has.
    pub worker: Option<i64>,
    /// When the task was scheduled.
    pub queued_at: DateTime<Utc>,
    /// The moment before which the task must not start. `None` if the task was not delayed, or if it is delayed until
    /// somebody retries it.
    pub delayed_until: Option<DateTime<Utc>>,
    /// When the code of the task started. `None` if no start is recorded.
    pub started_at: Option<DateTime<Utc>>,
    /// When the task ended. `None` if it has not ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The input. Bytes are serialized as `{"base64": …}`.
    #[serde(serialize_with = "payload")]
    pub input: Payload,
    /// The output. Bytes are serialized as `{"base64": …}`.
    #[serde(serialize_with = "payload")]
    pub output: Payload,
    /// The error that the code reported, or how its process ended: `{kind, message, traceback}`. `None` if the last
    /// run did not fail.
    pub error: Option<Box<RawValue>>,
    /// Why the task is in its state, for people. `None` if there is no reason.
    pub reason: Option<String>,
    /// The progress that the code reported: `{done, total, message}`. `None` if it reported none.
    pub progress: Option<Box<RawValue>>,
    /// The key that no other task of the operation has. `None` if the task has no key.
    pub unique_key: Option<String>,
    /// The metadata that the client attached to the task. `None` if it attached none.
    pub metadata: Option<Box<RawValue>>,
    /// The revision of the code that ran. `None` if no start of the code is recorded.
    pub revision: Option<String>,
    /// The retry policy of the task, else that of its operation. `None` if neither has one.
    pub retry: Option<Box<RawValue>>,
    /// The pause for which the task waits. `None` if it waits for none, or does not wait.
    pub pause: Option<Pause>,
    /// The flow whose step the task is. `None` if it is of no flow.
    pub flow: Option<i64>,
    /// The name of the step of that flow. `None` if the task is of no flow.
    pub step: Option<String>,
    /// The details that are not part of the JSON.
    #[serde(skip)]
    pub details: TaskDetails,
}

/// Details of a task that are shown to people, and are not part of its JSON.
#[derive(Debug, Clone)]
pub struct TaskDetails {
    /// The capabilities that the host must offer.
    pub capabilities: Vec<String>,
    /// The only host that may run the task. `None` if every host may.
    pub pinned: Option<String>,
    /// The memory peak of the last run in bytes. `None` if it was not measured.
    pub memory_peak: Option<i64>,
    /// The memory limit of the operation in bytes. `None` if there is none.
    pub memory_limit: Option<i64>,
    /// The timeout of a run in milliseconds. `None` if there is none.
    pub timeout_ms: Option<i64>,
    /// Whether the operation is still registered.
    pub registered: bool,
    /// The time of the server's clock when the task was read.
    pub now: DateTime<Utc>,
    /// The tasks that it waits for, such as `task 7 (running) and 2 more`. `None` unless it is waiting.
    pub waits_for: Option<String>,
    /// The tasks that it has waited for, such as `task 7 (done)`. `None` if there are none, and while it waits.
    pub ran_after: Option<String>,
    /// The tasks that follow its end, such as `task 8 (queued), task 9 (waiting)`. `None` if there are none.
    pub followed_by: Option<String>,
    /// Whether the task reverts its step. If not, it executes it.
    pub reverts_step: bool,
    /// Whether the task is a flow, also if it has no plan.
    pub is_flow: bool,
}

/// A run that ended without ending its task, because the task was tried again.
#[derive(Debug, Clone)]
pub struct Run {
    /// The number of the run, counted from 1 for each task.
    pub run: i64,
    /// The number of the attempt.
    pub attempt: i32,
    /// The outcome: `failed`, `lost`, `drained`, `not_started`, …
    pub outcome: String,
    /// The cause, for people. `None` if no cause is recorded.
    pub reason: Option<String>,
    /// The error that the code reported. `None` if it reported none.
    pub error: Option<Box<RawValue>>,
    pub worker: Option<i64>,
    pub host: Option<String>,
    /// The revision of the code that ran. `None` if no start of the code is recorded.
    pub revision: Option<String>,
    /// The memory peak in bytes. `None` if it was not measured.
    pub memory_peak: Option<i64>,
    /// When the code started. `None` if it did not start.
    pub started_at: Option<DateTime<Utc>>,
    /// When the run ended.
    pub finished_at: DateTime<Utc>,
}

/// Returns these tasks in the order of their ids. Tasks that do not exist are left out.
pub async fn show(db: &Db, tasks: &[i64]) -> Result<Vec<Task>> {
    let params: [Param<'_>; 1] = [(&tasks, Type::INT8_ARRAY)];
    let rows = db.query(include_str!("sql/show_tasks.sql"), &params).await?;
    rows.iter().map(|row| task(Columns::of("task", "id", row))).collect()
}

/// Returns the runs of a task that ended without ending the task, oldest first.
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
        state: row.parsed("state")?,
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
        retry: row.json("retry")?,
        pause: row.json("pause")?,
        flow: row.get("flow")?,
        step: row.get("step_name")?,
        details: TaskDetails {
            capabilities: row.get("capabilities")?,
            pinned: row.get("pinned")?,
            memory_peak: row.get("memory_peak")?,
            memory_limit: row.get("memory_limit")?,
            timeout_ms: row.get("timeout_ms")?,
            registered: row.get("registered")?,
            now: row.get("now")?,
            waits_for: row.get("waits_for")?,
            ran_after: row.get("ran_after")?,
            followed_by: row.get("followed_by")?,
            reverts_step: row.get("reverts_step")?,
            is_flow: row.get("is_flow")?,
        },
    })
}

/// Serializes JSON unchanged, and bytes as `{"base64": …}`.
fn payload<S: Serializer>(payload: &Payload, serializer: S) -> Result<S::Ok, S::Error> {
    let (json, bytes) = payload.columns();
    match (json, bytes) {
        (None, Some(bytes)) => {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry("base64", &BASE64_STANDARD.encode(bytes))?;
            map.end()
        }
        (json, _) => unchanged(json, serializer),
    }
}

/// Serializes JSON text unchanged. Postgres accepts strings that a JSON parser rejects, such as `"\ud800"`. A
/// `RawValue` does not decode strings, so it accepts them too.
fn unchanged<S: Serializer>(json: Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    let raw: Option<&RawValue> =
        json.map(serde_json::from_str).transpose().map_err(serde::ser::Error::custom)?;
    raw.serialize(serializer)
}
