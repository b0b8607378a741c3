//! Schedule: one task in the queue, by `rework.schedule` (`migrations/V11__schedule.sql`, which also decides what a
//! unique key does), in the caller's own transaction if it has one. The input is not held against its schema here: whoever takes it from a person does.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::{GenericClient, types::Type};

use crate::{
    db::{
        connect::Param,
        deadline::{DEADLINE, answer_within},
        error::Result,
        row::Columns,
    },
    task::payload::Payload,
};

/// A large input may take so much longer than the deadline: bytes for each second.
const SLOWEST_BYTES_PER_SECOND: u64 = 1 << 20;

/// What is to run.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// The operation's name.
    pub operation: &'a str,
    /// Its domain; none: the only one that has it.
    pub domain: Option<&'a str>,
    /// What it is given.
    pub input: Payload,
    /// The only host that may run it; none: any.
    pub host: Option<&'a str>,
    /// Higher first; none: as the operation says.
    pub priority: Option<i16>,
    /// When it becomes ready.
    pub ready: Ready,
    /// A second task of the operation with this key is not made: its id is that of the first.
    pub unique_key: Option<&'a str>,
    /// Whatever the caller wants to keep with it, JSON text.
    pub metadata: Option<&'a str>,
    /// What its host must offer.
    pub capabilities: &'a [String],
}

/// When a task becomes ready to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ready {
    #[default]
    Now,
    /// Not before this moment.
    At(DateTime<Utc>),
    /// Not before so long from now, by the server's clock.
    After(Duration),
}

/// The id of the new task, or of the one that has the unique key already.
pub async fn schedule(client: &impl GenericClient, request: &Request<'_>) -> Result<i64> {
    let (json, bytes) = request.input.columns();
    let (at, after_ms) = request.ready.columns();
    let priority = request.priority.map(i32::from);
    let params: [Param<'_>; 11] = [
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
    ];
    let asking = client.query_typed_one(include_str!("sql/schedule.sql"), &params);
    let row = answer_within(deadline_of(request.input.bytes()), asking).await?;
    Columns::new(&row).get("task")
}

/// The longest that scheduling inputs of so many bytes may take.
pub(crate) fn deadline_of(bytes: u64) -> Duration {
    DEADLINE + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND)
}

impl Ready {
    /// As a moment, or as milliseconds from now.
    pub(crate) fn columns(self) -> (Option<DateTime<Utc>>, Option<i64>) {
        match self {
            Ready::Now => (None, None),
            Ready::At(at) => (Some(at), None),
            Ready::After(delay) => {
                (None, Some(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)))
            }
        }
    }
}
