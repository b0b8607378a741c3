//! `rework schedule`: schedules a task, or with `--many` one task for each line of a file (`schedule/many.rs`). With
//! `--plan` it only shows what a flow would do (`schedule/plan.rs`).

mod many;
mod option_values;
mod plan;
mod unique_key;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rework_core::{
    db::connect::Db,
    operation,
    task::{
        self,
        schedule::{AfterFailure, Ready, Request, schedule_once},
        unique::Scheduled,
        wait::TaskStatus,
    },
    values::{json::Json, quantity},
};
use tokio::time::sleep;

use self::option_values::{after_failure, retry_policy, timestamp};
use super::{log_task, wait_task};
use crate::{context::Context, exit::Exit, input::TypedInput, operation_help, options::task_id};

/// Schedule a task, and print its id
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that stands for itself")]
#[command(
    disable_help_flag = true,
    override_usage = "rework schedule [OPTIONS] <OPERATION> [--NAME VALUE …]",
    after_help = "`rework schedule OPERATION --help` shows the inputs of an operation. For an input with the \
                  name of an option, type `--input.NAME`."
)]
pub struct Args {
    /// The name of the operation
    #[arg(required_unless_present = "help")]
    operation: Option<String>,
    /// The domain of the operation, if several domains have an operation of this name
    #[arg(long)]
    domain: Option<String>,
    /// The only host that may run the task
    #[arg(long)]
    host: Option<String>,
    /// The priority; tasks with a higher one run first [default: that of the operation, else 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i16>,
    /// Do not start before this time: RFC 3339, or `2026-11-22 16:30` in your time zone
    #[arg(long, value_name = "TIME", value_parser = timestamp, conflicts_with = "delay")]
    at: Option<DateTime<Utc>>,
    /// Do not start before this delay has passed: `90s`, `5m`, `1h30m`
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    delay: Option<Duration>,
    /// If a task of the operation has this key, schedule nothing and print the id of that task. `--unique-while` and
    /// `--unique-for` say how long a task keeps its key
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
    /// Any JSON to store with the task
    #[arg(long, value_name = "JSON", value_parser = json)]
    metadata: Option<String>,
    /// A capability that the host must offer; repeatable
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// When to try again after a failure: `never`, `once`, `always`, or JSON such as `{"attempts": 5, "first": "10s"}`
    /// [default: as the operation declares]
    #[arg(long, value_name = "POLICY", value_parser = retry_policy)]
    retry: Option<String>,
    /// The whole input as JSON, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    input: Option<String>,
    /// The whole input as bytes: a text, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true, conflicts_with = "input")]
    raw: Option<String>,
    /// Schedule one task for each line of a file, all or none. A line is an input as JSON. `-` for standard input
    #[arg(
        long,
        value_name = "FILE|-",
        allow_hyphen_values = true,
        conflicts_with_all = ["input", "raw", "unique_key", "wait", "follow"]
    )]
    many: Option<String>,
    /// Show the steps of a flow, and schedule nothing. The code of the flow runs once, on this host
    #[arg(long, conflicts_with_all = ["many", "wait", "follow"])]
    plan: bool,
    /// Do not start before this task has ended; repeatable
    #[arg(long, value_name = "TASK", value_parser = task_id, allow_negative_numbers = true)]
    after: Vec<i64>,
    /// The reaction if a task of `--after` is not done: `abort` the new task, or `run` it all the same [default: abort]
    #[arg(long, value_name = "abort|run", value_parser = after_failure, requires = "after")]
    after_failure: Option<AfterFailure>,
    /// Wait until the task ends; the exit code shows how
    #[arg(long)]
    wait: bool,
    /// Wait, and show the log of the task
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    unique: unique_key::UniqueKeyOptions,
    /// Print help; with an operation, the help of its inputs
    #[arg(short, long)]
    help: bool,
    // The inputs by name. `argv/operation_inputs.rs` puts them behind `--`.
    #[arg(last = true, hide = true)]
    parts: Vec<String>,
}

/// Validates the input, schedules the task, prints its id, and waits with `--wait` or `--follow`.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    if args.help {
        return help(&args, context).await;
    }
    if let Some(path) = &args.many {
        return many::run(&args, path, context).await;
    }
    if args.plan {
        return plan::run(&args, context).await;
    }
    let db = context.open().await?;
    let scheduled = schedule_one(&db, &args).await?;
    let task = scheduled.task;
    unique_key::print(&scheduled, args.unique.replaces(), context)?;
    if let Some(warning) = unserved_warning(&db, task, "it stays").await {
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

/// Schedules one task, unless a task has its unique key.
async fn schedule_one(db: &Db, args: &Args) -> anyhow::Result<Scheduled> {
    let name = args.operation.as_deref().unwrap_or_default();
    let operation = operation::find::find(db.client(), name, args.domain.as_deref()).await?;
    let typed =
        TypedInput { json: args.input.as_deref(), raw: args.raw.as_deref(), parts: &args.parts };
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
        retry: args.retry.as_deref(),
        after: &args.after,
        after_failure: args.after_failure.unwrap_or_default(),
        unique: args.unique.options(),
    };
    Ok(schedule_once(db.client(), &request).await?)
}

/// Returns when the task becomes ready.
fn ready(args: &Args) -> Ready {
    match (args.at, args.delay) {
        (Some(at), _) => Ready::At(at),
        (None, Some(delay)) => Ready::After(delay),
        (None, None) => Ready::Now,
    }
}

/// How long a monitor needs to find a new domain: its next poll, and the registration. A poll comes each second.
const NEW_DOMAIN_SERVED_WITHIN: Duration = Duration::from_secs(2);

/// The pause between two questions whether a monitor serves a new domain.
const UNSERVED_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Returns a warning if no live monitor can run the task. `None` also if the role may not read the monitors.
///
/// `stays` is the verb for the scheduled tasks in the warning: `it stays` or `they stay`.
async fn unserved_warning(db: &Db, task: i64, stays: &str) -> Option<String> {
    let started = Instant::now();
    let unserved = loop {
        let unserved = task::unserved::unserved(db, task).await.ok()??;
        if !unserved.may_be_served_soon || started.elapsed() >= NEW_DOMAIN_SERVED_WITHIN {
            break unserved;
        }
        sleep(UNSERVED_POLL_INTERVAL).await;
    };
    let capabilities = unserved.capabilities.join("` and `");
    let host = match (&unserved.host, capabilities.is_empty()) {
        (Some(host), true) => format!(" on host `{host}`"),
        (Some(host), false) => format!(" on host `{host}` with `{capabilities}`"),
        (None, true) => String::new(),
        (None, false) => format!(" on a host with `{capabilities}`"),
    };
    let operation = &unserved.operation;
    let registration = match (&unserved.host, unserved.placed_on.as_slice()) {
        (_, []) => format!(": operation `{operation}` is not registered on any host"),
        (Some(host), hosts) if !hosts.contains(host) => {
            format!(": operation `{operation}` is registered on `{}`", hosts.join("`, `"))
        }
        _ => String::new(),
    };
    Some(format!(
        "no monitor serves domain `{domain}`{host}{registration}: {stays} queued until one does\n\
         hint: `rework monitor --domain {domain}`",
        domain = unserved.domain
    ))
}

/// Waits until the task ends. Notes the reason unless it is done.
async fn wait(task: i64, context: &Context) -> anyhow::Result<ExitCode> {
    let note_reason = |end: &TaskStatus| {
        wait_task::note_stuck(context, end);
        if end.stuck.is_some() {
            return Ok(());
        }
        if let (Some(reason), false) = (&end.reason, Exit::of_state(end.state) == Some(Exit::Done))
        {
            context.note(format_args!("task {task} {}: {reason}", end.state));
            context.note(format_args!("hint: `rework show-task {task}`"));
        }
        Ok(())
    };
    wait_task::wait(context, &[task], None, note_reason).await
}

/// Prints the log of the task until it ends.
async fn follow(task: i64, context: &Context) -> anyhow::Result<ExitCode> {
    if !log_task::follow(context, task).await? {
        return Ok(wait_task::interrupted(context, [task]));
    }
    wait(task, context).await
}

/// Prints the help of an operation's inputs. Without an operation, or without a database, prints the help of the
/// command.
async fn help(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let mut parser = (context.parser)();
    parser.build();
    let Some(command) = parser.find_subcommand_mut("schedule") else {
        return Ok(Exit::Error.into());
    };
    let options = command.get_arguments().filter_map(clap::Arg::get_long);
    let own_options: Vec<String> = options.map(str::to_owned).collect();
    let Some(name) = &args.operation else {
        context.write(styled(&command.render_help(), context.colour).as_bytes())?;
        return Ok(Exit::Done.into());
    };
    match context.open().await {
        Ok(db) => {
            let found = operation::find::find(db.client(), name, args.domain.as_deref()).await?;
            let text = operation_help::render(&found.definition, &own_options, context.colour);
            context.write(text.as_bytes())?;
        }
        Err(error) => {
            context.write(styled(&command.render_help(), context.colour).as_bytes())?;
            context.warn(format_args!("cannot show the inputs of operation `{name}`: {error}"));
        }
    }
    Ok(Exit::Done.into())
}

fn styled(text: &clap::builder::StyledStr, colour: bool) -> String {
    if colour { text.ansi().to_string() } else { text.to_string() }
}

/// Checks that a text is JSON that programs can read, and returns it as it was typed.
pub(super) fn json(text: &str) -> Result<String, String> {
    match Json::parse(text.as_bytes()) {
        Ok(_) => Ok(text.to_owned()),
        Err(bad) => Err(format!("it {bad}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_must_be_json() {
        assert_eq!(json(r#"{"user": "x"}"#).as_deref(), Ok(r#"{"user": "x"}"#));
        assert!(json("user").unwrap_err().starts_with("it is not JSON: "));
        assert_eq!(json("[1e400]").as_deref(), Ok("[1e400]"));
        assert!(json(r#""\ud800""#).unwrap_err().contains("half of a surrogate pair"));
    }
}
