//! Decides whether unique keys, before and after, pauses and runs that are put off kept their promises.

use std::collections::{BTreeMap, BTreeSet};

use super::pauses::Paused;
use super::witnessed::{Features, Label};
use crate::chaos::judge::{self, RuleResult};
use crate::chaos::lines::{Line, Moment};

/// The time from the first line of a task to its last one, in all its runs.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u64,
    last: u64,
}

type Spans = BTreeMap<i64, Span>;

/// Applies every rule.
pub(crate) fn judge(features: &Features) -> Vec<RuleResult> {
    let spans = spans(&features.history.lines);
    let runs = judge::runs(&features.history.lines);
    let mut results = judge::judge_runs(&features.history, &runs);
    results.extend([
        overlapping_in_key(features, &spans),
        before_predecessor(features, &spans),
        followed_otherwise_than_once(features),
        several_followers_ran(features),
        began_while_paused(features),
        put_off_with_attempt(features),
    ]);
    results
}

fn spans(lines: &[Line]) -> Spans {
    let mut spans = Spans::new();
    for line in lines {
        let span = spans.entry(line.task).or_insert(Span { first: line.at, last: line.at });
        span.first = span.first.min(line.at);
        span.last = span.last.max(line.at);
    }
    spans
}

fn of_operation<'a>(
    features: &'a Features,
    operation: &'a str,
) -> impl Iterator<Item = (i64, &'a Label)> {
    let labels = features.labels.iter().map(|(task, label)| (*task, label));
    labels.filter(move |(_, label)| label.operation == operation)
}

/// Compares each task of a key with the next one. If any two tasks of a key overlap, two neighbours do.
fn overlapping_in_key(features: &Features, spans: &Spans) -> RuleResult {
    let mut keys = BTreeMap::<i64, Vec<(Span, i64)>>::new();
    for (task, label) in of_operation(features, "witnessed_unique") {
        if let Some(span) = spans.get(&task) {
            keys.entry(label.number).or_default().push((*span, task));
        }
    }
    let mut neighbours = Vec::new();
    for (key, mut tasks) in keys {
        tasks.sort_by_key(|(span, task)| (span.first, *task));
        neighbours.extend(tasks.windows(2).map(|pair| (key, pair[0], pair[1])));
    }
    let rule = "tasks began before the task that had their key had ended";
    RuleResult::of(rule, neighbours, |(key, (earlier, first), (later, second))| {
        (later.first <= earlier.last).then(|| format!("key {key}: tasks {first} and {second}"))
    })
}

/// Compares the start of each task that waits for another one, or follows it, with the last line of that one.
fn before_predecessor(features: &Features, spans: &Spans) -> RuleResult {
    let waiting = ["witnessed_after", "witnessed_follower"]
        .into_iter()
        .flat_map(|operation| of_operation(features, operation));
    let rule = "tasks began before the task that they wait for had ended";
    RuleResult::of(rule, waiting, |(task, label)| {
        let (own, before) = (spans.get(&task)?, spans.get(&label.number)?);
        let text = || format!("task {task} before the end of task {}", label.number);
        (own.first <= before.last).then(text)
    })
}

fn followed_otherwise_than_once(features: &Features) -> RuleResult {
    let rule = "tasks were followed otherwise than once if done, and never if not";
    RuleResult::of(rule, &features.followed, |followed| {
        let text = || format!("task {}: {followed:?}", followed.task);
        (followed.followers != i64::from(followed.is_done)).then(text)
    })
}

/// By the lines alone: two tasks that name the same predecessor are two followers of it.
fn several_followers_ran(features: &Features) -> RuleResult {
    let mut followers = BTreeMap::<i64, BTreeSet<i64>>::new();
    for (task, label) in of_operation(features, "witnessed_follower") {
        followers.entry(label.number).or_default().insert(task);
    }
    RuleResult::of("tasks had several followers that ran", &followers, |(task, ran)| {
        (ran.len() > 1).then(|| format!("task {task}: {ran:?}"))
    })
}

fn began_while_paused(features: &Features) -> RuleResult {
    let starts = || features.history.lines.iter().filter(|line| line.moment == Moment::Start);
    let is_in_scope = |paused: &Paused, line: &Line| {
        let label = features.labels.get(&line.task);
        paused.operation.is_none() || label.is_some_and(|l| Some(&*l.operation) == paused.operation)
    };
    RuleResult::of("pauses were broken by a task that began", &features.pauses, |paused| {
        let began = starts()
            .find(|line| paused.from < line.at && line.at < paused.to && is_in_scope(paused, line));
        began.map(|line| format!("{paused:?}: {line:?}"))
    })
}

fn put_off_with_attempt(features: &Features) -> RuleResult {
    let rule = "tasks that were put off used an attempt for that";
    RuleResult::of(rule, &features.put_off, |task| {
        (task.attempt > task.runs - task.uncounted_runs)
            .then(|| format!("task {}: {task:?}", task.task))
    })
}

#[cfg(test)]
mod tests;
