//! Renders the runs of a task as a table: outcome, duration, host, worker, revision of the code, and reason.

use std::fmt::Display;

use rework_core::task::show::{Run, Task};

use crate::{
    table::{Cell, Table},
    time_text::duration_between,
};

/// Returns a table of all runs of a task.
///
/// `runs` holds the runs that did not end the task. The latest run, which is still open or has ended the task, is
/// taken from the task itself.
pub(crate) fn of_task(task: &Task, runs: &[Run]) -> Table {
    let mut table = Table::default();
    for run in runs {
        let took =
            run.started_at.map(|at| format!("after {}", duration_between(at, run.finished_at)));
        table.row(cells([
            run.run.to_string(),
            run.outcome.clone(),
            took.unwrap_or_else(|| "before it started".to_owned()),
            run.host.clone().unwrap_or_default(),
            labelled("worker", run.worker),
            labelled("revision", run.revision.as_ref()),
            run.reason.clone().unwrap_or_default(),
        ]));
    }
    if task.run > runs.last().map_or(0, |run| run.run) {
        let end = task.finished_at.unwrap_or(task.details.now);
        let took = task.started_at.map(|at| format!("after {}", duration_between(at, end)));
        table.row(cells([
            task.run.to_string(),
            task.state.to_string(),
            took.unwrap_or_default(),
            task.host.clone().unwrap_or_default(),
            labelled("worker", task.worker),
            labelled("revision", task.revision.as_ref()),
            task.reason.clone().unwrap_or_default(),
        ]));
    }
    table
}

/// Returns the cells of one run. The first field is the number of the run.
fn cells(fields: [String; 7]) -> impl Iterator<Item = Cell> {
    let [run, others @ ..] = fields;
    std::iter::once(Cell::from(format!("  run {run}"))).chain(others.into_iter().map(Cell::from))
}

/// Returns a value after its label, for example `worker 3`. Empty if there is no value.
fn labelled(label: &str, value: Option<impl Display>) -> String {
    value.map(|value| format!("{label} {value}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rework_core::task::state::State;

    use super::*;
    use crate::task_text::tests::{at, task};

    #[test]
    fn the_table_has_every_run_with_the_latest_one() {
        let first = Run {
            run: 1,
            attempt: 1,
            outcome: "failed".into(),
            reason: Some("signal 9 (killed)".into()),
            error: None,
            worker: Some(2),
            host: Some("beta".into()),
            revision: Some("1 (9f)".into()),
            memory_peak: None,
            started_at: Some(at(0)),
            finished_at: at(1),
        };
        assert_eq!(
            of_task(&task(State::Failed), &[first]).render(false),
            "  run 1 failed after 1.0 s beta  worker 2 revision 1 (9f)   signal 9 (killed)\n\
             \x20 run 2 failed after 5m03s alpha worker 3 revision 2 (a1b2) exit code 3\n"
        );
    }
}
