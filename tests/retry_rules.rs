//! The rules of retry policies are written in SQL and in Rust. Both are compared over many values: the pauses, the
//! durations, and the reasons to refuse a value.

use rework_core::task::retry_pause::retry_pause;
use rework_wire::duration;
use rework_wire::retry_policy::RetryPolicy;

use crate::support::database::Database;

/// Policies that are accepted.
const POLICIES: [&str; 16] = [
    "{}",
    r#"{"first": "0s"}"#,
    r#"{"first": "1ms", "factor": 1.01}"#,
    r#"{"first": "7ms", "factor": 1000, "most": "365d"}"#,
    r#"{"factor": 1}"#,
    r#"{"factor": 2.5, "most": "90s", "jitter": 0.5}"#,
    r#"{"factor": 1e2, "jitter": 1E-3}"#,
    r#"{"backoff": "exponential", "most": "500ms"}"#,
    r#"{"backoff": "fixed"}"#,
    r#"{"backoff": "fixed", "first": "10s", "jitter": 0}"#,
    r#"{"list": ["1s"]}"#,
    r#"{"list": ["1s", "1m", "365d"], "jitter": 1}"#,
    r#"{"attempts": null, "endless": false, "list": null, "first": "1h30m"}"#,
    r#"{"on": ["Timeout"], "attempts": 999999999}"#,
    r#"{"not_on": ["a", "b c"], "endless": true}"#,
    r#""always""#,
];

/// Values that are refused, with a part of the reason.
const REFUSED: [(&str, &str); 38] = [
    ("3", "is neither an object nor"),
    ("null", "is neither an object nor"),
    ("[]", "is neither an object nor"),
    (r#""twice""#, "is neither an object nor"),
    (r#"{"frist": "1s"}"#, "has the unknown key `frist`"),
    (r#"{"z": 1, "b": 1}"#, "has the unknown key `b`"),
    (r#"{"attempts": 0}"#, "as `attempts`"),
    (r#"{"attempts": -1}"#, "as `attempts`"),
    (r#"{"attempts": 1.5}"#, "as `attempts`"),
    (r#"{"attempts": "3"}"#, "as `attempts`"),
    (r#"{"attempts": 1000000000}"#, "as `attempts`"),
    (r#"{"attempts": 99999999999999999999}"#, "as `attempts`"),
    (r#"{"endless": 1}"#, "as `endless`"),
    (r#"{"backoff": "linear"}"#, "as `backoff`"),
    (r#"{"backoff": 1}"#, "as `backoff`"),
    (r#"{"first": 1}"#, "as `first`"),
    (r#"{"first": "1"}"#, "as `first`"),
    (r#"{"first": "-1s"}"#, "as `first`"),
    (r#"{"first": "1 hour"}"#, "as `first`"),
    (r#"{"most": ""}"#, "as `most`"),
    (r#"{"most": "366d"}"#, "has a `most` of more than 365 days"),
    (r#"{"factor": 0.99}"#, "as `factor`"),
    (r#"{"factor": 1001}"#, "as `factor`"),
    (r#"{"factor": "2"}"#, "as `factor`"),
    (r#"{"factor": 1e99}"#, "as `factor`"),
    (r#"{"jitter": 1.1}"#, "as `jitter`"),
    (r#"{"jitter": -0.1}"#, "as `jitter`"),
    (r#"{"list": []}"#, "as `list`"),
    (r#"{"list": ["1s", 2]}"#, "as `list`"),
    (r#"{"list": "1s"}"#, "as `list`"),
    (r#"{"list": ["1s", "366d"]}"#, "has a `list` with a pause of more than 365 days"),
    (r#"{"on": []}"#, "as `on`"),
    (r#"{"on": [""]}"#, "as `on`"),
    (r#"{"not_on": "io"}"#, "as `not_on`"),
    (r#"{"on": ["a"], "not_on": ["b"]}"#, "has both `on` and `not_on`"),
    (r#"{"list": ["1s"], "factor": 2, "first": "1s"}"#, "has both `list` and `first`"),
    (r#"{"backoff": "fixed", "most": "1h"}"#, "has `most`, which a fixed pause does not use"),
    (r#"{"on": ["\u0000"]}"#, "contains the character NUL"),
];

#[test]
fn sql_and_rust_compute_the_same_pauses() {
    let database = Database::new();
    let attempts = [1, 2, 3, 5, 12, 13, 40, 1_000, i32::MAX];
    let randoms = [0.0, 0.25, 0.999];
    let sql = "select extract(epoch from rework.retry_backoff(
                          rework.checked_retry('x', $1::text::json), attempt, null, random))::float8
                      * 1000
                 from unnest($2::integer[]) with ordinality as a (attempt, i),
                      unnest($3::float8[]) with ordinality as r (random, j)
                order by i, j";
    for text in POLICIES {
        let policy = RetryPolicy::from_json(&serde_json::from_str(text).unwrap()).unwrap();
        let by_sql: Vec<f64> = database
            .session()
            .query_values(sql, &[&text, &attempts.as_slice(), &randoms.as_slice()]);
        let pairs = attempts.iter().flat_map(|attempt| randoms.map(|random| (*attempt, random)));
        assert_eq!(by_sql.len(), attempts.len() * randoms.len());
        for ((attempt, random), by_sql) in pairs.zip(by_sql) {
            let by_rust = retry_pause(&policy, attempt, None, random).as_millis() as f64;
            let what = format!("{text}, attempt {attempt}, random {random}");
            // The last digit may differ, because `ln` and `exp` are rounded.
            assert!((by_sql - by_rust).abs() <= 1.0, "{what}: {by_sql} ms and {by_rust} ms");
        }
    }
}

#[test]
fn sql_and_rust_shorten_a_requested_pause_to_365_days() {
    let database = Database::new();
    let sql = "select extract(epoch from rework.retry_backoff(null, 1, $1, 1))::float8 * 1000";
    for requested in [0, 1, 90_000, 31_536_000_000, 31_536_000_001, i64::MAX] {
        let by_sql: f64 = database.session().query_value(sql, &[&requested]);
        let by_rust = retry_pause(&RetryPolicy::default(), 1, Some(requested), 1.0).as_millis();
        assert!((by_sql - by_rust as f64).abs() < 0.5, "{requested}: {by_sql} and {by_rust}");
    }
}

#[test]
fn sql_and_rust_refuse_the_same_values_with_the_same_reason() {
    let database = Database::new();
    let sql = "select rework.retry_fault($1::text::json)";
    for (text, part) in REFUSED {
        let by_sql: Option<String> = database.session().query_value(sql, &[&text]);
        let value = serde_json::from_str(text).unwrap();
        let by_rust = RetryPolicy::from_json(&value).unwrap_err().to_string();
        assert_eq!(by_sql.as_deref(), Some(by_rust.as_str()), "{text}");
        assert!(by_rust.contains(part), "{text}: {by_rust}");
    }
    for text in POLICIES {
        let by_sql: Option<String> = database.session().query_value(sql, &[&text]);
        assert_eq!(by_sql, None, "{text}");
    }
    let surrogate: Option<String> =
        database.session().query_value(sql, &[&r#"{"on": ["\ud800"]}"#]);
    assert!(surrogate.unwrap().contains("half of a surrogate pair"));
}

#[test]
fn sql_and_rust_read_the_same_durations() {
    let database = Database::new();
    let long = "999999999d".repeat(6);
    let too_long = "1s".repeat(31);
    let texts = [
        "0s",
        "250ms",
        "90s",
        "1h30m",
        "1d2h3m4s5ms",
        "5m5ms",
        "999999999d",
        "1ms1ms",
        &long,
        "",
        "5",
        "s",
        "5 s",
        "1.5s",
        "-1s",
        "5S",
        "5msd",
        "1h 30m",
        "1000000000s",
        "1s\n",
        "é",
        "1µs",
        &too_long,
    ];
    for text in texts {
        let sql = "select rework.duration_ms($1)";
        let by_sql: Option<i64> = database.session().query_value(sql, &[&text]);
        assert_eq!(by_sql, duration::read(text), "{text:?}");
    }
}
