//! Reads the values of options of `rework schedule`: times, retry policies, and what happens after a failure.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDateTime, TimeZone as _, Utc};
use rework_core::{task::schedule::AfterFailure, values::quantity};
use rework_wire::retry_policy::RetryPolicy;

/// Parses `--at`: a time with its zone, or a time in the user's zone.
pub(super) fn timestamp(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let naive = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .ok_or("write it as `2026-11-22T16:30:00Z` or `2026-11-22 16:30`")?;
    // A local time may occur twice (in autumn) or not at all (in spring).
    let at = Local.from_local_datetime(&naive).earliest();
    at.map(|at| at.to_utc()).ok_or_else(|| "this time does not exist in your time zone".to_owned())
}

/// Parses a duration that is longer than zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match quantity::duration(text) {
        Ok(Duration::ZERO) => Err("it must be longer than 0 s".to_owned()),
        read => read.map_err(|error| error.to_string()),
    }
}

/// Parses `--after-failure`.
pub(super) fn after_failure(text: &str) -> Result<AfterFailure, String> {
    let known = [AfterFailure::Abort, AfterFailure::Run];
    let found = known.into_iter().find(|policy| policy.as_str() == text);
    found.ok_or_else(|| "it is `abort` or `run`".to_owned())
}

/// Checks a retry policy, and returns it as JSON.
pub(super) fn retry_policy(text: &str) -> Result<String, String> {
    match text.parse::<RetryPolicy>() {
        Ok(policy) => Ok(policy.to_json().to_string()),
        Err(fault) => {
            Err(format!("it {fault}; for example `{{\"attempts\": 5, \"first\": \"10s\"}}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_in_the_zone_of_the_user() {
        let at = timestamp("2026-11-22T16:30:00+02:00").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-11-22T14:30:00+00:00");
        let here = timestamp("2026-11-22 16:30").unwrap().with_timezone(&Local);
        assert_eq!(here.format("%Y-%m-%d %H:%M").to_string(), "2026-11-22 16:30");
        assert!(timestamp("tomorrow").unwrap_err().contains("write it as"));
    }

    #[test]
    fn a_retry_policy_has_a_name_or_is_json() {
        assert_eq!(retry_policy("once").as_deref(), Ok(r#"{"attempts":2}"#));
        assert_eq!(retry_policy(r#"{"attempts": 2}"#), retry_policy("once"));
        let refused = |text: &str| retry_policy(text).unwrap_err();
        let number = "it needs a whole number from 1 to 999999999 as `attempts`; for example";
        assert!(refused(r#"{"attempts": 0}"#).starts_with(number));
        assert!(refused("{attempts: 5}").starts_with("it is neither JSON nor `never`, `once`"));
        assert!(refused("3").starts_with("it is neither an object nor `never`, `once`"));
    }
}
