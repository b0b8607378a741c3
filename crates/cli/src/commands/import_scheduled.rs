//! `rework import-scheduled`: creates the schedules of a file that `rework export-scheduled` has written.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use rework_core::{
    cron::{
        declare::{Schedule, declare},
        error::CronError,
        fields::step_warnings,
    },
    db::error::Error,
    operation,
};

use super::prepare::payload;
use crate::{
    context::Context,
    error_text::{OrHint as _, hinted},
    exit::Exit,
    input,
};

/// Create the schedules of a file: all of them, or none if one is invalid
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to read
    #[arg(long, default_value = "rework.sched")]
    path: PathBuf,
}

/// Validates and creates all schedules in one transaction.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let path = args.path.display();
    let text = std::fs::read_to_string(&args.path)
        .with_context(|| format!("cannot read `{path}`"))
        .or_hint(|| "`rework export-scheduled --path FILE` writes such a file".into())?;
    let schedules: Vec<Schedule> = serde_json::from_str(&text).map_err(|error| {
        hinted(
            format!("`{path}` is not a file of schedules: {error}"),
            "`rework export-scheduled --path FILE` writes such a file",
        )
    })?;
    let mut db = context.open().await?;
    let transaction = db.client_mut().transaction().await.map_err(Error::from)?;
    for (number, schedule) in schedules.iter().enumerate() {
        let entry = || format!("entry {} of `{path}`, `{}`", number + 1, schedule.operation);
        let domain = Some(schedule.domain.as_str());
        let found = operation::find::find(&transaction, &schedule.operation, domain);
        let operation = found.await.with_context(entry)?.definition;
        let payload = payload(schedule).with_context(entry)?;
        input::validate(&operation, &payload).with_context(entry)?;
        let rule = schedule.rule(true).map_err(CronError::Rule).with_context(entry)?;
        for warning in step_warnings(&schedule.rule) {
            context.warn(format_args!("{}: {warning}", entry()));
        }
        declare(&transaction, schedule, &rule, &payload).await.with_context(entry)?;
    }
    transaction.commit().await.map_err(Error::from)?;
    context.print(format_args!("loaded {} entries from {path}", schedules.len()))?;
    Ok(Exit::Done.into())
}
