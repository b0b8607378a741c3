//! Scheduling one task with the SQL function `rework.schedule` (`migrations/V11__schedule.sql`), or with
//! `rework.schedule_once` (`migrations/V18__unique_keys.sql`), which also says whether it has created the task. The
//! statement runs in the transaction of the caller, if there is one. The input is not validated against its schema
//! here: the caller does that, where a person entered it. `schedule_many.rs` schedules many tasks.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::{GenericClient, Row, types::Type};

use crate::{
    db::{
        connect::Param,
        deadline::{DEADLINE, answer_within},
        error::Result,
        row::Columns,
    },
    task::{
        payload::Payload,
        unique::{OnConflict, Scheduled, UniqueOptions, UniqueWhile},
    },
};

/// The upload speed that a large input is granted, in bytes per second: one second more than the deadline for each MiB.
const SLOWEST_BYTES_PER_SECOND: u64 = 1 << 20;

/// The largest metadata of a task in bytes. It is loaded with every claim, so large values belong into the input. The
/// SQL functions that schedule tasks know this limit, too.
pub const MAX_METADATA_BYTES: usize = 64 << 10;

/// The longest delay that is passed to Postgres, in milliseconds: 10,000 years. The SQL functions refuse it with a
/// hint. Postgres could not even add a much longer one to its clock.
pub(crate) const MAX_DELAY_MS: i64 = 315_576_000_000_000;

/// A task to schedule.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// The name of the operation.
    pub operation: &'a str,
    /// The domain of the operation. `None` if the name is registered in one domain only.
    pub domain: Option<&'a str>,
    pub input: Payload,
    /// The only host that may run the task. `None` if every host may.
    pub host: Option<&'a str>,
    /// The priority; tasks with a higher priority run first. `None` takes the priority of the operation.
    pub priority: Option<i16>,
    /// When the task becomes ready.
    pub ready: Ready,
    /// A key that only one task of the operation has. If a task has this key, no other one is created. `None` for no
    /// key.
    pub unique_key: Option<&'a str>,
    /// Any JSON text that the client wants to keep with the task. `None` for no text.
    pub metadata: Option<&'a str>,
    /// The capabilities that the host must offer.
    pub capabilities: &'a [String],
    /// The retry policy as JSON text. `None` for that of the operation.
    pub retry: Option<&'a str>,
    /// The tasks that must end before this one becomes ready. Ignored if a task has the unique key already.
    pub after: &'a [i64],
    /// The reaction if one of them is not done.
    pub after_failure: AfterFailure,
    /// The options about the unique key.
    pub unique: UniqueOptions,
}

/// The reaction of a task if one of the tasks that it waits for fails, is aborted, is lost, or is deleted before its
/// end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterFailure {
    /// The task is aborted.
    #[default]
    Abort,
    /// The task runs all the same.
    Run,
}

impl AfterFailure {
    /// Returns the name that the schema stores.
    pub fn as_str(self) -> &'static str {
        match self {
            AfterFailure::Abort => "abort",
            AfterFailure::Run => "run",
        }
    }
}

/// When a task becomes ready to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ready {
    #[default]
    Now,
    /// The task must not start before this moment.
    At(DateTime<Utc>),
    /// The task must not start before this delay has passed on the server's clock.
    After(Duration),
}

/// Schedules a task and returns its id. If a task has the unique key of the request, its id is returned instead. `Err`
/// with SQLSTATE `RW404` if the operation is not registered or a task of `after` does not exist, `RW300` if several
/// domains have the operation and none is given, `RW413` if a value is too large, and `RW400` if a value makes no
/// sense.
pub async fn schedule(client: &impl GenericClient, request: &Request<'_>) -> Result<i64> {
    let row = send(client, request, include_str!("sql/schedule.sql")).await?;
    Columns::new(&row).get("task")
}

/// Schedules a task, unless a task has the unique key of the request. Returns the task that has the key then. `Err` in
/// the cases of [`schedule`].
pub async fn schedule_once(
    client: &impl GenericClient,
    request: &Request<'_>,
) -> Result<Scheduled> {
    let row = send(client, request, include_str!("sql/schedule_once.sql")).await?;
    Scheduled::from_row(Columns::new(&row))
}

/// Sends one of the two statements, which have the same parameters, and returns its row.
async fn send(client: &impl GenericClient, request: &Request<'_>, sql: &str) -> Result<Row> {
    let (json, bytes) = request.input.columns();
    let (at, after_ms) = request.ready.columns();
    let priority = request.priority.map(i32::from);
    let after_failure = request.after_failure.as_str();
    let unique_while = request.unique.unique_while.map(UniqueWhile::as_str);
    let unique_for_ms = request.unique.unique_for.map(milliseconds);
    let on_conflict = request.unique.on_conflict.map(OnConflict::as_str);
    let debounce_ms = request.unique.debounce.map(milliseconds);
    let at_most_ms = request.unique.at_most.map(milliseconds);
    let params: [Param<'_>; 19] = [
        (&request.operation, Type::TEXT),
        (&json, Type::TEXT),
        (&request.domain, Type::TEXT),
        (&request.host, Type::TEXT),
        (&priority, Type::INT4),
        (&at, Type::TIMESTAMPTZ),
        (&after_ms, Type::INT8),
        (&request.unique_key, Type::TEXT),
        (&request.metadata, Type::TEXT),
        (&request.capabilities, Type::TEXT_ARRAY),
        (&bytes, Type::BYTEA),
        (&request.retry, Type::TEXT),
        (&request.after, Type::INT8_ARRAY),
        (&after_failure, Type::TEXT),
        (&unique_while, Type::TEXT),
        (&unique_for_ms, Type::INT8),
        (&on_conflict, Type::TEXT),
        (&debounce_ms, Type::INT8),
        (&at_most_ms, Type::INT8),
    ];
    let query = client.query_typed_one(sql, &params);
    answer_within(deadline_for(request.input.bytes()), query).await
}

/// Returns how long a statement may take that schedules inputs of this total size.
pub(crate) fn deadline_for(bytes: u64) -> Duration {
    DEADLINE + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND)
}

impl Ready {
    /// Returns the moment, or the delay in milliseconds. Both are `None` for a task that is ready now.
    pub(crate) fn columns(self) -> (Option<DateTime<Utc>>, Option<i64>) {
        match self {
            Ready::Now => (None, None),
            Ready::At(at) => (Some(at), None),
            Ready::After(delay) => (None, Some(milliseconds(delay))),
        }
    }
}

/// Returns a duration in milliseconds, at most [`MAX_DELAY_MS`].
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(MAX_DELAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_that_postgres_could_not_add_is_shortened_to_one_that_it_can() {
        assert_eq!(Ready::Now.columns(), (None, None));
        assert_eq!(Ready::After(Duration::from_secs(2)).columns(), (None, Some(2_000)));
        assert_eq!(Ready::After(Duration::MAX).columns(), (None, Some(MAX_DELAY_MS)));
    }
}
