//! `rework show-task`: prints everything that is known about tasks, and the commands that are useful next.
//! `show_task/flow.rs` prints what only flows have.

mod flow;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use rework_core::{
    db::connect::Db,
    task::{
        self,
        payload::Payload,
        show::Task,
        wait_reasons::{busy_workers, wait_reasons},
    },
};

use self::flow::View;
use super::log_task;
use crate::{
    context::Context,
    error_text::hinted,
    exit::Exit,
    json_list::on_one_line,
    options::{Format, task_id},
    runs_table, task_text, value_text, wait_text,
};

/// Show everything about tasks: state, reason, times, input, output, runs, the end of the log, the steps of a flow
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that stands for itself")]
pub struct Args {
    /// The ids of the tasks
    #[arg(value_name = "TASK", value_parser = task_id, required = true)]
    tasks: Vec<i64>,
    /// Print only the output, exactly as the task returned it
    #[arg(long)]
    raw_output: bool,
    /// Write the output to this file, exactly as the task returned it
    #[arg(long, value_name = "PATH", conflicts_with = "raw_output")]
    output_file: Option<PathBuf>,
    /// Of a flow: show its steps as a table, with the ids of all their tasks
    #[arg(long, conflicts_with_all = ["raw_output", "output_file"])]
    steps: bool,
    /// Of a flow: print what happened in it, one event per line
    #[arg(long, conflicts_with_all = ["raw_output", "output_file", "steps"])]
    events: bool,
    /// Of a flow: show its steps until it ends
    #[arg(long, conflicts_with_all = ["raw_output", "output_file", "steps", "events"])]
    watch: bool,
}

/// The number of log lines that are shown for a task that failed, was aborted or was lost.
const TAIL_LINES: i64 = 10;

/// Prints the tasks. If a task does not exist, prints an error for it, and the exit code is 1.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let views = [(args.steps, View::Steps), (args.events, View::Events), (args.watch, View::Watch)];
    if let Some((_, view)) = views.into_iter().find(|(is_wanted, _)| *is_wanted) {
        return flow::run(view, &args.tasks, context).await;
    }
    let db = context.open().await?;
    let mut exit = Exit::Done;
    let several = args.tasks.len() > 1;
    let shows_tasks = !args.raw_output && args.output_file.is_none();
    let mut list = (several && shows_tasks && context.format != Format::Table)
        .then(|| context.json_list())
        .transpose()?;
    for (i, id) in args.tasks.iter().enumerate() {
        // One by one, because each may have a large input and a large output.
        let Some(task) = task::show::show(&db, &[*id]).await?.pop() else {
            context.print_error(&log_task::unknown_task(*id));
            exit = Exit::Error;
            continue;
        };
        if args.raw_output {
            context.write(output(&task)?)?;
            continue;
        }
        if let Some(path) = &args.output_file {
            std::fs::write(path, output(&task)?)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            continue;
        }
        match (&mut list, context.format) {
            (Some(list), _) => list.item(&task)?,
            (None, Format::Json) => context.print(serde_json::to_string_pretty(&task)?)?,
            (None, Format::Jsonl) => context.print(on_one_line(&task)?)?,
            (None, Format::Table) if context.quiet => context.print(task.id)?,
            (None, Format::Table) => {
                if i > 0 {
                    context.print("")?;
                }
                print_text(context, &db, &task).await?;
            }
        }
    }
    list.map_or(Ok(()), crate::json_list::JsonList::finish)?;
    Ok(exit.into())
}

/// Returns the bytes of the output. `Err` if the task has none.
fn output(task: &Task) -> anyhow::Result<&[u8]> {
    match &task.output {
        Payload::Json(text) => Ok(text.as_bytes()),
        Payload::Bytes(bytes) => Ok(bytes),
        Payload::None => {
            let hint = format!("see `rework show-task {}`", task.id);
            Err(hinted(format!("task {} has no output: it is {}", task.id, task.state), hint))
        }
    }
}

/// Prints a task for people: its fields, the steps of a flow, why hosts leave it in the queue, its runs, the traceback
/// of its error, the last log lines if it ended without success, and the commands to type next.
async fn print_text(context: &Context, db: &Db, task: &Task) -> anyhow::Result<()> {
    context.write(task_text::facts(task, context.colour).as_bytes())?;
    let next_for_flow = flow::print_tree(context, db, task).await?;
    // A role that may not read the monitors does not learn these reasons.
    for reason in wait_reasons(db, task.id).await.unwrap_or_default() {
        context.print(wait_text::wait_reason(&reason))?;
    }
    if let (None, Ok(Some(busy))) = (&task.pause, busy_workers(db, task.id).await) {
        context.print(wait_text::all_are_busy(&busy))?;
    }
    let runs = task::show::runs(db, task.id).await?;
    if !runs.is_empty() {
        let table = runs_table::of_task(task, &runs);
        context.write(format!("runs\n{}", table.render(context.colour)).as_bytes())?;
    }
    if let Some(text) = task.error.as_deref().and_then(|error| value_text::traceback(error.get())) {
        context.write(format!("traceback\n{text}").as_bytes())?;
    }
    if task.state.is_end() && Exit::of_state(task.state) != Some(Exit::Done) {
        let tail = log_task::tail(context, db, (task.id, task.run), TAIL_LINES).await?;
        if !tail.is_empty() {
            context.print("the last lines of its log")?;
            context.write(&tail)?;
        }
    }
    let next = next_for_flow.unwrap_or_else(|| task_text::next_commands(task));
    context.note(format_args!("next: {next}"));
    Ok(())
}
