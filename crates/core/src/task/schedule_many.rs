//! Schedule many: any number of tasks of one operation, by `rework.schedule_many`, all of them or none.
//!
//! Inputs go in chunks, as arrays: `COPY` would want rights on the table, and is little faster
//! (`bench/README.md`). The inputs are not held against their schema here: whoever takes them from
//! a person does.

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
        schedule::{Ready, deadline_of},
    },
};

/// Most inputs of one statement. More gain next to nothing, and both sides hold them all at once.
const CHUNK: usize = 5_000;

/// No further input goes into a statement that is so large.
const CHUNK_BYTES: u64 = 4 << 20;

/// What many tasks have in common.
#[derive(Debug, Clone, Default)]
pub struct Common<'a> {
    /// The operation's name.
    pub operation: &'a str,
    /// Its domain; none: the only one that has it.
    pub domain: Option<&'a str>,
    /// The only host that may run them; none: any.
    pub host: Option<&'a str>,
    /// Higher first; none: as the operation says.
    pub priority: Option<i16>,
    /// When they become ready.
    pub ready: Ready,
    /// Whatever the caller wants to keep with each, JSON text.
    pub metadata: Option<&'a str>,
    /// What their host must offer.
    pub capabilities: &'a [String],
}

/// The ids of the new tasks, in the order of the inputs. What fits into one statement is one round trip.
pub async fn schedule_many(
    client: &mut Client,
    common: &Common<'_>,
    inputs: impl IntoIterator<Item = Payload>,
) -> Result<Vec<i64>> {
    let mut chunks = Chunks::of(inputs);
    let first = chunks.next().unwrap_or_default();
    let Some(second) = chunks.next() else {
        return schedule_chunk(client, common, &first).await;
    };
    let transaction = within_deadline(client.transaction()).await?;
    let mut tasks = Vec::new();
    for chunk in [first, second].into_iter().chain(chunks) {
        tasks.append(&mut schedule_chunk(&transaction, common, &chunk).await?);
    }
    within_deadline(transaction.commit()).await?;
    Ok(tasks)
}

/// The same, in the caller's own transaction.
pub async fn schedule_many_within(
    transaction: &Transaction<'_>,
    common: &Common<'_>,
    inputs: impl IntoIterator<Item = Payload>,
) -> Result<Vec<i64>> {
    let mut tasks = Vec::new();
    for chunk in Chunks::of(inputs) {
        tasks.append(&mut schedule_chunk(transaction, common, &chunk).await?);
    }
    Ok(tasks)
}

/// Makes known what the tasks will need of a host, in a commit of its own: whoever schedules the
/// first task with such needs would otherwise wait for the end of a long transaction that does so too.
/// It is refused as the tasks themselves would be.
pub async fn make_ready(client: &impl GenericClient, common: &Common<'_>) -> Result<()> {
    schedule_chunk(client, common, &[]).await.map(drop)
}

/// One statement: the ids of its tasks.
pub async fn schedule_chunk(
    client: &impl GenericClient,
    common: &Common<'_>,
    chunk: &[Payload],
) -> Result<Vec<i64>> {
    let (json, bytes): (Vec<_>, Vec<_>) = chunk.iter().map(Payload::columns).unzip();
    let bytes = bytes.iter().any(Option::is_some).then_some(bytes);
    let (at, after_ms) = common.ready.columns();
    let priority = common.priority.map(i32::from);
    let params: [Param<'_>; 10] = [
        (&common.operation, Type::TEXT),
        (&json, Type::TEXT_ARRAY),
        (&common.domain, Type::TEXT),
        (&common.host, Type::TEXT),
        (&priority, Type::INT4),
        (&at, Type::TIMESTAMPTZ),
        (&after_ms, Type::INT8),
        (&common.metadata, Type::TEXT),
        (&common.capabilities, Type::TEXT_ARRAY),
        (&bytes, Type::BYTEA_ARRAY),
    ];
    let asking = client.query_typed_one(include_str!("sql/schedule_many.sql"), &params);
    let size = chunk.iter().map(Payload::bytes).sum();
    let row = answer_within(deadline_of(size), asking).await?;
    Columns::new(&row).get("tasks")
}

/// Inputs by the statement, as many as one takes.
#[derive(Debug)]
pub struct Chunks<I>(I);

impl<I: Iterator<Item = Payload>> Chunks<I> {
    /// Of these inputs, in their order.
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
    fn chunks_are_bounded_by_number_and_by_size() {
        assert_eq!(sizes([]), Vec::<usize>::new());
        assert_eq!(sizes(vec![1; CHUNK]), [CHUNK]);
        assert_eq!(sizes(vec![1; 2 * CHUNK + 1]), [CHUNK, CHUNK, 1]);
        let large = CHUNK_BYTES as usize;
        assert_eq!(sizes([large, large, 1, 1, large, 1]), [1, 1, 3, 1]);
    }
}
