//! `rework prepare`: give an operation a cron rule.

use std::process::ExitCode;

use rework_core::{
    cron::{
        self,
        add::Schedule,
        error::CronError,
        rule::{Missed, Overlap},
    },
    db::connect::Db,
    operation,
    task::{self, payload::Payload},
};
use serde_json::value::RawValue;

use super::schedule::json;
use crate::{context::Context, exit::Exit, input::Typed, time_text};

/// Give an operation a cron rule, and print the id of the schedule
///
/// It replaces one of the same operation, rule, input and host.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "rework prepare [OPTIONS] <OPERATION> --rule <RULE> [--NAME VALUE …]",
    after_help = "A rule has five fields, minute first, or six, second first: `0 8 * * mon-fri`, \
                  `0 15 8,12 * * *`. `rework schedule OPERATION --help` shows the inputs of an \
                  operation; where one has the name of an option, it is `--input.NAME`."
)]
pub struct Args {
    /// The operation
    operation: String,
    /// When: `0 8 * * mon-fri`, or with seconds first `0 15 8,12 * * *`
    #[arg(long)]
    rule: String,
    /// Where it is that time: `Europe/Vienna`. If left out, that of the schedule that it replaces, else `UTC`
    #[arg(long)]
    zone: Option<String>,
    /// The operation's domain, where several have one of this name
    #[arg(long)]
    domain: Option<String>,
    /// The only host that may run it
    #[arg(long)]
    host: Option<String>,
    /// Higher first; if left out, as the operation says, which is 0 where it says nothing
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i16>,
    /// What the host must offer; may be given again
    #[arg(long, value_name = "NAME")]
    capability: Vec<String>,
    /// Anything to keep with the tasks
    #[arg(long, value_name = "JSON", value_parser = json)]
    metadata: Option<String>,
    /// Tasks for instants at which no monitor was there: `none`, for the `last`, for `all` (of the
    /// last 100)
    #[arg(long, value_name = "POLICY", default_value_t)]
    missed: Missed,
    /// Where the task before has not ended: `allow` another one, or `skip` the instant
    #[arg(long, value_name = "POLICY", default_value_t)]
    overlap: Overlap,
    /// The rule does mean every second
    #[arg(long)]
    every_second: bool,
    /// The whole input: JSON, `@FILE`, or `-` for the standard input
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    input: Option<String>,
    /// The whole input as bytes: a text, `@FILE`, or `-` for the standard input
    #[arg(long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true, conflicts_with = "input")]
    raw: Option<String>,
    #[arg(last = true, hide = true)]
    words: Vec<String>,
}

/// Checks the rule and the input, and prepares.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let domain = args.domain.as_deref();
    let operation = operation::find::find(db.client(), &args.operation, domain).await?;
    let typed = Typed { json: args.input.as_deref(), raw: args.raw.as_deref(), words: &args.words };
    let input = typed.payload(&operation.definition)?;
    let every_second = args.every_second;
    let zone = args.zone.clone();
    let mut schedule = schedule(args, operation.definition.domain)?;
    schedule.zone = match zone {
        Some(zone) => zone,
        None => cron::add::standing_zone(db.client(), &schedule, &input).await?,
    };
    let rule = schedule.rule(every_second).map_err(CronError::Rule)?;
    let prepared = cron::add::prepare(db.client(), &schedule, &rule, &input).await?;
    context.print(prepared.id)?;
    if let Some(next) = prepared.next_at {
        context.note(format_args!("first at {}", time_text::second_in_zone(next)));
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

/// The monitors of its domain fire a schedule. Who may only prepare may not know of them.
pub(super) async fn warn_if_unserved(db: &Db, domain: &str, context: &Context) {
    if let Ok(false) = task::unserved::domain(db, domain).await {
        context.warn(format_args!(
            "no monitor serves domain `{domain}`: nothing comes due until one does\n\
             hint: `rework monitor --domain {domain}`"
        ));
    }
}

/// What it was given, in the form in which a schedule keeps it.
pub(super) fn payload(schedule: &Schedule) -> anyhow::Result<Payload> {
    schedule.payload().map_err(|error| anyhow::anyhow!("`input_base64` is not base64: {error}"))
}
