//! `rework list-workers`: lists the workers, the processes that claim and run tasks.

use std::process::ExitCode;

use anstyle::AnsiColor;
use rework_core::fleet::list_workers::{self, Worker, WorkerState};

use crate::{
    context::Context,
    exit::Exit,
    table::{Cell, Table},
    time_text,
};

/// List the workers that run, and those that ended in the last 24 hours
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also list workers that ended earlier
    #[arg(long)]
    all: bool,
}

const DAY_MS: i64 = 86_400_000;
const MIB: i64 = 1 << 20;

/// Prints the workers.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<ExitCode> {
    let db = context.open().await?;
    let workers = list_workers::list(&db, (!args.all).then_some(DAY_MS)).await?;
    context.print_list(&workers, |worker| worker.id.to_string(), table)?;
    Ok(Exit::Done.into())
}

fn table(workers: &[Worker]) -> Table {
    let mut table = Table::default();
    for worker in workers {
        table.row(cells(worker));
    }
    table
}

fn cells(worker: &Worker) -> Vec<Cell> {
    let pid = worker.pid.map_or_else(|| "<nopid>".to_owned(), |pid| pid.to_string());
    let style = match worker.state {
        WorkerState::Unstarted => AnsiColor::Yellow,
        WorkerState::Idle => AnsiColor::Green,
        WorkerState::Running => AnsiColor::Cyan,
        WorkerState::Dead => AnsiColor::Red,
    };
    vec![
        Cell::number(worker.id),
        format!("{pid}@{}", worker.host).into(),
        Cell::number(format_args!("{} Mb", worker.memory_bytes / MIB)),
        Cell::number(format_args!("{}%", worker.cpu_percent)),
        Cell::styled(format!("[{}]", state(worker)), style.on_default()),
        time_text::timeline(worker.created_at, worker.started_at, worker.finished_at).into(),
        reason(worker).into(),
    ]
}

fn state(worker: &Worker) -> String {
    match (worker.state, worker.task) {
        (WorkerState::Running, Some(task)) => format!("running #{task}"),
        (WorkerState::Running, None) => "running".to_owned(),
        (WorkerState::Idle, _) => "running (idle)".to_owned(),
        (WorkerState::Unstarted, _) => "unstarted".to_owned(),
        (WorkerState::Dead, _) => "dead".to_owned(),
    }
}

/// Returns why the worker ended, what was requested of it, or that its monitor is gone. Empty otherwise.
fn reason(worker: &Worker) -> String {
    match (worker.state, worker.requested.as_deref()) {
        (WorkerState::Dead, _) => worker.reason.clone().unwrap_or_default(),
        (_, Some(requested)) => format!("{requested} requested"),
        (_, None) if worker.orphan => "its monitor has exited".to_owned(),
        (_, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(state: WorkerState) -> Worker {
        Worker {
            id: 1,
            pid: Some(26325),
            host: "alpha".into(),
            domain: "default".into(),
            monitor: 1,
            state,
            task: None,
            memory_bytes: 62 << 20,
            cpu_percent: 3,
            requested: None,
            created_at: "2026-11-22T02:10:10.101623Z".parse().unwrap(),
            started_at: None,
            finished_at: None,
            reason: None,
            orphan: false,
        }
    }

    fn line(worker: &Worker) -> String {
        table(std::slice::from_ref(worker)).render(false)
    }

    #[test]
    fn a_line_has_all_fields_in_their_order() {
        let created = time_text::timeline(worker(WorkerState::Idle).created_at, None, None);
        let running = Worker { task: Some(5), ..worker(WorkerState::Running) };
        assert_eq!(line(&running), format!("1 26325@alpha 62 Mb 3% [running #5] {created}\n"));
        assert_eq!(
            line(&worker(WorkerState::Idle)),
            format!("1 26325@alpha 62 Mb 3% [running (idle)] {created}\n")
        );
        let unstarted = Worker { pid: None, ..worker(WorkerState::Unstarted) };
        assert_eq!(line(&unstarted), format!("1 <nopid>@alpha 62 Mb 3% [unstarted] {created}\n"));
        let dead = Worker { reason: Some("explicit shutdown".into()), ..worker(WorkerState::Dead) };
        assert_eq!(
            line(&dead),
            format!("1 26325@alpha 62 Mb 3% [dead] {created} explicit shutdown\n")
        );
    }

    #[test]
    fn a_request_is_shown_until_it_is_carried_out() {
        let requested = Worker { requested: Some("shutdown".into()), ..worker(WorkerState::Idle) };
        assert!(line(&requested).ends_with("] shutdown requested\n"));
        let orphan = Worker { orphan: true, ..worker(WorkerState::Running) };
        assert!(line(&orphan).ends_with("] its monitor has exited\n"));
    }
}
