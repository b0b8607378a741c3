//! The retry policy of an operation or a task: how often, when, and after which kinds of errors a failed task is tried
//! again. `migrations/V14__retry_policy.sql` checks and applies the same JSON in the database. `retry_policy/read.rs`
//! reads it.

mod read;

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
            Value::Object(object) => read::policy(object),
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
            "has {within} as `attempts`, and the operation itself has {declared}: leave one out"
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
        let value: Value = serde_json::from_str(text).map_err(|error| {
            RetryFault(format!("is neither JSON nor `never`, `once` or `always`: {error}"))
        })?;
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
                json!({"attempts": 5, "first": "1s", "factor": 3.0, "most": "1h",
                    "on": ["Timeout"]}),
            ),
        ] {
            let policy = RetryPolicy::from_json(&given).unwrap();
            assert_eq!(policy.to_json(), stored, "{given}");
            assert_eq!(serde_json::from_value::<RetryPolicy>(stored).unwrap(), policy);
        }
        let once = RetryPolicy::from_json(&json!("once"));
        assert_eq!("once".parse::<RetryPolicy>(), once);
        assert_eq!(r#"{"attempts": 2}"#.parse::<RetryPolicy>(), once);
        assert!("twice".parse::<RetryPolicy>().is_err());
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_with_its_key() {
        for (value, expected) in [
            (json!(3), "is neither an object nor `never`, `once` or `always`"),
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
        let unknown = "has the unknown key `frist`: its keys are `attempts`, `endless`";
        assert!(fault(&json!({"frist": "1s"})).starts_with(unknown));
    }

    #[test]
    fn the_attempts_of_an_operation_are_declared_once() {
        let policy = RetryPolicy { attempts: Some(5), ..RetryPolicy::default() };
        assert_eq!(attempts(None, None), Ok(1));
        assert_eq!(attempts(Some(3), None), Ok(3));
        assert_eq!(attempts(None, Some(&policy)), Ok(5));
        assert_eq!(attempts(Some(5), Some(&policy)), Ok(5));
        let fault = attempts(Some(3), Some(&policy)).unwrap_err().to_string();
        let expected = "has 5 as `attempts`, and the operation itself has 3";
        assert!(fault.starts_with(expected), "{fault}");
    }
}
