//! Reads a retry policy from its JSON, and refuses values that make no sense. `rework.retry_fault`
//! (`migrations/V14__retry_policy.sql`) refuses the same values with the same words.

use serde_json::{Map, Value};

use super::{
    DEFAULT_JITTER, Kinds, MAX_ATTEMPTS, MAX_FACTOR, MAX_ITEMS, MAX_PAUSE_MS, Pause, RetryFault,
    RetryPolicy,
};
use crate::duration;

/// The longest name of a kind of error, in bytes.
const MAX_KIND_BYTES: usize = 256;

/// The keys of a policy in JSON.
const KEYS: [&str; 10] =
    ["attempts", "endless", "backoff", "first", "factor", "most", "list", "jitter", "on", "not_on"];

/// The keys that describe a pause without a list.
const PAUSE_KEYS: [&str; 4] = ["backoff", "first", "factor", "most"];

/// Reads a policy from the keys of its JSON object.
pub(super) fn policy(object: &Map<String, Value>) -> Result<RetryPolicy, RetryFault> {
    if let Some(unknown) = object.keys().filter(|key| !KEYS.contains(&key.as_str())).min() {
        let unknown: String = unknown.chars().take(60).collect();
        return Err(RetryFault(format!(
            "has the unknown key `{unknown}`: its keys are `attempts`, `endless`, `backoff`, `first`, `factor`, `most`, \
             `list`, `jitter`, `on` and `not_on`"
        )));
    }
    let attempts = value(object, "attempts", "a whole number from 1 to 999999999", |value| {
        i32::try_from(value.as_i64()?).ok().filter(|n| (1..=MAX_ATTEMPTS).contains(n))
    })?;
    let endless = value(object, "endless", "`true` or `false`", Value::as_bool)?;
    let is_fixed = value(object, "backoff", "`exponential` or `fixed`", |value| {
        let name = value.as_str()?;
        ["exponential", "fixed"].contains(&name).then_some(name == "fixed")
    })?;
    let first_ms = pause(object, "first")?;
    let factor = number(object, "factor", 1.0, MAX_FACTOR)?;
    let most_ms = pause(object, "most")?;
    let list = list(object)?;
    let jitter = number(object, "jitter", 0.0, 1.0)?;
    let (on, not_on) = (kinds(object, "on")?, kinds(object, "not_on")?);
    refuse_contradictions(object)?;
    let exponential = || Pause::Exponential {
        first_ms: first_ms.unwrap_or(1_000),
        factor: factor.unwrap_or(2.0),
        most_ms: most_ms.unwrap_or(3_600_000),
    };
    Ok(RetryPolicy {
        attempts,
        endless: endless.unwrap_or_default(),
        pause: match (list, is_fixed) {
            (Some(pauses), _) => Pause::List(pauses),
            (None, Some(true)) => Pause::Fixed { first_ms: first_ms.unwrap_or(1_000) },
            (None, _) => exponential(),
        },
        jitter: jitter.unwrap_or(DEFAULT_JITTER),
        kinds: match (on, not_on) {
            (Some(kinds), _) => Kinds::On(kinds),
            (None, Some(kinds)) => Kinds::NotOn(kinds),
            (None, None) => Kinds::All,
        },
    })
}

/// Refuses keys that cannot be given together.
fn refuse_contradictions(object: &Map<String, Value>) -> Result<(), RetryFault> {
    let is_given = |key: &str| object.get(key).is_some_and(|value| !value.is_null());
    if is_given("on") && is_given("not_on") {
        return Err(RetryFault("has both `on` and `not_on`".to_owned()));
    }
    if is_given("list")
        && let Some(other) = PAUSE_KEYS.into_iter().find(|key| is_given(key))
    {
        return Err(RetryFault(format!("has both `list` and `{other}`")));
    }
    if object.get("backoff").and_then(Value::as_str) == Some("fixed")
        && let Some(unused) = ["factor", "most"].into_iter().find(|key| is_given(key))
    {
        return Err(RetryFault(format!("has `{unused}`, which a fixed pause does not use")));
    }
    Ok(())
}

/// Reads the value of a key. `None` if it is missing or null. `Err` names what is expected if `take` returns `None`.
fn value<T>(
    object: &Map<String, Value>,
    key: &str,
    expected: &str,
    take: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, RetryFault> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            take(value).map(Some).ok_or_else(|| RetryFault(format!("needs {expected} as `{key}`")))
        }
    }
}

fn pause(object: &Map<String, Value>, key: &str) -> Result<Option<i64>, RetryFault> {
    let expected = "a duration such as `90s` or `1h30m`";
    match value(object, key, expected, |value| duration::read(value.as_str()?))? {
        Some(ms) if ms > MAX_PAUSE_MS => {
            Err(RetryFault(format!("has a `{key}` of more than 365 days")))
        }
        milliseconds => Ok(milliseconds),
    }
}

fn list(object: &Map<String, Value>) -> Result<Option<Vec<i64>>, RetryFault> {
    let expected = "1 to 100 durations such as `90s` or `1h30m`";
    let list = value(object, "list", expected, |value| {
        let items = value.as_array().filter(|items| (1..=MAX_ITEMS).contains(&items.len()))?;
        items.iter().map(|item| duration::read(item.as_str()?)).collect::<Option<Vec<i64>>>()
    })?;
    if list.iter().flatten().any(|ms| *ms > MAX_PAUSE_MS) {
        return Err(RetryFault("has a `list` with a pause of more than 365 days".to_owned()));
    }
    Ok(list)
}

fn number(
    object: &Map<String, Value>,
    key: &str,
    least: f64,
    most: f64,
) -> Result<Option<f64>, RetryFault> {
    value(object, key, &format!("a number from {least} to {most}"), |value| {
        value.as_f64().filter(|number| (least..=most).contains(number))
    })
}

fn kinds(object: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, RetryFault> {
    let kinds = value(object, key, "1 to 100 kinds of errors", |value| {
        let items = value.as_array().filter(|items| (1..=MAX_ITEMS).contains(&items.len()))?;
        let kinds = items.iter().map(|item| item.as_str().map(str::to_owned));
        let is_kind = |kind: &String| (1..=MAX_KIND_BYTES).contains(&kind.len());
        kinds.collect::<Option<Vec<String>>>().filter(|kinds| kinds.iter().all(is_kind))
    })?;
    if kinds.iter().flatten().any(|kind| kind.contains('\0')) {
        return Err(RetryFault("contains the character NUL".to_owned()));
    }
    Ok(kinds)
}
