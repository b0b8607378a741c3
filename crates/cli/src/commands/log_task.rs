//! `rework log-task`: everything that a task wrote, now or as it writes it.

use std::{process::ExitCode, time::Duration};

use rework_core::{
    db::connect::Db,
    log::read::{LEVELS, Line, PAGE, Reader, Selection},
    task,
    values::quantity,
};

use crate::{
    context::{Context, is_away},
    exit::Exit,
    json_list::JsonList,
    log_text::{self, JsonLine},
    options::Format,
    report::hinted,
    task_text::traceback,
};

/// Show what a task wrote
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK")]
    task: i64,
    /// Go on until the task ends
    #[arg(short, long, visible_alias = "watch")]
    follow: bool,
    /// Only lines after the one with this id
    #[arg(long, value_name = "ID", default_value_t = 0, hide_default_value = true)]
    fromid: i64,
    /// Only the last so many lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    tail: Option<i64>,
    /// Only lines of the last so long: `90s`, `5m`, `1h30m`
    #[arg(long, value_name = "DURATION", value_parser = quantity::milliseconds)]
    since: Option<i64>,
    /// Only lines of this run
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// Only this stream: `stdout`, `stderr`, or a logger's name
    #[arg(long)]
    stream: Option<String>,
    /// Only lines of this level or a worse one
    #[arg(long, ignore_case = true, value_parser = LEVELS)]
    level: Option<String>,
    /// Exactly the bytes that the task wrote
    #[arg(long)]
    raw: bool,
}

/// Between two looks at a log that is followed.
const LOOK: Duration = Duration::from_millis(250);

/// Prints it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    if task::wait::status(&db, &[args.task]).await?.is_empty() {
        return Err(unknown(args.task));
    }
    let wanted = args.level.as_deref();
    let selection = Selection {
        task: args.task,
        run: args.run,
        stream: args.stream.clone(),
        level: LEVELS
            .into_iter()
            .find(|level| wanted.is_some_and(|word| level.eq_ignore_ascii_case(word))),
    };
    let mut reader = Reader::after(selection, args.fromid);
    if args.tail.is_some() || args.since.is_some() {
        reader.skip_to(&db, args.tail, args.since).await?;
    }
    let mut printer = Printer::new(context, args.raw)?;
    if args.follow {
        tokio::select! {
            read = read_to_the_end(context, db, &mut reader, &mut printer) => read?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted.into()),
        }
    } else {
        read(&db, &mut reader, false, &mut printer).await?;
    }
    let readable = matches!(printer, Printer::Text(_));
    printer.end()?;
    if readable {
        print_traceback(context, args.task).await?;
    }
    Ok(Exit::Done.into())
}

/// There is no such task.
pub(crate) fn unknown(task: i64) -> anyhow::Error {
    hinted(format!("there is no task {task}"), "see `rework list-tasks`")
}

/// Prints the log of a task until the task ends, for people.
pub async fn follow(context: &Context, task: i64) -> anyhow::Result<()> {
    let db = context.open().await?;
    let mut reader = Reader::after(Selection { task, ..Selection::default() }, 0);
    read_to_the_end(context, db, &mut reader, &mut Printer::Text(context)).await
}

/// The last lines of what a run wrote, for people; empty where it wrote nothing.
pub(crate) async fn tail(
    context: &Context,
    db: &Db,
    (task, run): (i64, i64),
    n: i64,
) -> anyhow::Result<Vec<u8>> {
    let selection = Selection { task, run: Some(run), ..Selection::default() };
    let mut reader = Reader::after(selection, 0);
    reader.skip_to(db, Some(n), None).await?;
    let mut out = Vec::new();
    for line in reader.next(db).await? {
        log_text::append(&mut out, &line, context.terminal, context.colour);
    }
    Ok(out)
}

/// As [`read`], to the end of the task, also where the database is away in between.
async fn read_to_the_end(
    context: &Context,
    mut db: Db,
    reader: &mut Reader,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let mut told = false;
    loop {
        match read(&db, reader, true, printer).await {
            Err(error) if is_away(&error) => {
                if !std::mem::replace(&mut told, true) {
                    context.note("the database is away: waiting for it");
                }
                tokio::time::sleep(LOOK).await;
                // Still away: the old connection says so again.
                db = context.open().await.unwrap_or(db);
            }
            ended => return ended,
        }
    }
}

/// Reads on to the end of the log or, of a task that is followed, to the end of the task: what
/// it wrote last is there when it has ended, and is looked for after that was seen.
async fn read(
    db: &Db,
    reader: &mut Reader,
    follow: bool,
    printer: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let mut ended = !follow;
    loop {
        let lines = reader.next(db).await?;
        printer.print(&lines)?;
        if lines.len() == PAGE {
            continue;
        }
        if ended {
            return Ok(());
        }
        let status = task::wait::status(db, &[reader.task()]).await?;
        ended = status.first().is_none_or(|status| status.state.is_end());
        if !ended {
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn print_traceback(context: &Context, task: i64) -> anyhow::Result<()> {
    let tasks = task::show::show(&context.open().await?, &[task]).await?;
    let error = tasks.first().and_then(|task| task.error.as_deref());
    match error.and_then(|error| traceback(error.get())) {
        Some(text) => context.write(text.as_bytes()),
        None => Ok(()),
    }
}

/// How lines are printed.
enum Printer<'a> {
    Text(&'a Context),
    Raw(&'a Context),
    Json(JsonList),
}

impl<'a> Printer<'a> {
    fn new(context: &'a Context, raw: bool) -> anyhow::Result<Printer<'a>> {
        Ok(match context.format {
            _ if raw => Printer::Raw(context),
            Format::Table => Printer::Text(context),
            _ => Printer::Json(context.json_list()?),
        })
    }

    fn print(&mut self, lines: &[Line]) -> anyhow::Result<()> {
        let mut out = Vec::new();
        let context = match self {
            Printer::Json(list) => {
                return lines.iter().try_for_each(|line| list.item(&JsonLine::from(line)));
            }
            Printer::Text(context) => {
                for line in lines {
                    log_text::append(&mut out, line, context.terminal, context.colour);
                }
                context
            }
            Printer::Raw(context) => {
                for line in lines {
                    log_text::append_raw(&mut out, line);
                }
                context
            }
        };
        context.write(&out)
    }

    fn end(self) -> anyhow::Result<()> {
        match self {
            Printer::Json(list) => list.end(),
            _ => Ok(()),
        }
    }
}
