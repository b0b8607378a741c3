//! The outcomes of runs that the monitor ended in place of their worker, as lines of its log: one line
//! for all tasks of the same outcome and reason, since a worker may have held hundreds.

use std::collections::BTreeMap;

use rework_core::task::{complete::Recorded, state::State};

/// How many tasks a line names; of the others it gives the number.
const NAMED: usize = 3;

/// Logs what became of tasks, and why.
pub(crate) fn say<'a>(ends: impl IntoIterator<Item = (i64, Recorded, &'a str)>) {
    for (line, again) in lines(ends) {
        if again {
            tracing::info!("{line}");
        } else {
            tracing::warn!("{line}");
        }
    }
}

/// The lines, each with whether its tasks will run again.
fn lines<'a>(ends: impl IntoIterator<Item = (i64, Recorded, &'a str)>) -> Vec<(String, bool)> {
    let mut kinds: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
    for (task, recorded, reason) in ends {
        if let Recorded::Now { state, .. } = recorded {
            let became = if state == State::Queued { "queued again" } else { state.as_str() };
            kinds.entry((became, reason)).or_default().push(task);
        }
    }
    let line = |((became, reason), mut tasks): ((&str, &str), Vec<i64>)| {
        tasks.sort_unstable();
        (format!("{} {became}: {reason}", subject(&tasks)), became == "queued again")
    };
    kinds.into_iter().map(line).collect()
}

/// The subject of a line, with its verb.
fn subject(tasks: &[i64]) -> String {
    let named: Vec<String> = tasks.iter().take(NAMED).map(i64::to_string).collect();
    match tasks.len() {
        1 => format!("task {} is", named[0]),
        many if many > NAMED => {
            format!("tasks {} and {} others are", named.join(", "), many - NAMED)
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
    fn tasks_of_a_kind_share_a_line() {
        let ends = [
            (9, now(State::Queued), "worker died"),
            (3, now(State::Lost), "worker died"),
            (1, Recorded::Already, "worker died"),
            (2, Recorded::Stale, "worker died"),
            (7, now(State::Queued), "worker died"),
        ];
        let said = lines(ends);
        let said: Vec<(&str, bool)> = said.iter().map(|(line, again)| (&**line, *again)).collect();
        assert_eq!(
            said,
            [
                ("task 3 is lost: worker died", false),
                ("tasks 7, 9 are queued again: worker died", true)
            ]
        );
    }

    #[test]
    fn of_many_tasks_a_few_are_named() {
        let ends = (1..=500).map(|task| (task, now(State::Queued), "host lost"));
        assert_eq!(lines(ends)[0].0, "tasks 1, 2, 3 and 497 others are queued again: host lost");
    }
}
