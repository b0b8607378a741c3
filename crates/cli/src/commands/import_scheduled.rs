//! `rework import-scheduled`: schedules from a file.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use rework_core::{
    cron::{
        add::{Schedule, prepare},
        error::CronError,
    },
    db::error::Error,
    operation,
};

use super::prepare::payload;
use crate::{
    context::Context,
    exit::Exit,
    input,
    report::{OrHint as _, hinted},
};

/// Prepare the schedules that a file holds: all of them or none
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file
    #[arg(long, default_value = "rework.sched")]
    path: PathBuf,
}

/// Prepares them.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let path = args.path.display();
    let text = std::fs::read_to_string(&args.path)
        .with_context(|| format!("cannot read `{path}`"))
        .or_hint(|| "`rework export-scheduled --path FILE` makes one".into())?;
    let schedules: Vec<Schedule> = serde_json::from_str(&text).map_err(|error| {
        hinted(
            format!("`{path}` holds no schedules: {error}"),
            "it is the JSON that `rework export-scheduled` writes",
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
        input::check(&operation, &payload).with_context(entry)?;
        let rule = schedule.rule(true).map_err(CronError::Rule).with_context(entry)?;
        prepare(&transaction, schedule, &rule, &payload).await.with_context(entry)?;
    }
    transaction.commit().await.map_err(Error::from)?;
    context.print(format_args!("loaded {} entries from {path}", schedules.len()))?;
    Ok(Exit::Done.into())
}
