//! The runs of a task as a table: how each went, where, in which code, and why it ended.

use std::fmt::Display;

use rework_core::task::show::{Run, Task};

use crate::{
    table::{Cell, Table},
    time_text::between,
};

/// Every run that did not end the task, and the last one.
pub(crate) fn of_task(task: &Task, runs: &[Run]) -> Table {
    let mut table = Table::default();
    for run in runs {
        let took = run.started_at.map(|at| format!("after {}", between(at, run.finished_at)));
        table.row(attempt([
            run.run.to_string(),
            run.outcome.clone(),
            took.unwrap_or_else(|| "before it began".to_owned()),
            run.host.clone().unwrap_or_default(),
            named("worker", run.worker),
            named("revision", run.revision.as_ref()),
            run.reason.clone().unwrap_or_default(),
        ]));
    }
    if task.run > runs.last().map_or(0, |run| run.run) {
        let end = task.finished_at.unwrap_or(task.beside.now);
        let took = task.started_at.map(|at| format!("after {}", between(at, end)));
        table.row(attempt([
            task.run.to_string(),
            task.state.to_string(),
            took.unwrap_or_default(),
            task.host.clone().unwrap_or_default(),
            named("worker", task.worker),
            named("revision", task.revision.as_ref()),
            task.reason.clone().unwrap_or_default(),
        ]));
    }
    table
}

fn attempt(fields: [String; 7]) -> impl Iterator<Item = Cell> {
    let [run, rest @ ..] = fields;
    std::iter::once(Cell::from(format!("  run {run}"))).chain(rest.into_iter().map(Cell::from))
}

fn named(what: &str, which: Option<impl Display>) -> String {
    which.map(|which| format!("{what} {which}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rework_core::task::state::State;

    use super::*;
    use crate::task_text::tests::{at, task};

    #[test]
    fn every_attempt_is_there_the_last_one_too() {
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
