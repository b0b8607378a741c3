//! Compares what the steps of a flow wrote to its trace with what Postgres has recorded, and finds violations of what
//! flows promise.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::flow::TraceLine;
use crate::support::session::Session;

/// A flow that has ended, as Postgres has recorded it and as its steps have written it.
#[derive(Debug, Default, Clone)]
pub(crate) struct EndedFlow {
    pub(crate) id: i64,
    pub(crate) phase: String,
    pub(crate) lines: Vec<TraceLine>,
    pub(crate) steps: Vec<StepRow>,
}

/// The history of a step in one round.
#[derive(Debug, Clone)]
pub(crate) struct StepRow {
    pub(crate) name: String,
    /// The state in the last round. `None` in an earlier round.
    pub(crate) state: Option<String>,
    pub(crate) has_undo: bool,
    /// The task that executed the step, and the one that reverted it.
    pub(crate) task: Option<Ended>,
    pub(crate) undo_task: Option<Ended>,
}

/// The recorded end of a task.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) id: i64,
    pub(crate) state: String,
    /// The number of its last run.
    pub(crate) run: i64,
}

/// How many of something the flows had.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    /// The number of tasks whose code ran, and how many of them ran more than once.
    pub(crate) executed: usize,
    pub(crate) executed_again: usize,
    pub(crate) reverted: usize,
    /// How many steps were reverted whose code never ran: their runs ended before it started.
    pub(crate) reverted_unstarted: usize,
}

/// Reads a flow. The tasks of controllers are left out.
pub(crate) fn read(session: &Session, id: i64, lines: Vec<TraceLine>) -> EndedFlow {
    let sql = "select r.name, r.state, r.has_undo, t.id, t.state, t.run, u.id, u.state, u.run
                 from (select p.id as position, p.step as name, null as state, p.task, p.undo_task,
                              exists (select from rework.step s
                                       where s.flow = p.flow and s.name = p.step
                                         and s.undo_operation is not null) as has_undo
                         from rework.past p
                        where p.flow = $1
                          and exists (select from rework.step s
                                       where s.flow = p.flow and s.name = p.step
                                         and s.kind = 'task')
                       union all
                       select null, s.name, s.state, s.task, s.undo_task,
                              s.undo_operation is not null
                         from rework.step s where s.flow = $1 and s.kind = 'task') as r
                 left join rework.task t on t.id = r.task
                 left join rework.task u on u.id = r.undo_task
                order by r.position nulls last";
    let rows = session.query(sql, &[&id]);
    let ended = |row: &tokio_postgres::Row, first: usize| {
        let id: Option<i64> = row.get(first);
        id.map(|id| Ended { id, state: row.get(first + 1), run: row.get(first + 2) })
    };
    let steps = rows.iter().map(|row| StepRow {
        name: row.get(0),
        state: row.get(1),
        has_undo: row.get(2),
        task: ended(row, 3),
        undo_task: ended(row, 6),
    });
    let steps = steps.collect();
    let sql = "select phase from rework.flow where id = $1";
    let phase = session.query_values(sql, &[&id]).pop().unwrap_or_default();
    EndedFlow { id, phase, lines, steps }
}

/// Judges a flow. Returns the violations.
pub(crate) fn judge(flow: &EndedFlow, counts: &mut Counts) -> Vec<String> {
    let mut violations = Vec::new();
    let mut report = |text: String| violations.push(format!("flow {}: {text}", flow.id));
    let executed = tasks_of(flow, "exec");
    let reverted = tasks_of(flow, "revert");
    repeated_runs(flow, &mut report);
    let rows: Vec<&StepRow> = flow.steps.iter().filter(|row| row.task.is_some()).collect();
    let known = |task: i64| {
        rows.iter().any(|row| {
            [&row.task, &row.undo_task].into_iter().flatten().any(|ended| ended.id == task)
        })
    };
    for task in executed.keys().chain(reverted.keys()).filter(|task| !known(**task)) {
        report(format!("task {task} has run, and no step knows it"));
    }
    for row in rows {
        let Some(task) = &row.task else { continue };
        let runs = executed.get(&task.id).map_or(0, BTreeSet::len);
        let undo_runs = row.undo_task.as_ref().and_then(|undo| reverted.get(&undo.id));
        let undo_runs = undo_runs.map_or(0, BTreeSet::len);
        counts.executed += usize::from(runs > 0);
        counts.executed_again += usize::from(runs > 1);
        counts.reverted += usize::from(undo_runs > 0);
        counts.reverted_unstarted += usize::from(runs == 0 && undo_runs > 0);
        if task.state == "done" && runs == 0 {
            report(format!("`{}` is done, and task {} has not run", row.name, task.id));
        }
        let is_over = row.state.is_none() || flow.phase == "reverted";
        let must_be_undone = row.has_undo && runs > 0 && is_over;
        if must_be_undone && undo_runs == 0 {
            report(format!("`{}` was executed by task {}, and not reverted", row.name, task.id));
        }
        let is_kept = flow.phase == "done" && row.state.is_some();
        if is_kept && undo_runs > 0 {
            report(format!("`{}` was reverted, and the flow is done", row.name));
        }
    }
    order(flow, &mut report);
    violations
}

/// Returns the runs of the tasks that wrote this event.
fn tasks_of(flow: &EndedFlow, event: &str) -> BTreeMap<i64, BTreeSet<i64>> {
    let mut tasks = BTreeMap::<i64, BTreeSet<i64>>::new();
    for line in flow.lines.iter().filter(|line| line.event == event) {
        tasks.entry(line.task).or_default().insert(line.run);
    }
    tasks
}

/// Each run writes one line, and nothing runs after the recorded end of its task.
fn repeated_runs(flow: &EndedFlow, report: &mut impl FnMut(String)) {
    let mut known = BTreeSet::new();
    for line in &flow.lines {
        if !known.insert((line.task, line.run)) {
            report(format!("run {} of task {} was executed twice", line.run, line.task));
        }
    }
    let ends = flow.steps.iter().flat_map(|row| [&row.task, &row.undo_task]).flatten();
    for ended in ends {
        let later = known.range((ended.id, ended.run + 1)..(ended.id + 1, 0)).next();
        if let Some((task, run)) = later {
            report(format!(
                "task {task} is {} in run {}, and ran as {run}",
                ended.state, ended.run
            ));
        }
    }
}

/// A step that has an undo is executed, reverted, executed, and so on. The runs of one task count as one.
fn order(flow: &EndedFlow, report: &mut impl FnMut(String)) {
    let never_ran: BTreeSet<i64> = flow
        .steps
        .iter()
        .filter_map(|row| Some((row.task.as_ref()?, row.undo_task.as_ref()?)))
        .filter(|(task, _)| !flow.lines.iter().any(|line| line.task == task.id))
        .map(|(_, undo)| undo.id)
        .collect();
    let names: BTreeSet<&str> =
        flow.steps.iter().filter(|row| row.has_undo).map(|row| row.name.as_str()).collect();
    for name in names {
        let of_step = flow.lines.iter().filter(|line| line.step == name);
        let mut story: Vec<(&str, i64)> = of_step
            .filter(|line| !never_ran.contains(&line.task))
            .map(|line| (line.event.as_str(), line.task))
            .collect();
        story.dedup();
        let is_right = story.iter().enumerate().all(|(position, (event, _))| {
            *event == if position % 2 == 0 { "exec" } else { "revert" }
        });
        if !is_right {
            report(format!("the order of `{name}` is wrong: {story:?}"));
        }
    }
}

#[cfg(test)]
mod tests;
