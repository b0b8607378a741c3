//! Log lines for the outcomes of runs that the monitor ended in place of their worker. Tasks with the same outcome and
//! reason share a line, because a worker may have had hundreds of them.

use std::collections::BTreeMap;

use rework_core::task::{complete::Recorded, state::State};

/// How many tasks a line names. The other tasks are only counted.
const NAMED: usize = 3;

/// Logs the outcomes of tasks, given as (task id, recorded end, reason).
pub(crate) fn log_outcomes<'a>(ends: impl IntoIterator<Item = (i64, Recorded, &'a str)>) {
    for (line, queued_again) in lines(ends) {
        if queued_again {
            tracing::info!("{line}");
        } else {
            tracing::warn!("{line}");
        }
    }
}

/// Returns the log lines, each with whether its tasks are queued again. Skips ends that this monitor did not record.
fn lines<'a>(ends: impl IntoIterator<Item = (i64, Recorded, &'a str)>) -> Vec<(String, bool)> {
    let mut groups: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
    for (task, recorded, reason) in ends {
        if let Recorded::Now { state, .. } = recorded {
            let outcome = if state == State::Queued { "queued again" } else { state.as_str() };
            groups.entry((outcome, reason)).or_default().push(task);
        }
    }
    let line = |((outcome, reason), mut tasks): ((&str, &str), Vec<i64>)| {
        tasks.sort_unstable();
        (format!("{} {outcome}: {reason}", subject(&tasks)), outcome == "queued again")
    };
    groups.into_iter().map(line).collect()
}

/// Returns the subject and the verb of a line, such as "tasks 7, 9 are".
fn subject(tasks: &[i64]) -> String {
    let named: Vec<String> = tasks.iter().take(NAMED).map(i64::to_string).collect();
    match tasks.len() {
        1 => format!("task {} is", named[0]),
        count if count > NAMED => {
            format!("tasks {} and {} others are", named.join(", "), count - NAMED)
        }
        _ => format!("tasks {} are", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(state: State) -> Recorded {
        Recorded::Now { state, started_at: None }
    }

    #[test]
    fn tasks_with_the_same_outcome_share_a_line() {
        let ends = [
            (9, now(State::Queued), "worker died"),
            (3, now(State::Lost), "worker died"),
            (1, Recorded::Already, "worker died"),
            (2, Recorded::Stale, "worker died"),
            (7, now(State::Queued), "worker died"),
        ];
        let lines = lines(ends);
        let lines: Vec<(&str, bool)> =
            lines.iter().map(|(line, queued_again)| (&**line, *queued_again)).collect();
        assert_eq!(
            lines,
            [
                ("task 3 is lost: worker died", false),
                ("tasks 7, 9 are queued again: worker died", true)
            ]
        );
    }

    #[test]
    fn a_line_names_three_tasks_and_counts_the_others() {
        let ends = (1..=500).map(|task| (task, now(State::Queued), "host lost"));
        assert_eq!(lines(ends)[0].0, "tasks 1, 2, 3 and 497 others are queued again: host lost");
    }
}
