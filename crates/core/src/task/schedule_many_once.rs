//! Scheduling many tasks with a unique key each, with the SQL function `rework.schedule_many_once`
//! (`migrations/V23__schedule_many.sql`). The answer says of each task whether it was created.

use tokio_postgres::{Client, Transaction, types::Type};

use crate::{
    db::{
        connect::Param,
        deadline::{answer_within, within_deadline},
        error::Result,
        row::Columns,
    },
    task::{
        payload::Payload,
        schedule::{deadline_for, milliseconds},
        schedule_many::{CHUNK_BYTES, CommonOptions},
        unique::{OnConflict, Scheduled, UniqueOptions, UniqueWhile},
    },
};

/// The largest number of tasks of one statement. The server takes one key after the other, about 0.2 ms for each, so a
/// statement ends long before its deadline.
const CHUNK: usize = 1_000;

/// Schedules a task for each input, each with the unique key at the same index, in one transaction. Returns their
/// answers in the order of the inputs. `Err` in the cases of [`schedule`](crate::task::schedule::schedule), and if
/// there are not as many keys as inputs; then no task is scheduled.
pub async fn schedule_many_once(
    client: &mut Client,
    options: &CommonOptions<'_>,
    unique: &UniqueOptions,
    keys: &[String],
    inputs: &[Payload],
) -> Result<Vec<Scheduled>> {
    let transaction = within_deadline(client.transaction()).await?;
    let scheduled = schedule_many_once_within(&transaction, options, unique, keys, inputs).await?;
    within_deadline(transaction.commit()).await?;
    Ok(scheduled)
}

/// Schedules as [`schedule_many_once`] does, in the transaction of the caller.
pub async fn schedule_many_once_within(
    transaction: &Transaction<'_>,
    options: &CommonOptions<'_>,
    unique: &UniqueOptions,
    keys: &[String],
    inputs: &[Payload],
) -> Result<Vec<Scheduled>> {
    let mut answers = Vec::new();
    let mut indices = &*sorted_indices(keys, inputs.len());
    while !indices.is_empty() {
        let (chunk, rest) = indices.split_at(chunk_length(indices, inputs));
        indices = rest;
        // With different lengths, the server refuses the chunk in which one of the two ends.
        let chunk_keys: Vec<&String> = chunk.iter().filter_map(|index| keys.get(*index)).collect();
        let chunk_inputs: Vec<&Payload> =
            chunk.iter().filter_map(|index| inputs.get(*index)).collect();
        let scheduled =
            schedule_chunk(transaction, options, unique, &chunk_keys, &chunk_inputs).await?;
        answers.extend(chunk.iter().copied().zip(scheduled));
    }
    answers.sort_unstable_by_key(|(index, _)| *index);
    Ok(answers.into_iter().map(|(_, scheduled)| scheduled).collect())
}

/// Returns the indices of all keys and inputs in the order in which the keys are taken: that of the bytes of the keys,
/// as in the server. If each transaction takes its keys in this order, also with several statements, no two of them
/// deadlock.
fn sorted_indices(keys: &[String], inputs: usize) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..keys.len().max(inputs)).collect();
    indices.sort_by_key(|index| keys.get(*index));
    indices
}

/// Returns how many of these inputs are sent with the next statement.
fn chunk_length(indices: &[usize], inputs: &[Payload]) -> usize {
    let mut bytes = 0;
    let fits = |index: &&usize| {
        let fits = bytes < CHUNK_BYTES;
        bytes += inputs.get(**index).map_or(0, Payload::bytes);
        fits
    };
    indices.iter().take(CHUNK).take_while(fits).count()
}

/// Schedules the tasks of one chunk with one statement.
async fn schedule_chunk(
    transaction: &Transaction<'_>,
    options: &CommonOptions<'_>,
    unique: &UniqueOptions,
    keys: &[&String],
    inputs: &[&Payload],
) -> Result<Vec<Scheduled>> {
    let (json, bytes): (Vec<_>, Vec<_>) = inputs.iter().map(|input| input.columns()).unzip();
    let bytes = bytes.iter().any(Option::is_some).then_some(bytes);
    let (at, after_ms) = options.ready.columns();
    let priority = options.priority.map(i32::from);
    let after_failure = options.after_failure.as_str();
    let unique_while = unique.unique_while.map(UniqueWhile::as_str);
    let unique_for_ms = unique.unique_for.map(milliseconds);
    let on_conflict = unique.on_conflict.map(OnConflict::as_str);
    let debounce_ms = unique.debounce.map(milliseconds);
    let at_most_ms = unique.at_most.map(milliseconds);
    let params: [Param<'_>; 19] = [
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
        (&keys, Type::TEXT_ARRAY),
        (&options.retry, Type::TEXT),
        (&options.after, Type::INT8_ARRAY),
        (&after_failure, Type::TEXT),
        (&unique_while, Type::TEXT),
        (&unique_for_ms, Type::INT8),
        (&on_conflict, Type::TEXT),
        (&debounce_ms, Type::INT8),
        (&at_most_ms, Type::INT8),
    ];
    let query = transaction.query_typed(include_str!("sql/schedule_many_once.sql"), &params);
    let size = inputs.iter().map(|input| input.bytes()).sum();
    let rows = answer_within(deadline_for(size), query).await?;
    rows.iter().map(|row| Scheduled::from_row(Columns::new(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_limited_by_number_and_by_size() {
        let length = |inputs: usize, size: usize| {
            let inputs = vec![Payload::Bytes(vec![0; size]); inputs];
            chunk_length(&(0..inputs.len()).collect::<Vec<_>>(), &inputs)
        };
        assert_eq!(length(3, 1), 3);
        assert_eq!(length(CHUNK + 1, 1), CHUNK);
        assert_eq!(length(3, CHUNK_BYTES as usize), 1, "at least one");
        assert_eq!(length(3, CHUNK_BYTES as usize - 1), 2);
    }

    #[test]
    fn keys_are_taken_in_the_order_of_their_bytes() {
        let keys = ["b", "ä", "B", "a", "b"].map(str::to_owned);
        assert_eq!(sorted_indices(&keys, keys.len()), [2, 3, 0, 4, 1]);
        assert_eq!(sorted_indices(&keys[..1], 2).len(), 2, "an input without a key is not lost");
        assert_eq!(sorted_indices(&keys[..2], 1).len(), 2, "a key without an input is not lost");
    }
}
