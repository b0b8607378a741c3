//! `rework vacuum`: delete what is too old.

use std::{process::ExitCode, time::Duration};

use rework_core::admin::vacuum;
use rework_wire::operation::DEFAULT_DOMAIN;

use crate::{context::Context, exit::Exit, report::usage};

/// Delete old tasks, with their logs and runs, or old workers
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Args {
    /// Delete tasks that have ended
    #[arg(long)]
    tasks: bool,
    /// With `--tasks`: those that are queued instead, which then never run
    #[arg(long)]
    queued: bool,
    /// Delete workers that have finished; the history of tasks stays
    #[arg(long)]
    workers: bool,
    /// Only those of this domain
    #[arg(long, default_value = DEFAULT_DOMAIN)]
    domain: String,
    /// Those of all domains
    #[arg(long, conflicts_with = "domain")]
    all_domains: bool,
    /// Only what ended (or, with `--queued`, was queued) so many days ago
    #[arg(long, value_name = "N", default_value_t = 0)]
    days: u32,
    /// Do not ask, though the database is one of production
    #[arg(short, long)]
    yes: bool,
}

const DAY: Duration = Duration::from_secs(86_400);

/// Deletes, and says how many.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    match (args.tasks, args.workers) {
        (false, false) => {
            return Err(usage(
                "to cleanup old workers or tasks please use --workers or --tasks",
                "for instance `rework vacuum --tasks --days 7`",
            ));
        }
        (true, true) => {
            return Err(usage(
                "vacuum deletes workers or tasks, not both at the same time",
                "run it twice: `rework vacuum --tasks`, then `rework vacuum --workers`",
            ));
        }
        (false, true) if args.queued => {
            return Err(usage("--queued is about tasks", "`rework vacuum --tasks --queued`"));
        }
        _ => {}
    }
    let what = if args.workers { "delete workers" } else { "delete tasks" };
    if !context.may_destroy(what, args.yes)? {
        context.print("Ok, nothing has been done.")?;
        return Ok(Exit::Done.into());
    }
    let db = context.open().await?;
    let domain = (!args.all_domains).then_some(args.domain.as_str());
    let age = DAY.saturating_mul(args.days);
    let said = if args.workers {
        format!("deleted {} workers", vacuum::workers(&db, domain, age).await?)
    } else {
        let which = if args.queued { vacuum::Which::Queued } else { vacuum::Which::Ended };
        format!("deleted {} tasks", vacuum::tasks(&db, which, domain, age).await?)
    };
    context.print(said)?;
    Ok(Exit::Done.into())
}
