//! How long a task waits after an attempt that failed. `rework.retry_backoff` (`migrations/V14__retry_policy.sql`) is
//! the same rule in the database, which applies it; `tests/retry_policies.rs` compares the two.

use std::time::Duration;

use rework_wire::retry_policy::{MAX_PAUSE_MS, Pause, RetryPolicy};

/// The largest exponent of an exponential pause. `e` to the power of 30 milliseconds is longer than the longest pause.
const MAX_EXPONENT: f64 = 30.0;

/// Returns the pause after attempt number `attempt`, rounded to milliseconds.
///
/// `requested_ms` is the pause in milliseconds that the error requests; with `None` the policy decides. `random` is a
/// number from 0 to 1 that chooses the jitter.
pub fn retry_pause(
    policy: &RetryPolicy,
    attempt: i32,
    requested_ms: Option<i64>,
    random: f64,
) -> Duration {
    let milliseconds = if let Some(requested) = requested_ms {
        requested as f64
    } else {
        let jitter = 1.0 + policy.jitter * random;
        (pause_ms(&policy.pause, attempt) * jitter).round_ties_even()
    };
    Duration::from_millis(milliseconds.min(MAX_PAUSE_MS as f64) as u64)
}

/// Returns the pause after attempt number `attempt` without jitter, in milliseconds.
fn pause_ms(pause: &Pause, attempt: i32) -> f64 {
    match pause {
        Pause::Exponential { first_ms, factor, most_ms } => {
            let exponent = (f64::from(attempt - 1) * factor.ln()).min(MAX_EXPONENT);
            (*first_ms as f64 * exponent.exp()).min(*most_ms as f64)
        }
        Pause::Fixed { first_ms } => *first_ms as f64,
        Pause::List(pauses) => {
            let index = usize::try_from(attempt - 1).unwrap_or_default();
            pauses.get(index).or(pauses.last()).copied().unwrap_or_default() as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(policy: &str, attempts: &[i32]) -> Vec<u128> {
        let policy: RetryPolicy = policy.parse().unwrap();
        attempts.iter().map(|n| retry_pause(&policy, *n, None, 0.0).as_millis()).collect()
    }

    #[test]
    fn an_exponential_pause_grows_up_to_its_limit() {
        assert_eq!(pauses("{}", &[1, 2, 3, 12, 13]), [1_000, 2_000, 4_000, 2_048_000, 3_600_000]);
        assert_eq!(pauses("{}", &[i32::MAX]), [3_600_000]);
        let slow = r#"{"first": "10s", "factor": 1.5, "most": "30s"}"#;
        assert_eq!(pauses(slow, &[1, 2, 3, 4]), [10_000, 15_000, 22_500, 30_000]);
        assert_eq!(pauses(r#"{"factor": 1}"#, &[1, 1_000_000]), [1_000, 1_000]);
        assert_eq!(pauses(r#"{"first": "0s"}"#, &[1, 50]), [0, 0]);
        assert_eq!(pauses(r#"{"most": "365d", "factor": 1000}"#, &[9]), [31_536_000_000]);
    }

    #[test]
    fn a_fixed_pause_stays_and_a_list_ends_with_its_last_pause() {
        assert_eq!(pauses(r#"{"backoff": "fixed", "first": "10s"}"#, &[1, 9]), [10_000; 2]);
        assert_eq!(
            pauses(r#"{"list": ["1s", "1m"]}"#, &[1, 2, 3, 99]),
            [1_000, 60_000, 60_000, 60_000]
        );
    }

    #[test]
    fn jitter_is_added_and_a_requested_pause_has_none() {
        let policy: RetryPolicy = r#"{"first": "10s", "jitter": 0.5}"#.parse().unwrap();
        assert_eq!(retry_pause(&policy, 1, None, 0.5), Duration::from_millis(12_500));
        assert_eq!(retry_pause(&policy, 1, None, 1.0), Duration::from_secs(15));
        assert_eq!(retry_pause(&policy, 1, Some(7), 1.0), Duration::from_millis(7));
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        assert_eq!(retry_pause(&policy, 1, Some(i64::MAX), 1.0), year);
    }
}
