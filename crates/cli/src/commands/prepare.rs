//! `rework prepare`: creates a schedule, which runs an operation by a cron rule. `unprepare.rs` deletes schedules.

use std::process::ExitCode;

use rework_core::{
    cron::{
        self,
        declare::Schedule,
        error::CronError,
        fields::step_warnings,
        rule::{Missed, Overlap},
    },
    db::connect::Db,
    operation,
    task::{self, payload::Payload},
};
use serde_json::value::RawValue;

use super::schedule::json;
use crate::{context::Context, exit::Exit, input::TypedInput, time_text};

/// Create a schedule that runs an operation by a cron rule, and print the id of the schedule
///
/// A schedule of the same operation, rule, input and host is replaced.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "rework prepare [OPTIONS] <OPERATION> --rule <RULE> [--NAME VALUE …]",
    after_help = "A rule has five fields (starting with the minute) or six (starting with the second): \
                  `0 8 * * mon-fri`, `0 15 8,12 * * *`. `rework schedule OPERATION --help` shows the inputs of an \
                  operation. For an input with the name of an option, type `--input.NAME`."
)]
pub struct Args {
    /// The name of the operation
    operation: String,
    /// The cron rule: `0 8 * * mon-fri`, or with seconds `0 15 8,12 * * *`
    #[arg(long)]
    rule: String,
    /// The time zone of the rule, for example `Europe/Vienna` [default: that of the replaced schedule, else `UTC`]
    #[arg(long)]
    zone: Option<String>,
    /// The domain of the operation, if several domains have an operation of this name
    #[arg(long)]
    domain: Option<String>,
    /// The only host that may run the tasks
    #[arg(long)]
    host: Option<String>,
    /// The priority; tasks with a higher one run first [default: that of the operation, else 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i16>,
    /// A capability that the host must offer; repeatable
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// Any JSON to store with the tasks
    #[arg(long, value_name = "JSON", value_parser = json)]
    metadata: Option<String>,
    /// Tasks for times that were missed because no monitor ran: `none`, only the `last`, or `all` (up to 100)
    #[arg(long, value_name = "POLICY", default_value_t)]
    missed: Missed,
    /// If the previous task has not ended: `allow` another one, or `skip` this time
    #[arg(long, value_name = "POLICY", default_value_t)]
    overlap: Overlap,
    /// Confirm that the rule is meant to fire every second
    #[arg(long)]
    every_second: bool,
    /// The whole input as JSON, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    input: Option<String>,
    /// The whole input as bytes: a text, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true, conflicts_with = "input")]
    raw: Option<String>,
    // The inputs by name. `argv/operation_inputs.rs` puts them behind `--`.
    #[arg(last = true, hide = true)]
    parts: Vec<String>,
}

/// Validates the rule and the input, creates the schedule, and prints its id.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let domain = args.domain.as_deref();
    let operation = operation::find::find(db.client(), &args.operation, domain).await?;
    let typed =
        TypedInput { json: args.input.as_deref(), raw: args.raw.as_deref(), parts: &args.parts };
    let input = typed.payload(&operation.definition)?;
    let every_second = args.every_second;
    let zone = args.zone.clone();
    let mut schedule = schedule(args, operation.definition.domain)?;
    schedule.zone = match zone {
        Some(zone) => zone,
        None => cron::declare::existing_zone(db.client(), &schedule, &input).await?,
    };
    let rule = schedule.rule(every_second).map_err(CronError::Rule)?;
    for warning in step_warnings(&schedule.rule) {
        context.warn(warning);
    }
    let declared = cron::declare::declare(db.client(), &schedule, &rule, &input).await?;
    context.print(declared.id)?;
    if let Some(next) = declared.next_at {
        context.note(format_args!("first at {}", time_text::seconds_with_zone(next)));
    }
    warn_if_unserved(&db, &schedule.domain, context).await;
    Ok(Exit::Done.into())
}

fn schedule(args: Args, domain: String) -> anyhow::Result<Schedule> {
    Ok(Schedule {
        operation: args.operation,
        domain,
        rule: args.rule,
        zone: String::new(),
        host: args.host,
        priority: args.priority,
        capabilities: args.capability,
        input: None,
        input_base64: None,
        metadata: args.metadata.map(RawValue::from_string).transpose()?,
        missed: args.missed,
        overlap: args.overlap,
        paused: false,
    })
}

/// Warns if no monitor serves the domain, because only monitors fire schedules. Prints nothing if the role may not read
/// the monitors.
pub(super) async fn warn_if_unserved(db: &Db, domain: &str, context: &Context) {
    if let Ok(false) = task::unserved::is_domain_served(db, domain).await {
        context.warn(format_args!(
            "no monitor serves domain `{domain}`: the schedule does not fire until one does\n\
             hint: `rework monitor --domain {domain}`"
        ));
    }
}

/// Returns the input of a schedule that was read from a file. `Err` if its base64 is invalid.
pub(super) fn payload(schedule: &Schedule) -> anyhow::Result<Payload> {
    schedule.payload().map_err(|error| anyhow::anyhow!("`input_base64` is not base64: {error}"))
}
