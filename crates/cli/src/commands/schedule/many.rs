//! `rework schedule OPERATION --many FILE`: a task for each line of a file, all of them or none.
//!
//! A thread of its own reads the lines and holds them against the operation's schema, while the server
//! schedules those before them in one transaction. It is rolled back at the first line that does
//! not fit. Ids are printed after the commit: before it they are nobody's.

use std::{io::BufRead, ops::RangeInclusive, process::ExitCode};

use rework_core::{
    db::error::Error,
    operation,
    task::{
        payload::Payload,
        schedule_many::{Chunks, Common, make_ready, schedule_chunk},
    },
    values::validate::Schema,
};
use rework_wire::operation::Definition;
use tokio::sync::mpsc;
use tokio_postgres::Transaction;

use super::{Args, ready, unserved};
use crate::{
    context::Context, exit::Exit, input, json_lines::JsonLines, options::Format,
    progress_bar::ProgressBar, report::usage,
};

/// Chunks that are ready before the server takes them.
const AHEAD: usize = 2;

/// Bytes of ids that are written at once.
const BLOCK: usize = 32 << 10;

/// Inputs that fit.
struct Chunk {
    inputs: Vec<Payload>,
    /// Bytes of the file up to their end.
    bytes: u64,
}

/// Schedules them and prints their ids.
pub(super) async fn run(args: &Args, path: &str, context: &Context) -> anyhow::Result<ExitCode> {
    if let Some(word) = args.words.first() {
        let message = format!("`{word}` belongs to one input, and `--many` brings all of them");
        return Err(usage(message, "`rework schedule OPERATION --many FILE`"));
    }
    let mut db = context.open().await?;
    let name = args.operation.as_deref().unwrap_or_default();
    let operation = operation::find::find(db.client(), name, args.domain.as_deref()).await?;
    let common = Common {
        operation: name,
        domain: Some(&operation.definition.domain),
        host: args.host.as_deref(),
        priority: args.priority,
        ready: ready(args),
        metadata: args.metadata.as_deref(),
        capabilities: &args.capability,
    };
    let (lines, size) = JsonLines::open(path)?;
    let source = lines.name().to_owned();
    let bar = ProgressBar::of_bytes(context, size);
    let (sender, chunks) = mpsc::channel(AHEAD);
    let schema = input::compile(operation.definition.input.as_ref())?;
    let definition = operation.definition.clone();
    let reading = tokio::task::spawn_blocking(move || read(lines, &definition, &schema, &sender));
    make_ready(db.client(), &common).await?;
    let transaction = db.client_mut().transaction().await.map_err(Error::from)?;
    let tasks = send(&transaction, &common, chunks, &bar).await?;
    // Only now is it known that there are no more lines, rather than one that is no input.
    reading.await??;
    transaction.commit().await.map_err(Error::from)?;
    drop(bar);
    print(&tasks, context)?;
    match tasks.first() {
        None => context.note(format_args!("there are no lines in {source}: nothing is scheduled")),
        Some(first) => {
            if let Some(warning) = unserved(&db, first, "they stay").await {
                context.warn(warning);
            }
        }
    }
    Ok(Exit::Done.into())
}

/// Reads all lines, or until the first that is no input, or until nobody takes them any more.
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
            Err(fault) => {
                end = Some(Err(fault));
                None
            }
        });
        let inputs = Chunks::of(inputs).next().filter(|_| !matches!(end, Some(Err(_))));
        let untaken = inputs.is_some_and(|inputs| {
            sender.blocking_send(Chunk { inputs, bytes: lines.bytes() }).is_err()
        });
        if let Some(end) = end {
            return end;
        } else if untaken {
            return Ok(());
        }
    }
}

/// The input on the next line; none: there is no line left.
fn input_of(
    lines: &mut JsonLines<impl BufRead>,
    operation: &Definition,
    schema: &Schema,
) -> anyhow::Result<Option<Payload>> {
    let Some(line) = lines.next()? else { return Ok(None) };
    match schema.check(line.text.as_bytes()) {
        Ok(()) => Ok(Some(Payload::Json(line.text))),
        Err(misfit) => {
            let fault = input::told(operation, line.text.as_bytes(), &misfit);
            // What it calls the first line is the line that is named already.
            let fault = fault.replace(" at line 1 column ", " at column ");
            let name = &operation.name;
            let hint = format!("nothing was scheduled; see `rework schedule {name} --help`");
            Err(lines.fault(line.number, &fault, &hint))
        }
    }
}

async fn send(
    transaction: &Transaction<'_>,
    common: &Common<'_>,
    mut chunks: mpsc::Receiver<Chunk>,
    bar: &ProgressBar,
) -> anyhow::Result<Ids> {
    let mut tasks = Ids::default();
    while let Some(chunk) = chunks.recv().await {
        tasks.extend(&schedule_chunk(transaction, common, &chunk.inputs).await?);
        bar.at(chunk.bytes, tasks.count);
    }
    Ok(tasks)
}

/// One a line, or as a list in JSON.
fn print(tasks: &Ids, context: &Context) -> anyhow::Result<()> {
    if context.format == Format::Json && !context.quiet {
        let mut list = context.json_list()?;
        tasks.all().try_for_each(|task| list.item(&task))?;
        return list.end();
    }
    let mut text = String::with_capacity(BLOCK);
    for task in tasks.all() {
        text.push_str(&task.to_string());
        text.push('\n');
        if text.len() + 20 > BLOCK {
            context.write(text.as_bytes())?;
            text.clear();
        }
    }
    context.write(text.as_bytes())
}

/// Ids in ascending order. They mostly follow each other, so that a million takes no memory.
#[derive(Debug, Default)]
struct Ids {
    runs: Vec<RangeInclusive<i64>>,
    count: u64,
}

impl Ids {
    fn extend(&mut self, ids: &[i64]) {
        self.count += ids.len() as u64;
        for &id in ids {
            match self.runs.last_mut() {
                Some(run) if *run.end() + 1 == id => *run = *run.start()..=id,
                _ => self.runs.push(id..=id),
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = i64> {
        self.runs.iter().cloned().flatten()
    }

    fn first(&self) -> Option<i64> {
        self.runs.first().map(|run| *run.start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_as_runs() {
        let mut ids = Ids::default();
        assert_eq!(ids.first(), None);
        ids.extend(&[3, 4, 5]);
        ids.extend(&[6, 8, 9]);
        ids.extend(&[]);
        assert_eq!(ids.runs, [3..=6, 8..=9]);
        assert_eq!(ids.all().collect::<Vec<_>>(), [3, 4, 5, 6, 8, 9]);
        assert_eq!((ids.first(), ids.count), (Some(3), 6));
    }
}
