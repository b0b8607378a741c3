//! Scheduling many tasks of one operation, all of them or none, with the SQL function `rework.schedule_many`
//! (`migrations/V23__schedule_many.sql`).
//!
//! The inputs are sent in chunks, as arrays. `COPY` would need rights on the table, and is hardly faster
//! (`bench/README.md`). The inputs are not validated against their schema here: the caller does that, where a person
//! entered them.

use tokio_postgres::{Client, GenericClient, Transaction, types::Type};

use crate::{
    db::{
        connect::Param,
        deadline::{answer_within, within_deadline},
        error::Result,
        row::Columns,
    },
    task::{
        payload::Payload,
        schedule::{AfterFailure, Ready, deadline_for},
    },
};

/// The largest number of inputs of one statement. With more, the rate hardly rises, while client and server keep the
/// whole chunk in memory.
const CHUNK: usize = 5_000;

/// The size of a chunk, in bytes, from which no further input is added to it. It bounds the memory for large inputs.
pub(crate) const CHUNK_BYTES: u64 = 4 << 20;

/// The options that all tasks of a call have in common.
#[derive(Debug, Clone, Default)]
pub struct CommonOptions<'a> {
    /// The name of the operation.
    pub operation: &'a str,
    /// The domain of the operation. `None` if the name is registered in one domain only.
    pub domain: Option<&'a str>,
    /// The only host that may run the tasks. `None` if every host may.
    pub host: Option<&'a str>,
    /// The priority; tasks with a higher priority run first. `None` takes the priority of the operation.
    pub priority: Option<i16>,
    /// When the tasks become ready.
    pub ready: Ready,
    /// Any JSON text that the client wants to keep with each task. `None` for no text.
    pub metadata: Option<&'a str>,
    /// The capabilities that the host must offer.
    pub capabilities: &'a [String],
    /// The retry policy as JSON text. `None` for that of the operation.
    pub retry: Option<&'a str>,
    /// The tasks that must end before these become ready.
    pub after: &'a [i64],
    /// The reaction if one of them is not done.
    pub after_failure: AfterFailure,
}

/// Schedules a task for each input, and returns their ids in the order of the inputs. Inputs that
/// fit into one chunk need one round trip; more chunks are sent in one transaction. `Err` in the
/// cases of [`schedule`](crate::task::schedule::schedule); then no task is scheduled.
pub async fn schedule_many(
    client: &mut Client,
    options: &CommonOptions<'_>,
    inputs: impl IntoIterator<Item = Payload>,
) -> Result<Vec<i64>> {
    let mut chunks = Chunks::of(inputs);
    let first = chunks.next().unwrap_or_default();
    let Some(second) = chunks.next() else {
        return schedule_chunk(client, options, &first).await;
    };
    let transaction = within_deadline(client.transaction()).await?;
    let mut tasks = Vec::new();
    for chunk in [first, second].into_iter().chain(chunks) {
        tasks.append(&mut schedule_chunk(&transaction, options, &chunk).await?);
    }
    within_deadline(transaction.commit()).await?;
    Ok(tasks)
}

/// Schedules a task for each input in the transaction of the caller, and returns their ids in the order of the inputs.
pub async fn schedule_many_within(
    transaction: &Transaction<'_>,
    options: &CommonOptions<'_>,
    inputs: impl IntoIterator<Item = Payload>,
) -> Result<Vec<i64>> {
    let mut tasks = Vec::new();
    for chunk in Chunks::of(inputs) {
        tasks.append(&mut schedule_chunk(transaction, options, &chunk).await?);
    }
    Ok(tasks)
}

/// Creates the lane of tasks with these options (the row whose number stands for what they need of
/// a host), in a transaction of its own. `Err` if the tasks could not be scheduled.
///
/// The first task with certain needs inserts a row into `rework.lane`. If that happened in a long transaction, every
/// other session that schedules such a task would wait until it ends.
pub async fn create_lane(client: &impl GenericClient, options: &CommonOptions<'_>) -> Result<()> {
    schedule_chunk(client, options, &[]).await.map(drop)
}

/// Schedules the tasks of one chunk with one statement, and returns their ids in the order of the inputs.
pub async fn schedule_chunk(
    client: &impl GenericClient,
    options: &CommonOptions<'_>,
    chunk: &[Payload],
) -> Result<Vec<i64>> {
    let (json, bytes): (Vec<_>, Vec<_>) = chunk.iter().map(Payload::columns).unzip();
    let bytes = bytes.iter().any(Option::is_some).then_some(bytes);
    let (at, after_ms) = options.ready.columns();
    let priority = options.priority.map(i32::from);
    let after_failure = options.after_failure.as_str();
    let params: [Param<'_>; 13] = [
        (&options.operation, Type::TEXT),
        (&json, Type::TEXT_ARRAY),
        (&options.domain, Type::TEXT),
        (&options.host, Type::TEXT),
        (&priority, Type::INT4),
        (&at, Type::TIMESTAMPTZ),
        (&after_ms, Type::INT8),
        (&options.metadata, Type::TEXT),
        (&options.capabilities, Type::TEXT_ARRAY),
        (&bytes, Type::BYTEA_ARRAY),
        (&options.retry, Type::TEXT),
        (&options.after, Type::INT8_ARRAY),
        (&after_failure, Type::TEXT),
    ];
    let query = client.query_typed_one(include_str!("sql/schedule_many.sql"), &params);
    let size = chunk.iter().map(Payload::bytes).sum();
    let row = answer_within(deadline_for(size), query).await?;
    Columns::new(&row).get("tasks")
}

/// An iterator that splits inputs into chunks, one for each statement.
#[derive(Debug)]
pub struct Chunks<I>(I);

impl<I: Iterator<Item = Payload>> Chunks<I> {
    /// Splits these inputs in their order.
    pub fn of(inputs: impl IntoIterator<IntoIter = I>) -> Chunks<I> {
        Chunks(inputs.into_iter())
    }
}

impl<I: Iterator<Item = Payload>> Iterator for Chunks<I> {
    type Item = Vec<Payload>;

    fn next(&mut self) -> Option<Vec<Payload>> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < CHUNK
            && bytes < CHUNK_BYTES
            && let Some(input) = self.0.next()
        {
            bytes += input.bytes();
            chunk.push(input);
        }
        (!chunk.is_empty()).then_some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(inputs: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let inputs = inputs.into_iter().map(|size| Payload::Bytes(vec![0; size]));
        Chunks::of(inputs).map(|chunk| chunk.len()).collect()
    }

    #[test]
    fn chunks_are_limited_by_number_and_by_size() {
        assert_eq!(sizes([]), Vec::<usize>::new());
        assert_eq!(sizes(vec![1; CHUNK]), [CHUNK]);
        assert_eq!(sizes(vec![1; 2 * CHUNK + 1]), [CHUNK, CHUNK, 1]);
        let large = CHUNK_BYTES as usize;
        assert_eq!(sizes([large, large, 1, 1, large, 1]), [1, 1, 3, 1]);
    }
}
