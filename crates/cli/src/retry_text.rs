//! Renders the retry policy of a task as text for people: which attempt this is, when the next one follows, how long
//! the pauses are, and after which errors there is no further attempt.

use rework_core::{
    task::{retry_pause::retry_pause, show::Task, state::State},
    values::quantity::show_milliseconds,
};
use rework_wire::retry_policy::{Kinds, Pause, RetryPolicy};

use crate::time_text::duration_between;

/// Returns the text, for example `attempt 2 of 5, next in 8.0 s; pauses of 10s`. `None` for a task without a policy,
/// unless it waits for its next attempt.
pub(crate) fn retry(task: &Task) -> Option<String> {
    let waits = task.state == State::Delayed && task.attempt > 0;
    let policy = match task.retry.as_deref().map(|json| (json, json.get().parse::<RetryPolicy>())) {
        None if !waits => return None,
        None => RetryPolicy::default(),
        Some((_, Ok(policy))) => policy,
        Some((json, Err(_))) => return Some(json.get().to_owned()),
    };
    if task.attempts <= 1 && !policy.endless {
        return Some("never".to_owned());
    }
    let mut parts = vec![attempt(task, &policy), pauses(&policy)];
    parts.extend(kinds(&policy.kinds));
    if policy.endless {
        parts.push("endless".to_owned());
    }
    Some(parts.join("; "))
}

/// Returns which attempt this is, and when the next one follows.
fn attempt(task: &Task, policy: &RetryPolicy) -> String {
    if task.attempt == 0 {
        let attempts = if task.attempts == 1 { "attempt" } else { "attempts" };
        return format!("{} {attempts}", task.attempts);
    }
    let number = format!("attempt {} of {}", task.attempt, task.attempts);
    match (task.state, task.delayed_until) {
        (State::Delayed, Some(at)) if at > task.details.now => {
            format!("{number}, next in {}", duration_between(task.details.now, at))
        }
        (State::Delayed, _) => format!("{number}, next now"),
        (State::Running, _) if task.attempt < task.attempts || policy.endless => {
            let pause = retry_pause(policy, task.attempt, None, 0.0);
            let pause = show_milliseconds(pause.as_millis() as i64);
            format!("{number}, after a failure the next one follows in {pause}")
        }
        _ => number,
    }
}

/// Returns how long the pauses between attempts are.
fn pauses(policy: &RetryPolicy) -> String {
    let lengths = match &policy.pause {
        Pause::Exponential { first_ms, factor, most_ms } => format!(
            "pauses from {}, × {factor} each time, up to {}",
            show_milliseconds(*first_ms),
            show_milliseconds(*most_ms)
        ),
        Pause::Fixed { first_ms } => format!("pauses of {}", show_milliseconds(*first_ms)),
        Pause::List(pauses) => {
            let pauses: Vec<String> = pauses.iter().map(|ms| show_milliseconds(*ms)).collect();
            format!("pauses of {}", pauses.join(", "))
        }
    };
    let percent = (policy.jitter * 1_000.0).round() / 10.0;
    if percent > 0.0 { format!("{lengths}, plus up to {percent} %") } else { lengths }
}

/// Returns after which errors another attempt follows, or does not follow. `None` if it follows after all.
fn kinds(kinds: &Kinds) -> Option<String> {
    match kinds {
        Kinds::All => None,
        Kinds::On(kinds) => Some(format!("only after `{}`", kinds.join("`, `"))),
        Kinds::NotOn(kinds) => Some(format!("not after `{}`", kinds.join("`, `"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::task_text::tests::{at, task};

    fn with_policy(state: State, policy: &str) -> Task {
        let retry = Some(RawValue::from_string(policy.to_owned()).unwrap());
        Task { retry, delayed_until: Some(at(408)), ..task(state) }
    }

    #[test]
    fn a_task_that_waits_for_its_next_attempt_shows_when_it_follows() {
        let usual = "pauses from 1s, × 2 each time, up to 1h, plus up to 10 %";
        let delayed = Task { delayed_until: Some(at(408)), ..task(State::Delayed) };
        assert_eq!(retry(&delayed), Some(format!("attempt 2 of 3, next in 8.0 s; {usual}")));
        assert_eq!(retry(&task(State::Failed)), None, "it has no policy");
        let running = with_policy(State::Running, r#"{"first": "10s", "jitter": 0}"#);
        assert_eq!(
            retry(&running).as_deref(),
            Some(
                "attempt 2 of 3, after a failure the next one follows in 20s; \
                 pauses from 10s, × 2 each time, up to 1h"
            )
        );
    }

    #[test]
    fn each_part_of_a_policy_is_shown() {
        for (policy, expected) in [
            (
                r#"{"backoff": "fixed", "first": "10s", "on": ["Timeout", "io"]}"#,
                "pauses of 10s, plus up to 10 %; only after `Timeout`, `io`",
            ),
            (
                r#"{"list": ["1s", "1m"], "jitter": 0.25, "not_on": ["exit code 2"]}"#,
                "pauses of 1s, 1m, plus up to 25 %; not after `exit code 2`",
            ),
            (r#"{"jitter": 0, "endless": true}"#, "up to 1h; endless"),
        ] {
            let shown = retry(&with_policy(State::Failed, policy)).unwrap();
            assert!(shown.starts_with("attempt 2 of 3; ") && shown.ends_with(expected), "{shown}");
        }
        let never = Task { attempts: 1, ..with_policy(State::Failed, "{}") };
        assert_eq!(retry(&never).as_deref(), Some("never"));
        let unreadable = with_policy(State::Failed, "[1]");
        assert_eq!(retry(&unreadable).as_deref(), Some("[1]"));
    }
}
