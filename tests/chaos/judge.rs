//! Judges a history: compares what the runs wrote outside Postgres with what Postgres recorded. It only calculates.

use std::collections::{BTreeMap, BTreeSet};

use rework_core::task::state::State;

use super::causes::{self, UnsuccessfulEnd};
use super::history::{History, RecordedTask, Transition};
use super::lines::{Line, Moment};

/// The result of one rule.
#[derive(Debug)]
pub(crate) struct RuleResult {
    /// The event that must not happen. It completes the phrase `0 of 12 …`.
    pub(crate) rule: &'static str,
    /// The number of cases in which it could have happened.
    pub(crate) cases: usize,
    /// The cases in which it happened, one description each.
    pub(crate) violations: Vec<String>,
}

/// The lines of each run that has written any, by the id of its task and its number.
pub(crate) type Runs = BTreeMap<(i64, i64), Vec<Line>>;

/// Applies every rule to a history.
pub(crate) fn judge(history: &History) -> Vec<RuleResult> {
    let runs = runs(&history.lines);
    let mut results = judge_runs(history, &runs);
    results.extend([
        scheduled_twice(history),
        wrong_outputs(history),
        false_causes(history, &runs),
        RuleResult {
            rule: "workers left processes, files, cgroups or rows behind",
            cases: history.workers - history.lost_workers,
            violations: history.leftovers.clone(),
        },
    ]);
    results
}

/// Applies the rules that hold for the tasks of every operation that records its runs.
pub(crate) fn judge_runs(history: &History, runs: &Runs) -> Vec<RuleResult> {
    vec![
        missing(history),
        unfinished(history),
        ended_otherwise_than_once(history),
        forbidden_transitions(history),
        executed_twice(runs),
        overlapping(runs),
        repeated_without_permission(history, runs),
        executed_though_not_started(history, runs),
        done_without_end(history, runs),
        running_after_abort(history, runs),
        running_after_other_end(history, runs),
        RuleResult {
            rule: "monitors exited by themselves",
            cases: history.monitor_starts,
            violations: history.monitor_exits.clone(),
        },
    ]
}

impl RuleResult {
    /// Applies a rule to each case. `violation` describes what is wrong with a case; `None` if nothing is.
    pub(crate) fn of<T>(
        rule: &'static str,
        cases: impl IntoIterator<Item = T>,
        violation: impl Fn(T) -> Option<String>,
    ) -> RuleResult {
        let mut result = RuleResult { rule, cases: 0, violations: Vec::new() };
        for case in cases {
            result.cases += 1;
            result.violations.extend(violation(case));
        }
        result
    }
}

/// Returns the runs that wrote the lines.
pub(crate) fn runs(lines: &[Line]) -> Runs {
    let mut runs = Runs::new();
    for line in lines {
        runs.entry((line.task, line.run)).or_default().push(*line);
    }
    runs
}

/// Returns the lines of the runs of a task up to this number.
fn lines_of_task(runs: &Runs, task: i64, last_run: i64) -> impl Iterator<Item = &Line> {
    runs.range((task, 0)..=(task, last_run)).flat_map(|(_, lines)| lines)
}

fn missing(history: &History) -> RuleResult {
    let recorded: BTreeSet<i64> = history.tasks.iter().map(|task| task.id).collect();
    RuleResult::of("acknowledged tasks are missing", &history.acknowledged, |id| {
        (!recorded.contains(id)).then(|| format!("task {id}"))
    })
}

fn scheduled_twice(history: &History) -> RuleResult {
    let mut requests = BTreeMap::<i64, Vec<i64>>::new();
    for task in &history.tasks {
        requests.entry(task.number).or_default().push(task.id);
    }
    RuleResult::of("requests made several tasks", &requests, |(number, tasks)| {
        (tasks.len() > 1).then(|| format!("request {number}: tasks {tasks:?}"))
    })
}

fn unfinished(history: &History) -> RuleResult {
    RuleResult::of("tasks are in no final state", &history.tasks, |task| {
        (!task.state.is_end()).then(|| format!("task {} is {}", task.id, task.state))
    })
}

fn ended_otherwise_than_once(history: &History) -> RuleResult {
    let mut ends = BTreeMap::<i64, Vec<State>>::new();
    for change in history.transitions.iter().filter(|change| change.to.is_end()) {
        ends.entry(change.task).or_default().push(change.to);
    }
    let ended = history.tasks.iter().filter(|task| task.state.is_end());
    RuleResult::of("ended tasks did not end exactly once", ended, |task| {
        let recorded = ends.get(&task.id).map(Vec::as_slice).unwrap_or_default();
        let (id, state) = (task.id, task.state);
        (recorded != [state]).then(|| format!("task {id} is {state}, its ends are {recorded:?}"))
    })
}

fn forbidden_transitions(history: &History) -> RuleResult {
    RuleResult::of("changes of a state are not allowed", &history.transitions, |change| {
        let Transition { task, from, to, .. } = change;
        (!from.may_become(*to)).then(|| format!("task {task}: {from} became {to}"))
    })
}

fn executed_twice(runs: &Runs) -> RuleResult {
    RuleResult::of("runs were executed twice", runs, |((task, run), lines)| {
        let count = |moment| lines.iter().filter(|line| line.moment == moment).count();
        let is_one_process = lines.iter().all(|line| line.pid == lines[0].pid);
        let is_once = count(Moment::Start) == 1 && count(Moment::End) <= 1 && is_one_process;
        (!is_once).then(|| format!("run {run} of task {task}: {lines:?}"))
    })
}

/// Compares each run with the next one of the same task. If two runs that do not follow each other overlap, two that do
/// overlap, too.
fn overlapping(runs: &Runs) -> RuleResult {
    let neighbours = runs.iter().zip(runs.iter().skip(1));
    let repeated = neighbours.filter(|((earlier, _), (later, _))| earlier.0 == later.0);
    RuleResult::of("repeated runs overlapped the run before", repeated, |(earlier, later)| {
        let ((task, run), (_, next_run)) = (earlier.0, later.0);
        let last = earlier.1.iter().map(|line| line.at).max()?;
        let first = later.1.iter().map(|line| line.at).min()?;
        (last >= first).then(|| {
            let overlap = last - first;
            format!("task {task}: run {next_run} started {overlap} µs before the end of run {run}")
        })
    })
}

fn repeated_without_permission(history: &History, runs: &Runs) -> RuleResult {
    let single = history.tasks.iter().filter(|task| !task.may_repeat);
    RuleResult::of("tasks that may run once ran again", single, |task| {
        let count = runs.range((task.id, 0)..=(task.id, i64::MAX)).count();
        (count > 1).then(|| format!("task {} ran {count} times", task.id))
    })
}

fn executed_though_not_started(history: &History, runs: &Runs) -> RuleResult {
    let rule = "runs that are recorded as not started were executed";
    RuleResult::of(rule, &history.not_started, |run| {
        runs.contains_key(run).then(|| format!("run {} of task {}", run.1, run.0))
    })
}

fn with_state(history: &History, state: State) -> impl Iterator<Item = &RecordedTask> {
    history.tasks.iter().filter(move |task| task.state == state)
}

fn done_without_end(history: &History, runs: &Runs) -> RuleResult {
    RuleResult::of(
        "done tasks did not run to their end",
        with_state(history, State::Done),
        |task| {
            let lines = runs.get(&(task.id, task.run)).map(Vec::as_slice).unwrap_or_default();
            let has_ended = lines.iter().any(|line| line.moment == Moment::End);
            (!has_ended).then(|| format!("task {} in run {}", task.id, task.run))
        },
    )
}

fn wrong_outputs(history: &History) -> RuleResult {
    let rule = "done tasks have another output than their own";
    RuleResult::of(rule, with_state(history, State::Done), |task| {
        let (id, output) = (task.id, &task.output);
        let is_own = output.as_deref() == Some(task.number.to_string().as_str());
        (!is_own).then(|| format!("task {id}: {output:?} instead of {}", task.number))
    })
}

fn running_after_abort(history: &History, runs: &Runs) -> RuleResult {
    let aborts = history.transitions.iter().filter(|change| change.to == State::Aborted);
    RuleResult::of("aborted tasks were still running afterwards", aborts, |end| {
        running_after(end, history, runs)
    })
}

fn running_after_other_end(history: &History, runs: &Runs) -> RuleResult {
    let ends = history.transitions.iter().filter(|change| {
        change.from.is_claimed() && !change.to.is_claimed() && change.to != State::Aborted
    });
    RuleResult::of("other runs were still running after their end", ends, |end| {
        running_after(end, history, runs)
    })
}

/// Describes the lines that were written after the end of their run, or of their task, was recorded. `None` if there
/// are no such lines.
fn running_after(end: &Transition, history: &History, runs: &Runs) -> Option<String> {
    let limit = end.at + history.clock_error;
    // When the task has not ended, its later runs are right.
    let last_run = if end.to.is_end() { i64::MAX } else { end.run };
    let latest = lines_of_task(runs, end.task, last_run).map(|line| line.at).max()?;
    (latest > limit).then(|| {
        let Transition { task, run, to, at, .. } = end;
        format!("task {task} wrote a line {} µs after run {run} was recorded: {to}", latest - at)
    })
}

fn false_causes(history: &History, runs: &Runs) -> RuleResult {
    let recorded_at: BTreeMap<i64, u64> = history
        .transitions
        .iter()
        .filter(|change| change.to.is_end())
        .map(|change| (change.task, change.at))
        .collect();
    let unsuccessful =
        history.tasks.iter().filter(|task| task.state.is_end() && task.state != State::Done);
    RuleResult::of("ends have a reason that no fault explains", unsuccessful, |task| {
        let pid = runs.get(&(task.id, task.run)).map(|lines| lines[0].pid);
        let at = recorded_at.get(&task.id).copied().unwrap_or(u64::MAX - history.clock_error);
        let end = UnsuccessfulEnd { task, pid, at };
        let (id, state, reason) = (task.id, task.state, &task.reason);
        let host = task.host.as_deref().unwrap_or("no host");
        (!causes::is_true(end, history))
            .then(|| format!("task {id} on {host} is {state}: `{reason}`"))
    })
}

#[cfg(test)]
mod tests;
