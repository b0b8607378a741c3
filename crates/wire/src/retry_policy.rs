//! The retry policy of an operation or a task: how often, when, and after which kinds of errors a failed task is tried
//! again. `migrations/V14__retry_policy.sql` checks and applies the same JSON in the database.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::duration;

/// The longest pause between two attempts, in milliseconds: 365 days.
pub const MAX_PAUSE_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// The jitter of policies that declare none.
pub const DEFAULT_JITTER: f64 = 0.1;

/// The largest number of attempts.
pub const MAX_ATTEMPTS: i32 = 999_999_999;

/// The largest factor of an exponential pause.
pub const MAX_FACTOR: f64 = 1_000.0;

/// The most pauses of a list, and the most kinds of errors.
pub const MAX_ITEMS: usize = 100;

/// The longest name of a kind of error, in bytes.
const MAX_KIND_BYTES: usize = 256;

/// The keys of a policy in JSON.
const KEYS: [&str; 10] = [
    "attempts", "endless", "backoff", "first", "factor", "most", "list", "jitter", "on", "not_on",
];

/// The keys that describe a pause without a list.
const PAUSE_KEYS: [&str; 4] = ["backoff", "first", "factor", "most"];

/// The policies that have a name, each with the number of attempts and whether it is endless.
const NAMED: [(&str, i32, bool); 3] =
    [("never", 1, false), ("once", 2, false), ("always", 2, true)];

/// How a failed task is tried again. Its JSON has only the keys whose values are not the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The maximum number of attempts. `None` for that of the operation.
    pub attempts: Option<i32>,
    /// Whether the attempts are counted from 1 again after the last one, so that the task never fails for lack of them.
    pub endless: bool,
    /// How long the pauses between attempts are.
    pub pause: Pause,
    /// The share of a pause that is added to it at random, from 0 to 1.
    pub jitter: f64,
    /// After which errors another attempt follows.
    pub kinds: Kinds,
}

/// The pauses between attempts.
#[derive(Debug, Clone, PartialEq)]
pub enum Pause {
    /// The pause grows by a factor with each attempt.
    Exponential {
        /// The pause after the first attempt, in milliseconds.
        first_ms: i64,
        /// The factor, from 1 to [`MAX_FACTOR`].
        factor: f64,
        /// The longest pause, in milliseconds.
        most_ms: i64,
    },
    /// All pauses have this length.
    Fixed {
        /// The length in milliseconds.
        first_ms: i64,
    },
    /// The pauses after the first attempt, after the second one and so on, in milliseconds. The last one repeats. A
    /// list is never empty.
    List(Vec<i64>),
}

/// The kinds of errors after which another attempt follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Kinds {
    /// All kinds.
    #[default]
    All,
    /// Only these kinds.
    On(Vec<String>),
    /// All kinds except these.
    NotOn(Vec<String>),
}

/// Why a value is not a retry policy. The text is the end of a sentence that begins with "it" or "its retry policy".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RetryFault(pub String);

impl Default for Pause {
    fn default() -> Pause {
        Pause::Exponential { first_ms: 1_000, factor: 2.0, most_ms: 3_600_000 }
    }
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            attempts: None,
            endless: false,
            pause: Pause::default(),
            jitter: DEFAULT_JITTER,
            kinds: Kinds::All,
        }
    }
}

impl RetryPolicy {
    /// Reads a policy from its JSON: an object, or the name `never`, `once` or `always`.
    pub fn from_json(value: &Value) -> Result<RetryPolicy, RetryFault> {
        match value {
            Value::String(name) => RetryPolicy::named(name).ok_or_else(not_a_policy),
            Value::Object(object) => read_object(object),
            _ => Err(not_a_policy()),
        }
    }

    /// Returns the policy with a name. `None` if no policy has the name.
    pub fn named(name: &str) -> Option<RetryPolicy> {
        let (_, attempts, endless) = *NAMED.iter().find(|(known, ..)| *known == name)?;
        Some(RetryPolicy { attempts: Some(attempts), endless, ..RetryPolicy::default() })
    }

    /// Returns the policy as the JSON object that is stored.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut insert = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
        if let Some(attempts) = self.attempts {
            insert("attempts", attempts.into());
        }
        if self.endless {
            insert("endless", true.into());
        }
        match &self.pause {
            pause if *pause == Pause::default() => {}
            Pause::Exponential { first_ms, factor, most_ms } => {
                insert("first", duration::show(*first_ms).into());
                insert("factor", (*factor).into());
                insert("most", duration::show(*most_ms).into());
            }
            Pause::Fixed { first_ms } => {
                insert("backoff", "fixed".into());
                insert("first", duration::show(*first_ms).into());
            }
            Pause::List(pauses) => {
                insert("list", pauses.iter().map(|ms| duration::show(*ms)).collect());
            }
        }
        if (self.jitter - DEFAULT_JITTER).abs() > f64::EPSILON {
            insert("jitter", self.jitter.into());
        }
        match &self.kinds {
            Kinds::All => {}
            Kinds::On(kinds) => insert("on", kinds.clone().into()),
            Kinds::NotOn(kinds) => insert("not_on", kinds.clone().into()),
        }
        Value::Object(object)
    }
}

/// Returns the number of attempts of an operation that declares `attempts` by itself, or in its policy, or in both.
/// `Err` if the two numbers differ.
pub fn attempts(declared: Option<i32>, policy: Option<&RetryPolicy>) -> Result<i32, RetryFault> {
    match (declared, policy.and_then(|policy| policy.attempts)) {
        (Some(declared), Some(within)) if declared != within => Err(RetryFault(format!(
            "has {within} as `attempts`, and the operation itself has {declared}: leave one of them out"
        ))),
        (declared, within) => Ok(declared.or(within).unwrap_or(1)),
    }
}

impl FromStr for RetryPolicy {
    type Err = RetryFault;

    /// Reads a policy from JSON, or from one of the three names without quotes.
    fn from_str(text: &str) -> Result<RetryPolicy, RetryFault> {
        if let Some(policy) = RetryPolicy::named(text) {
            return Ok(policy);
        }
        let value: Value = serde_json::from_str(text).map_err(|_| not_a_policy())?;
        RetryPolicy::from_json(&value)
    }
}

impl Serialize for RetryPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RetryPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RetryPolicy, D::Error> {
        let value = Value::deserialize(deserializer)?;
        RetryPolicy::from_json(&value)
            .map_err(|fault| de::Error::custom(format!("the retry policy {fault}")))
    }
}

fn not_a_policy() -> RetryFault {
    RetryFault("is neither an object nor `never`, `once` or `always`".to_owned())
}

fn read_object(object: &Map<String, Value>) -> Result<RetryPolicy, RetryFault> {
    if let Some(unknown) = object.keys().filter(|key| !KEYS.contains(&key.as_str())).min() {
        let unknown: String = unknown.chars().take(60).collect();
        return Err(RetryFault(format!("has the unknown key `{unknown}`")));
    }
    let attempts = read(object, "attempts", "a whole number from 1 to 999999999", |value| {
        i32::try_from(value.as_i64()?).ok().filter(|n| (1..=MAX_ATTEMPTS).contains(n))
    })?;
    let endless = read(object, "endless", "`true` or `false`", Value::as_bool)?;
    let is_fixed = read(object, "backoff", "`exponential` or `fixed`", |value| {
        let name = value.as_str()?;
        ["exponential", "fixed"].contains(&name).then_some(name == "fixed")
    })?;
    let first_ms = read_duration(object, "first")?;
    let factor = read_number(object, "factor", 1.0, MAX_FACTOR)?;
    let most_ms = read_duration(object, "most")?;
    let list = read_list(object)?;
    let jitter = read_number(object, "jitter", 0.0, 1.0)?;
    let (on, not_on) = (read_kinds(object, "on")?, read_kinds(object, "not_on")?);
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
fn read<T>(
    object: &Map<String, Value>,
    key: &str,
    expected: &str,
    take: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, RetryFault> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => take(value)
            .map(Some)
            .ok_or_else(|| RetryFault(format!("needs {expected} as `{key}`"))),
    }
}

fn read_duration(object: &Map<String, Value>, key: &str) -> Result<Option<i64>, RetryFault> {
    let expected = "a duration such as `90s` or `1h30m`";
    match read(object, key, expected, |value| duration::read(value.as_str()?))? {
        Some(ms) if ms > MAX_PAUSE_MS => {
            Err(RetryFault(format!("has a `{key}` of more than 365 days")))
        }
        milliseconds => Ok(milliseconds),
    }
}

fn read_list(object: &Map<String, Value>) -> Result<Option<Vec<i64>>, RetryFault> {
    let expected = "1 to 100 durations such as `90s` or `1h30m`";
    let list = read(object, "list", expected, |value| {
        let items = value.as_array().filter(|items| (1..=MAX_ITEMS).contains(&items.len()))?;
        items.iter().map(|item| duration::read(item.as_str()?)).collect::<Option<Vec<i64>>>()
    })?;
    if list.iter().flatten().any(|ms| *ms > MAX_PAUSE_MS) {
        return Err(RetryFault("has a `list` with a pause of more than 365 days".to_owned()));
    }
    Ok(list)
}

fn read_number(
    object: &Map<String, Value>,
    key: &str,
    least: f64,
    most: f64,
) -> Result<Option<f64>, RetryFault> {
    read(object, key, &format!("a number from {least} to {most}"), |value| {
        value.as_f64().filter(|number| (least..=most).contains(number))
    })
}

fn read_kinds(object: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, RetryFault> {
    let kinds = read(object, key, "1 to 100 kinds of errors", |value| {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(value: &Value) -> String {
        RetryPolicy::from_json(value).unwrap_err().to_string()
    }

    #[test]
    fn the_json_of_a_policy_is_read_back() {
        for (given, stored) in [
            (json!("never"), json!({"attempts": 1})),
            (json!("once"), json!({"attempts": 2})),
            (json!("always"), json!({"attempts": 2, "endless": true})),
            (json!({}), json!({})),
            (json!({"backoff": "exponential", "first": "1s", "jitter": 0.1}), json!({})),
            (json!({"attempts": null, "list": ["60s"]}), json!({"list": ["1m"]})),
            (
                json!({"backoff": "fixed", "first": "10s", "jitter": 0}),
                json!({"backoff": "fixed", "first": "10s", "jitter": 0.0}),
            ),
            (
                json!({"attempts": 5, "factor": 3, "on": ["Timeout"]}),
                json!({"attempts": 5, "first": "1s", "factor": 3.0, "most": "1h", "on": ["Timeout"]}),
            ),
        ] {
            let policy = RetryPolicy::from_json(&given).unwrap();
            assert_eq!(policy.to_json(), stored, "{given}");
            assert_eq!(serde_json::from_value::<RetryPolicy>(stored).unwrap(), policy);
        }
        assert_eq!("once".parse(), RetryPolicy::from_json(&json!("once")));
        assert_eq!(r#"{"attempts": 2}"#.parse(), RetryPolicy::from_json(&json!("once")));
        assert!("twice".parse::<RetryPolicy>().is_err());
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_with_its_key() {
        for (value, expected) in [
            (json!(3), "is neither an object nor `never`, `once` or `always`"),
            (json!({"frist": "1s"}), "has the unknown key `frist`"),
            (json!({"attempts": 0}), "needs a whole number from 1 to 999999999 as `attempts`"),
            (json!({"factor": 0.5}), "needs a number from 1 to 1000 as `factor`"),
            (json!({"jitter": 1.5}), "needs a number from 0 to 1 as `jitter`"),
            (json!({"first": "366d"}), "has a `first` of more than 365 days"),
            (json!({"list": []}), "needs 1 to 100 durations such as `90s` or `1h30m` as `list`"),
            (json!({"list": ["1s"], "most": "1h"}), "has both `list` and `most`"),
            (json!({"on": ["a"], "not_on": ["b"]}), "has both `on` and `not_on`"),
        ] {
            assert_eq!(fault(&value), expected, "{value}");
        }
    }

    #[test]
    fn the_attempts_of_an_operation_are_declared_once() {
        let policy = RetryPolicy { attempts: Some(5), ..RetryPolicy::default() };
        assert_eq!(attempts(None, None), Ok(1));
        assert_eq!(attempts(Some(3), None), Ok(3));
        assert_eq!(attempts(None, Some(&policy)), Ok(5));
        assert_eq!(attempts(Some(5), Some(&policy)), Ok(5));
        let fault = attempts(Some(3), Some(&policy)).unwrap_err().to_string();
        assert!(fault.starts_with("has 5 as `attempts`, and the operation itself has 3"), "{fault}");
    }
}
