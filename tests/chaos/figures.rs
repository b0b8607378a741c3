//! The figures of a chaos test as text: what happened, and the result of each rule with the number of its cases.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use rework_core::task::state::State;

use super::history::History;
use super::judge::RuleResult;
use super::lines::Moment;

/// How many violations of one rule are printed.
const MAX_PRINTED: usize = 10;

/// Facts about a test that are not in its history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) seed: u64,
    /// For how long faults happened.
    pub(crate) length: Duration,
    /// How long it took from the end of the faults until every task had ended and every host had a monitor.
    pub(crate) settled_after: Duration,
    /// How many faults of the plan were not possible.
    pub(crate) impossible: usize,
}

/// Describes a test in lines.
pub(crate) fn describe(
    circumstances: Circumstances,
    history: &History,
    results: &[RuleResult],
) -> String {
    let Circumstances { seed, length, settled_after, impossible } = circumstances;
    let (seconds, settled) = (length.as_secs(), settled_after.as_secs_f64());
    let faults = count(history.faults.iter().map(|fault| fault.fault.name()));
    let kept = acknowledged_ends(history);
    let starts = history.lines.iter().filter(|line| line.moment == Moment::Start);
    let tasks = count(starts.clone().map(|line| line.task));
    let (runs, repeated) = (starts.count(), tasks.values().filter(|runs| **runs > 1).count());
    let lines = [
        format!("chaos, seed {seed}: {seconds} s of faults; all was over {settled:.1} s later"),
        format!("  {} faults, {impossible} not possible: {}", history.faults.len(), list(&faults)),
        format!("  {} acknowledged tasks: {}", history.acknowledged.len(), list(&kept)),
        format!("  {runs} runs started; {repeated} tasks ran more than once"),
        format!("  {} monitors and {} workers", history.monitor_starts, history.workers),
    ];
    let mut text = lines.join("\n") + "\n";
    for RuleResult { rule, cases, violations } in results {
        let _ = writeln!(text, "  {} of {cases} {rule}", violations.len());
    }
    text
}

/// Describes the first violations of each rule.
pub(crate) fn violations(results: &[RuleResult]) -> String {
    let mut text = String::new();
    for RuleResult { rule, violations, .. } in results.iter().filter(|r| !r.violations.is_empty()) {
        let _ = writeln!(text, "{} {rule}:", violations.len());
        for violation in violations.iter().take(MAX_PRINTED) {
            let _ = writeln!(text, "  {violation}");
        }
    }
    text
}

/// Counts the acknowledged tasks in each state.
fn acknowledged_ends(history: &History) -> BTreeMap<&'static str, usize> {
    let states: BTreeMap<i64, State> =
        history.tasks.iter().map(|task| (task.id, task.state)).collect();
    let acknowledged = history.acknowledged.iter();
    count(acknowledged.map(|id| states.get(id).copied().map_or("missing", State::as_str)))
}

/// Counts equal items.
pub(crate) fn count<T: Ord>(items: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

/// Lists counts: `done 12, lost 3`.
pub(crate) fn list(counts: &BTreeMap<&str, usize>) -> String {
    let items: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_cases_is_beside_each_zero() {
        let circumstances = Circumstances {
            seed: 7,
            length: Duration::from_secs(12),
            settled_after: Duration::from_millis(3_400),
            impossible: 2,
        };
        let history = History { acknowledged: vec![1, 2], monitor_starts: 4, ..History::default() };
        let result = |violations: &[&str]| RuleResult {
            rule: "tasks are late",
            cases: 25,
            violations: violations.iter().map(|text| (*text).to_owned()).collect(),
        };
        let text = describe(circumstances, &history, &[result(&[]), result(&["task 3"])]);
        for line in [
            "chaos, seed 7: 12 s of faults; all was over 3.4 s later",
            "  2 acknowledged tasks: missing 2",
            "  0 of 25 tasks are late",
            "  1 of 25 tasks are late",
        ] {
            assert!(text.lines().any(|printed| printed == line), "`{line}` is not in\n{text}");
        }
        let printed = violations(&[result(&[]), result(&["task 3"])]);
        assert_eq!(printed, "1 tasks are late:\n  task 3\n");
    }
}
