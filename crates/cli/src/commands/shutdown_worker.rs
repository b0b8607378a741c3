//! `rework shutdown-worker`: requests that workers exit when the task that they run has ended. The worker's monitor
//! carries out the request. `kill_worker.rs` uses the same function to kill workers.

use std::process::ExitCode;

use rework_core::fleet::stop_worker::{self, StopMode, StopResult};

use crate::{context::Context, error_text::hinted, exit::Exit, time_text};

/// Stop workers when the task that they run has ended
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ids of the workers
    #[arg(value_name = "WORKER", required = true)]
    workers: Vec<i64>,
}

/// Requests the shutdown of each worker.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    request(&args.workers, StopMode::Shutdown, context).await
}

/// Requests that each worker stops in this way. If a worker is unknown or has already ended, prints an error for it,
/// and the exit code is 1.
pub(crate) async fn request(
    workers: &[i64],
    mode: StopMode,
    context: &Context,
) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let mut exit = Exit::Done;
    for worker in workers {
        let message = match stop_worker::stop_worker(&db, *worker, mode).await? {
            StopResult::Requested => continue,
            StopResult::NoSuchWorker => format!("there is no worker {worker}"),
            StopResult::AlreadyEnded { at, reason } => {
                let at = at.map(|at| format!(" at {}", time_text::seconds(at))).unwrap_or_default();
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("worker {worker} has already ended{at}{reason}")
            }
        };
        context.print_error(&hinted(message, "see `rework list-workers`"));
        exit = Exit::Error;
    }
    Ok(exit.into())
}
