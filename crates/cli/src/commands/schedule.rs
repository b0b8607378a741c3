//! `rework schedule`: put a task in the queue, or one for each line of a file.

mod many;

use std::{process::ExitCode, time::Duration};

use chrono::{DateTime, Local, NaiveDateTime, TimeZone as _, Utc};
use rework_core::{
    db::connect::Db,
    operation,
    task::{
        self,
        schedule::{Ready, Request, schedule},
        wait::Status,
    },
    values::quantity,
};
use serde_json::value::RawValue;

use super::{log_task, wait_task};
use crate::{context::Context, exit::Exit, input::Typed, operation_help};

/// Put a task in the queue, and print its id
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    override_usage = "rework schedule [OPTIONS] <OPERATION> [--NAME VALUE …]",
    after_help = "`rework schedule OPERATION --help` shows the inputs of an operation; where one \
                  has the name of an option, it is `--input.NAME`."
)]
pub struct Args {
    /// The operation
    #[arg(required_unless_present = "help")]
    operation: Option<String>,
    /// The operation's domain, where several have one of this name
    #[arg(long)]
    domain: Option<String>,
    /// The only host that may run it
    #[arg(long)]
    host: Option<String>,
    /// Higher first; if left out, as the operation says, which is 0 where it says nothing
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i16>,
    /// Not before this time: RFC 3339, or `2026-11-22 16:30` in your zone
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "delay")]
    at: Option<DateTime<Utc>>,
    /// Not before so long from now: `90s`, `5m`, `1h30m`
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    delay: Option<Duration>,
    /// Do nothing where a task of the operation with this key exists: print its id
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
    /// Anything to keep with the task
    #[arg(long, value_name = "JSON", value_parser = json)]
    metadata: Option<String>,
    /// What the host must offer; may be given again
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// The whole input: JSON, `@FILE`, or `-` for the standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    input: Option<String>,
    /// The whole input as bytes: a text, `@FILE`, or `-` for the standard input
    #[arg(long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true, conflicts_with = "input")]
    raw: Option<String>,
    /// A task for each line of a file, all or none: a line is an input in JSON. `-` for the standard input
    #[arg(
        long,
        value_name = "FILE|-",
        allow_hyphen_values = true,
        conflicts_with_all = ["input", "raw", "unique_key", "wait", "follow"]
    )]
    many: Option<String>,
    /// Wait until the task ends; the exit code tells how
    #[arg(long)]
    wait: bool,
    /// Wait, and show what it writes
    #[arg(short, long)]
    follow: bool,
    /// Print help; with an operation, that of its inputs
    #[arg(short, long)]
    help: bool,
    #[arg(last = true, hide = true)]
    words: Vec<String>,
}

/// Checks the input, schedules, and waits if asked to.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if args.help {
        return help(&args, context).await;
    }
    if let Some(path) = &args.many {
        return many::run(&args, path, context).await;
    }
    let db = context.open().await?;
    let task = queue(&db, &args).await?;
    context.print(task)?;
    if let Some(warning) = unserved(&db, task, "it stays").await {
        context.warn(warning);
    }
    if args.follow {
        follow(task, context).await
    } else if args.wait {
        wait(task, context).await
    } else {
        Ok(Exit::Done.into())
    }
}

async fn queue(db: &Db, args: &Args) -> anyhow::Result<i64> {
    let name = args.operation.as_deref().unwrap_or_default();
    let operation = operation::find::find(db.client(), name, args.domain.as_deref()).await?;
    let typed = Typed { json: args.input.as_deref(), raw: args.raw.as_deref(), words: &args.words };
    let request = Request {
        operation: name,
        domain: Some(&operation.definition.domain),
        input: typed.payload(&operation.definition)?,
        host: args.host.as_deref(),
        priority: args.priority,
        ready: ready(args),
        unique_key: args.unique_key.as_deref(),
        metadata: args.metadata.as_deref(),
        capabilities: &args.capability,
    };
    Ok(schedule(db.client(), &request).await?)
}

fn ready(args: &Args) -> Ready {
    match (args.at, args.delay) {
        (Some(at), _) => Ready::At(at),
        (None, Some(delay)) => Ready::After(delay),
        (None, None) => Ready::Now,
    }
}

/// What is missing for a task to run, for people: `it stays` queued, or `they stay`. Who may only schedule
/// may not know.
async fn unserved(db: &Db, task: i64, stays: &str) -> Option<String> {
    let needs = task::unserved::unserved(db, task).await.ok()??;
    let offers = needs.capabilities.join("` and `");
    let host = match (&needs.host, offers.is_empty()) {
        (Some(host), true) => format!(" on host `{host}`"),
        (Some(host), false) => format!(" on host `{host}` with `{offers}`"),
        (None, true) => String::new(),
        (None, false) => format!(" on a host with `{offers}`"),
    };
    let operation = &needs.operation;
    let placed = match (&needs.host, needs.placed_on.as_slice()) {
        (_, []) => format!(": operation `{operation}` is on no host"),
        (Some(host), on) if !on.contains(host) => {
            format!(": operation `{operation}` is on `{}`", on.join("`, `"))
        }
        _ => String::new(),
    };
    Some(format!(
        "no monitor serves domain `{domain}`{host}{placed}: {stays} queued until one does\n\
         hint: `rework monitor --domain {domain}`",
        domain = needs.domain
    ))
}

async fn wait(task: i64, context: &Context) -> anyhow::Result<ExitCode> {
    let tell = |end: &Status| {
        if let (Some(reason), false) = (&end.reason, Exit::of_state(end.state) == Some(Exit::Done))
        {
            context.note(format_args!("task {task} {}: {reason}", end.state));
            context.note(format_args!("hint: `rework show-task {task}`"));
        }
        Ok(())
    };
    wait_task::wait(context, &[task], None, tell).await
}

async fn follow(task: i64, context: &Context) -> anyhow::Result<ExitCode> {
    tokio::select! {
        followed = log_task::follow(context, task) => followed?,
        _ = tokio::signal::ctrl_c() => return Ok(wait_task::interrupted(context, [task])),
    }
    wait(task, context).await
}

/// The help of an operation's inputs; of the command, where none is named or cannot be asked for.
async fn help(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let mut parser = (context.parser)();
    parser.build();
    let Some(command) = parser.find_subcommand_mut("schedule") else {
        return Ok(Exit::Error.into());
    };
    let options = command.get_arguments().filter_map(clap::Arg::get_long);
    let ours: Vec<String> = options.map(str::to_owned).collect();
    let Some(name) = &args.operation else {
        context.write(styled(&command.render_help(), context.colour).as_bytes())?;
        return Ok(Exit::Done.into());
    };
    match context.open().await {
        Ok(db) => {
            let found = operation::find::find(db.client(), name, args.domain.as_deref()).await?;
            let text = operation_help::text(&found.definition, &ours, context.colour);
            context.write(text.as_bytes())?;
        }
        Err(error) => {
            context.write(styled(&command.render_help(), context.colour).as_bytes())?;
            context.warn(format_args!("the inputs of `{name}` are not known here: {error}"));
        }
    }
    Ok(Exit::Done.into())
}

fn styled(text: &clap::builder::StyledStr, colour: bool) -> String {
    if colour { text.ansi().to_string() } else { text.to_string() }
}

/// A moment as it is typed: with its zone, or in the user's.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let naive = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .ok_or("write it as `2026-11-22T16:30:00Z` or `2026-11-22 16:30`")?;
    let at = Local.from_local_datetime(&naive).earliest();
    at.map(|at| at.to_utc()).ok_or_else(|| "there is no such time in your zone".to_owned())
}

/// JSON text, as it was typed.
pub(super) fn json(text: &str) -> Result<String, String> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_a_zone_or_ours() {
        let at = moment("2026-11-22T16:30:00+02:00").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-11-22T14:30:00+00:00");
        let here = moment("2026-11-22 16:30").unwrap().with_timezone(&Local);
        assert_eq!(here.format("%Y-%m-%d %H:%M").to_string(), "2026-11-22 16:30");
        assert!(moment("tomorrow").unwrap_err().contains("write it as"));
    }

    #[test]
    fn metadata_is_json() {
        assert_eq!(json(r#"{"user": "x"}"#).as_deref(), Ok(r#"{"user": "x"}"#));
        assert!(json("user").unwrap_err().starts_with("not JSON: "));
    }
}
