//! `rework log-task`: prints the log of a task, once or continuously until the task ends. `log_printer.rs` prints what
//! is read, and `log_task/steps.rs` reads the logs of the steps of a flow.

mod steps;

use std::{process::ExitCode, time::Duration};

use rework_core::{
    db::connect::Db,
    log::{
        lines::OpenLines,
        read::{LEVELS, LogFilter, LogReader},
    },
    task,
    values::quantity,
};

use crate::{
    context::{Context, is_unreachable},
    error_text::hinted,
    exit::Exit,
    log_printer::LogPrinter,
    log_text,
    options::task_id,
    pause_text::PauseNotes,
    value_text::traceback,
};

/// Show the log of a task, or what the steps of a flow wrote
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The id of the task
    #[arg(value_name = "TASK", value_parser = task_id)]
    task: i64,
    /// If the task is a flow: the step whose last task to show
    #[arg(value_name = "STEP")]
    step: Option<String>,
    /// If the task is a flow: show what all its steps wrote, each line with the name of its step
    #[arg(long, conflicts_with_all = ["step", "fromid", "tail", "since", "run", "raw"])]
    steps: bool,
    /// Continue until the task ends
    #[arg(short, long, visible_alias = "watch")]
    follow: bool,
    /// Only lines after the line with this id
    #[arg(long, value_name = "ID", default_value_t = 0, hide_default_value = true)]
    fromid: i64,
    /// Only this number of lines from the end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    tail: Option<i64>,
    /// Only lines written within this time: `90s`, `5m`, `1h30m`
    #[arg(long, value_name = "DURATION", value_parser = quantity::milliseconds)]
    since: Option<i64>,
    /// Only lines of this run
    #[arg(long, value_name = "N")]
    run: Option<i64>,
    /// Only this stream: `stdout`, `stderr`, or a logger's name
    #[arg(long)]
    stream: Option<String>,
    /// Only lines of this level or a more severe one
    #[arg(long, ignore_case = true, value_parser = LEVELS)]
    level: Option<String>,
    /// Print exactly the bytes that the task wrote
    #[arg(long)]
    raw: bool,
}

/// The interval at which a followed log is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Prints the log. In the form for people, the traceback follows if there is one.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    if task::wait::status(&db, &[args.task]).await?.is_empty() {
        return Err(unknown_task(args.task));
    }
    let wanted = args.level.as_deref();
    let level = LEVELS
        .into_iter()
        .find(|level| wanted.is_some_and(|word| level.eq_ignore_ascii_case(word)));
    if args.steps {
        return steps::run(context, db, (args.task, args.stream, level), args.follow).await;
    }
    let task = match &args.step {
        Some(step) => steps::last_task(&db, args.task, step).await?,
        None => args.task,
    };
    let filter = LogFilter { task, run: args.run, stream: args.stream.clone(), level };
    let mut reader = LogReader::after(filter, args.fromid);
    if args.tail.is_some() || args.since.is_some() {
        reader.skip_to(&db, args.tail, args.since).await?;
    }
    let mut printer = LogPrinter::new(context, task, args.raw, args.follow)?;
    if args.follow {
        if !read_until_interrupted(context, db, &mut reader, &mut printer).await? {
            return Ok(Exit::Interrupted.into());
        }
    } else {
        read(&db, &mut reader, false, &mut printer, &mut PauseNotes::new(context)).await?;
    }
    let is_text = printer.is_text();
    printer.finish()?;
    if is_text {
        print_traceback(context, task).await?;
    }
    Ok(Exit::Done.into())
}

/// Returns the error for a task that does not exist.
pub(crate) fn unknown_task(task: i64) -> anyhow::Error {
    hinted(format!("there is no task {task}"), "see `rework list-tasks`")
}

/// Returns the error for a task that exists and has no steps.
pub(crate) fn no_steps(task: i64) -> anyhow::Error {
    hinted(
        format!("task {task} has no steps: it is not a flow, or has no plan yet"),
        format!("see `rework show-task {task}`"),
    )
}

/// Prints the log of a task in the form for people until the task ends. Returns false if Ctrl-C was pressed before.
pub async fn follow(context: &Context, task: i64) -> anyhow::Result<bool> {
    let db = context.open().await?;
    let mut reader = LogReader::after(LogFilter { task, ..LogFilter::default() }, 0);
    let mut printer = LogPrinter::live_text(context, task);
    read_until_interrupted(context, db, &mut reader, &mut printer).await
}

/// Returns the last `n` log lines of one run in the form for people. Empty if the run wrote nothing.
pub(crate) async fn tail(
    context: &Context,
    db: &Db,
    (task, run): (i64, i64),
    n: i64,
) -> anyhow::Result<Vec<u8>> {
    let filter = LogFilter { task, run: Some(run), ..LogFilter::default() };
    let mut reader = LogReader::after(filter, 0);
    reader.skip_to(db, Some(n), None).await?;
    let (mut open, mut out) = (OpenLines::default(), Vec::new());
    loop {
        for row in reader.next(db).await? {
            if let Some(joined) = open.add(task, row) {
                log_text::append(&mut out, joined.line(), context.terminal, context.colour);
            }
        }
        if reader.is_at_end() {
            return Ok(out);
        }
    }
}

/// Reads as [`read`] does until the task ends. Returns false if Ctrl-C was pressed before. In any case, what is printed
/// next begins on a line of its own.
async fn read_until_interrupted(
    context: &Context,
    db: Db,
    reader: &mut LogReader,
    printer: &mut LogPrinter<'_>,
) -> anyhow::Result<bool> {
    let has_ended = tokio::select! {
        read = read_until_task_ends(context, db, reader, printer) => read.map(|()| true),
        _ = tokio::signal::ctrl_c() => Ok(false),
    };
    printer.end_line()?;
    has_ended
}

/// Reads as [`read`] does until the task ends. Connects again if the database becomes unreachable.
async fn read_until_task_ends(
    context: &Context,
    mut db: Db,
    reader: &mut LogReader,
    printer: &mut LogPrinter<'_>,
) -> anyhow::Result<()> {
    let mut has_printed = false;
    let mut notes = PauseNotes::new(context);
    loop {
        match read(&db, reader, true, printer, &mut notes).await {
            Err(error) if is_unreachable(&error) => {
                if !std::mem::replace(&mut has_printed, true) {
                    printer.end_line()?;
                    context.note("the database is unreachable: waiting for it");
                }
                tokio::time::sleep(POLL_INTERVAL).await;
                // If this fails, the old connection is kept. It fails again, so the loop tries again.
                db = context.open().await.unwrap_or(db);
            }
            result => return result,
        }
    }
}

/// Prints the log to its end. With `follow`, continues until the task has ended, or is a flow that waits for somebody
/// because a revert failed.
///
/// The last lines of a task are stored no later than its end. So once the task has ended, the log is read one more
/// time.
async fn read(
    db: &Db,
    reader: &mut LogReader,
    follow: bool,
    printer: &mut LogPrinter<'_>,
    notes: &mut PauseNotes<'_>,
) -> anyhow::Result<()> {
    let mut ended = !follow;
    loop {
        printer.print(reader.next(db).await?)?;
        if !reader.is_at_end() {
            continue;
        }
        if ended {
            return Ok(());
        }
        let status = task::wait::status(db, &[reader.task()]).await?;
        ended = status.first().is_none_or(|status| status.state.is_end() || status.stuck.is_some());
        let pause = status.first().and_then(|status| status.pause.as_ref());
        if let Some(pause) = pause.filter(|pause| notes.is_news(pause)) {
            printer.end_line()?;
            notes.note(reader.task(), pause);
        }
        if !ended {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Prints the traceback of the task's error, if there is one.
async fn print_traceback(context: &Context, task: i64) -> anyhow::Result<()> {
    let tasks = task::show::show(&context.open().await?, &[task]).await?;
    let error = tasks.first().and_then(|task| task.error.as_deref());
    match error.and_then(|error| traceback(error.get())) {
        Some(text) => context.write(text.as_bytes()),
        None => Ok(()),
    }
}
