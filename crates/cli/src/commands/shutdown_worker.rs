//! `rework shutdown-worker`: ask workers to leave when their task has ended.

use std::process::ExitCode;

use rework_core::fleet::ask_worker::{self, Answer, Ask};

use crate::{context::Context, exit::Exit, report::hinted, time_text};

/// Ask workers to leave when the task in hand has ended
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The workers
    #[arg(value_name = "WORKER", required = true)]
    workers: Vec<i64>,
}

/// Asks them.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    ask(&args.workers, Ask::Shutdown, context).await
}

/// Asks it of each; those that are not alive are named, and the exit code is 1.
pub(crate) async fn ask(workers: &[i64], what: Ask, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut exit = Exit::Done;
    for worker in workers {
        let message = match ask_worker::ask(&db, *worker, what).await? {
            Answer::Asked => continue,
            Answer::Unknown => format!("there is no worker {worker}"),
            Answer::Ended { at, reason } => {
                let at = at.map(|at| format!(" at {}", time_text::second(at))).unwrap_or_default();
                let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("worker {worker} has ended{at}{why}")
            }
        };
        context.complain(&hinted(message, "see `rework list-workers`"));
        exit = Exit::Error;
    }
    Ok(exit.into())
}
