//! `rework schedule OPERATION --many FILE`: schedules one task for each line of a file, all of them or none.
//!
//! A second thread reads the lines and validates them, while the server schedules the earlier lines in one transaction.
//! The transaction starts when the first chunk of lines was read, so that a slow program before the pipe does not keep
//! it open for nothing. It is rolled back at the first invalid line. The ids are printed after the commit, because
//! before it the tasks do not exist for others.

use std::{io::BufRead, ops::RangeInclusive, process::ExitCode};

use rework_core::{
    db::{connect::Db, error::Error},
    operation,
    task::{
        payload::Payload,
        schedule_many::{Chunks, CommonOptions, create_lane, schedule_chunk},
    },
    values::validate::Schema,
};
use rework_wire::operation::Definition;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Args, ready, unserved_warning};
use crate::{
    context::Context,
    error_text::{usage_error, with_hint},
    exit::Exit,
    input,
    json_lines::JsonLines,
    options::Format,
    progress_bar::ProgressBar,
};

/// The maximum number of validated chunks that wait for the server. It bounds the memory, and reading and scheduling
/// still overlap.
const MAX_WAITING_CHUNKS: usize = 2;

/// The size of the buffer in which ids are collected before they are printed, in bytes.
const WRITE_BYTES: usize = 32 << 10;

/// The maximum length of an id with its newline, in bytes: 19 digits and a newline.
const MAX_ID_BYTES: usize = 20;

/// A chunk of validated inputs.
struct Chunk {
    inputs: Vec<Payload>,
    /// The position in the file after these inputs, in bytes.
    bytes: u64,
}

/// Schedules the tasks and prints their ids.
pub(super) async fn run(args: &Args, path: &str, context: &Context) -> anyhow::Result<ExitCode> {
    if let Some(part) = args.parts.first() {
        let message = format!(
            "`{part}` cannot be combined with `--many`, which reads all inputs from a file"
        );
        return Err(usage_error(message, "`rework schedule OPERATION --many FILE`"));
    }
    let mut db = context.open().await?;
    let name = args.operation.as_deref().unwrap_or_default();
    let operation = operation::find::find(db.client(), name, args.domain.as_deref()).await?;
    let common = CommonOptions {
        operation: name,
        domain: Some(&operation.definition.domain),
        host: args.host.as_deref(),
        priority: args.priority,
        ready: ready(args),
        metadata: args.metadata.as_deref(),
        capabilities: &args.capability,
        retry: args.retry.as_deref(),
        after: &args.after,
        after_failure: args.after_failure.unwrap_or_default(),
    };
    let (lines, size) = JsonLines::open(path)?;
    let file_name = lines.name().to_owned();
    let bar = ProgressBar::new(context, size);
    let (sender, chunks) = mpsc::channel(MAX_WAITING_CHUNKS);
    let schema = input::compile_schema(operation.definition.input.as_ref())?;
    let definition = operation.definition.clone();
    let reader = tokio::task::spawn_blocking(move || read(lines, &definition, &schema, &sender));
    create_lane(db.client(), &common).await.map_err(|error| db.explain(error))?;
    let scheduled = schedule_all(&mut db, &common, chunks, &bar, reader).await;
    let tasks = scheduled.map_err(|error| explain(error, &db, name))?;
    // Remove the bar before anything else is printed.
    drop(bar);
    print(&tasks, context)?;
    match tasks.first() {
        None => context.note(format_args!("{file_name} has no lines: nothing was scheduled")),
        Some(first) => {
            if let Some(warning) = unserved_warning(&db, first, "they stay").await {
                context.warn(warning);
            }
        }
    }
    Ok(Exit::Done.into())
}

/// Reads and validates the lines, and sends them in chunks. Stops at the end of the file, at the first invalid line, or
/// when the receiver is closed. `Err` for an invalid line.
fn read(
    mut lines: JsonLines<impl BufRead>,
    operation: &Definition,
    schema: &Schema,
    sender: &mpsc::Sender<Chunk>,
) -> anyhow::Result<()> {
    loop {
        let mut end = None;
        let inputs = std::iter::from_fn(|| match input_of(&mut lines, operation, schema) {
            Ok(Some(input)) => Some(input),
            Ok(None) => {
                end = Some(Ok(()));
                None
            }
            Err(error) => {
                end = Some(Err(error));
                None
            }
        });
        let inputs = Chunks::of(inputs).next().filter(|_| !matches!(end, Some(Err(_))));
        let is_closed = inputs.is_some_and(|inputs| {
            sender.blocking_send(Chunk { inputs, bytes: lines.bytes() }).is_err()
        });
        if let Some(end) = end {
            return end;
        } else if is_closed {
            return Ok(());
        }
    }
}

/// Returns the input on the next line. `None` at the end of the file. `Err` if the line is not a valid input.
fn input_of(
    lines: &mut JsonLines<impl BufRead>,
    operation: &Definition,
    schema: &Schema,
) -> anyhow::Result<Option<Payload>> {
    let Some(line) = lines.next()? else { return Ok(None) };
    match input::check(operation, schema, line.text.as_bytes()) {
        Ok(()) => Ok(Some(Payload::Json(line.text))),
        Err(message) => {
            // The message of an error in JSON counts lines within the text, which has only one line. The error names
            // the line of the file instead.
            let message = message.replace(" at line 1 column ", " at column ");
            let name = &operation.name;
            let hint = format!("nothing was scheduled; see `rework schedule {name} --help`");
            Err(lines.error_at_line(line.number, &message, &hint))
        }
    }
}

/// Schedules all chunks in one transaction and returns the ids of the tasks. `reader` is the thread that sends the
/// chunks.
async fn schedule_all(
    db: &mut Db,
    common: &CommonOptions<'_>,
    mut chunks: mpsc::Receiver<Chunk>,
    bar: &ProgressBar,
    reader: JoinHandle<anyhow::Result<()>>,
) -> anyhow::Result<Ids> {
    let mut tasks = Ids::default();
    let Some(first) = chunks.recv().await else {
        reader.await??;
        return Ok(tasks);
    };
    let transaction = db.client_mut().transaction().await.map_err(Error::from)?;
    let mut next = Some(first);
    while let Some(chunk) = next {
        tasks.extend(&schedule_chunk(&transaction, common, &chunk.inputs).await?);
        bar.update(chunk.bytes, tasks.count);
        next = chunks.recv().await;
    }
    // The channel is also closed if the reader has found an invalid line. In that case this returns the error, and the
    // transaction is rolled back.
    reader.await??;
    transaction.commit().await.map_err(Error::from)?;
    Ok(tasks)
}

/// Adds to an error why the server has closed the connection, if it has.
fn explain(error: anyhow::Error, db: &Db, operation: &str) -> anyhow::Error {
    let error = match error.downcast::<Error>() {
        Ok(error) => db.explain(error),
        Err(other) => return other,
    };
    // SQLSTATE 25P03: `idle_in_transaction_session_timeout`.
    if matches!(&error, Error::ConnectionEnded { code: Some(code), .. } if code == "25P03") {
        let hint = format!(
            "the lines come too slowly for one transaction: write them to a file first, then \
             `rework schedule {operation} --many FILE`"
        );
        return with_hint(error.into(), hint);
    }
    error.into()
}

/// Prints one id per line, or all ids as a JSON array.
fn print(tasks: &Ids, context: &Context) -> anyhow::Result<()> {
    if context.format == Format::Json && !context.quiet {
        let mut list = context.json_list()?;
        tasks.all().try_for_each(|task| list.item(&task))?;
        return list.finish();
    }
    let mut text = String::with_capacity(WRITE_BYTES);
    for task in tasks.all() {
        text.push_str(&task.to_string());
        text.push('\n');
        if text.len() + MAX_ID_BYTES > WRITE_BYTES {
            context.write(text.as_bytes())?;
            text.clear();
        }
    }
    context.write(text.as_bytes())
}

/// Ids in ascending order. They are stored as ranges, because most ids are consecutive and there may be millions.
#[derive(Debug, Default)]
struct Ids {
    ranges: Vec<RangeInclusive<i64>>,
    count: u64,
}

impl Ids {
    fn extend(&mut self, ids: &[i64]) {
        self.count += ids.len() as u64;
        for &id in ids {
            match self.ranges.last_mut() {
                Some(range) if *range.end() + 1 == id => *range = *range.start()..=id,
                _ => self.ranges.push(id..=id),
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = i64> {
        self.ranges.iter().cloned().flatten()
    }

    fn first(&self) -> Option<i64> {
        self.ranges.first().map(|range| *range.start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_ids_are_stored_as_ranges() {
        let mut ids = Ids::default();
        assert_eq!(ids.first(), None);
        ids.extend(&[3, 4, 5]);
        ids.extend(&[6, 8, 9]);
        ids.extend(&[]);
        assert_eq!(ids.ranges, [3..=6, 8..=9]);
        assert_eq!(ids.all().collect::<Vec<_>>(), [3, 4, 5, 6, 8, 9]);
        assert_eq!((ids.first(), ids.count), (Some(3), 6));
    }
}
