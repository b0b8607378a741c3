//! `rework show-task`: all that is known about tasks, and what to type next.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use rework_core::{
    db::connect::Db,
    task::{self, payload::Payload, show::Task},
};

use super::log_task;
use crate::{
    context::Context, exit::Exit, json_list::on_one_line, options::Format, report::hinted,
    runs_table, task_text,
};

/// Show all about tasks: cause, times, input, output, attempts, the end of the log
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tasks
    #[arg(value_name = "TASK", required = true)]
    tasks: Vec<i64>,
    /// Print the output alone, exactly as the task gave it
    #[arg(long)]
    raw_output: bool,
    /// Write the output to this file, exactly as the task gave it
    #[arg(long, value_name = "PATH", conflicts_with = "raw_output")]
    output_file: Option<PathBuf>,
}

/// So many lines of the log explain a bad end.
const TAIL: i64 = 10;

/// Shows them; those that do not exist are named, and the exit code is 1.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut exit = Exit::Done;
    let several = args.tasks.len() > 1;
    let shown = !args.raw_output && args.output_file.is_none();
    let mut list = (several && shown && context.format != Format::Table)
        .then(|| context.json_list())
        .transpose()?;
    for (i, id) in args.tasks.iter().enumerate() {
        // One by one: any of them may hold a large input and a large output.
        let Some(task) = task::show::show(&db, &[*id]).await?.pop() else {
            context.complain(&log_task::unknown(*id));
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
                tell(context, &db, &task).await?;
            }
        }
    }
    list.map_or(Ok(()), crate::json_list::JsonList::end)?;
    Ok(exit.into())
}

/// The bytes of the output.
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

/// For people: facts, attempts, then what explains a bad end, then what to type.
async fn tell(context: &Context, db: &Db, task: &Task) -> anyhow::Result<()> {
    context.write(task_text::facts(task, context.colour).as_bytes())?;
    let runs = task::show::runs(db, task.id).await?;
    if !runs.is_empty() {
        let table = runs_table::of_task(task, &runs);
        context.write(format!("runs\n{}", table.render(context.colour)).as_bytes())?;
    }
    if let Some(text) = task.error.as_deref().and_then(|error| task_text::traceback(error.get())) {
        context.write(format!("traceback\n{text}").as_bytes())?;
    }
    if task.state.is_end() && Exit::of_state(task.state) != Some(Exit::Done) {
        let tail = log_task::tail(context, db, (task.id, task.run), TAIL).await?;
        if !tail.is_empty() {
            context.print("the last lines that it wrote")?;
            context.write(&tail)?;
        }
    }
    context.note(format_args!("next: {}", task_text::next(task)));
    Ok(())
}
