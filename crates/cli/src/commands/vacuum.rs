//! `rework vacuum`: deletes old tasks or old workers. A monitor does the same at regular intervals (`--vacuum`).

use std::{process::ExitCode, time::Duration};

use rework_core::admin::vacuum;
use rework_wire::operation::DEFAULT_DOMAIN;

use crate::{context::Context, error_text::usage_error, exit::Exit};

/// Delete old tasks, with their logs and runs, or old workers
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Args {
    /// Delete tasks that have ended
    #[arg(long)]
    tasks: bool,
    /// With `--tasks`: delete queued tasks instead, which then never run
    #[arg(long)]
    queued: bool,
    /// Delete workers that have ended; the history of tasks stays
    #[arg(long)]
    workers: bool,
    /// Only tasks or workers of this domain
    #[arg(long, default_value = DEFAULT_DOMAIN)]
    domain: String,
    /// Tasks or workers of all domains
    #[arg(long, conflicts_with = "domain")]
    all_domains: bool,
    /// Only tasks or workers that ended (with `--queued`: were queued) at least this number of days ago
    #[arg(long, value_name = "N", default_value_t = 0)]
    days: u32,
    /// Do not ask for confirmation, even if the database is marked as production
    #[arg(short, long)]
    yes: bool,
}

const DAY: Duration = Duration::from_secs(86_400);

/// Deletes tasks or workers and prints their number.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    match (args.tasks, args.workers) {
        (false, false) => {
            return Err(usage_error(
                "vacuum needs `--tasks` or `--workers`",
                "for example `rework vacuum --tasks --days 7`",
            ));
        }
        (true, true) => {
            return Err(usage_error(
                "vacuum deletes either tasks or workers, not both at the same time",
                "run it twice: `rework vacuum --tasks`, then `rework vacuum --workers`",
            ));
        }
        (false, true) if args.queued => {
            return Err(usage_error(
                "`--queued` needs `--tasks`, because only tasks are queued",
                "`rework vacuum --tasks --queued`",
            ));
        }
        _ => {}
    }
    let action = if args.workers { "delete workers" } else { "delete tasks" };
    if !context.confirm_destructive(action, args.yes)? {
        context.print("Ok, nothing has been done.")?;
        return Ok(Exit::Done.into());
    }
    let db = context.open().await?;
    let domain = (!args.all_domains).then_some(args.domain.as_str());
    let age = DAY.saturating_mul(args.days);
    let summary = if args.workers {
        deleted(vacuum::delete_workers(&db, domain, age).await?, "worker")
    } else {
        let which =
            if args.queued { vacuum::TasksToDelete::Queued } else { vacuum::TasksToDelete::Ended };
        deleted(vacuum::delete_tasks(&db, which, domain, age).await?, "task")
    };
    context.print(summary)?;
    Ok(Exit::Done.into())
}

/// Returns the summary, for example `deleted 2 tasks`. `what` is in the singular.
fn deleted(count: i64, what: &str) -> String {
    format!("deleted {count} {what}{}", if count == 1 { "" } else { "s" })
}
