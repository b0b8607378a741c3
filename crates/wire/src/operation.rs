//! The definition of an operation: its name, its schemas and its limits.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::retry_policy::{self, RetryFault, RetryPolicy};

/// The domain of operations that name none.
pub const DEFAULT_DOMAIN: &str = "default";

/// The most bytes of an input or output. Larger values in one row would slow down everything that uses the same table.
pub const MAX_PAYLOAD_BYTES: u64 = 100 << 20;

/// An operation as its code declares it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Definition {
    /// The name that groups operations, their tasks and the workers that run them.
    pub domain: String,
    /// The name, unique in its domain.
    pub name: String,
    /// The JSON Schema of the input; `None` if any input is valid, including none.
    #[serde(default)]
    pub input: Option<Value>,
    /// The JSON Schema of the output; `None` if any output is valid, including none.
    #[serde(default)]
    pub output: Option<Value>,
    #[serde(default)]
    pub output_form: Form,
    #[serde(default)]
    pub limits: Limits,
    /// The check that answers whether a host can run the operation now, as a text for people: a command, or the name of
    /// a function. `None` if the operation is always available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<String>,
    /// The operations of which a task is scheduled after each task of this one that is done.
    #[serde(default, deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub run_after: Vec<String>,
    /// The operations of which a task is scheduled with each task of this one, which waits for their ends.
    #[serde(default, deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub run_before: Vec<String>,
    /// The operations of which a task is scheduled after each task of this one that failed or was lost.
    #[serde(default, deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<String>,
    /// Whether a run of the operation returns the description of a flow, whose steps are then run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_flow: bool,
}

/// Reads a list of names, or one name.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(String),
        More(Vec<String>),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::One(name) => vec![name],
        Names::More(names) => names,
    })
}

/// The form of an input or output, in frames and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// JSON text, unchanged.
    #[default]
    Json,
    /// Bytes that rework does not interpret.
    Bytes,
}

impl Form {
    /// Returns the name of the form in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Form::Json => "json",
            Form::Bytes => "bytes",
        }
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(name: &str) -> Result<Form, String> {
        let form = [Form::Json, Form::Bytes].into_iter().find(|form| form.as_str() == name);
        form.ok_or_else(|| "it is `json` or `bytes`".to_owned())
    }
}

/// The limits of one run of an operation, and what follows when it fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The timeout of a run in milliseconds; `None` for no limit.
    pub timeout_ms: Option<i64>,
    /// The most memory of the whole process tree, in bytes; `None` for no limit.
    pub memory_bytes: Option<i64>,
    /// How often a failing task is tried in total, at least 1.
    pub attempts: i32,
    /// The grace period in milliseconds: the time from the order to stop a run until its runner is
    /// killed.
    pub grace_ms: i64,
    /// Whether a task whose run was lost is queued again. Only safe if the operation may run twice.
    pub retry_lost: bool,
    /// The default priority of the tasks of the operation. Higher priorities run first.
    pub priority: i16,
    /// How many runs one runner may have open at once, at least 1.
    pub concurrency: i32,
    /// When a failing task is tried again, and after which errors. `None` for the defaults.
    pub retry: Option<RetryPolicy>,
}

impl Limits {
    /// The default grace period, in milliseconds.
    pub const DEFAULT_GRACE_MS: i64 = 3_000;

    /// Takes the number of attempts from the retry policy if it has one. `Err` if both have one, and they differ.
    pub fn settle_attempts(&mut self) -> Result<(), RetryFault> {
        let declared = (self.attempts != 1).then_some(self.attempts);
        self.attempts = retry_policy::attempts(declared, self.retry.as_ref())?;
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            timeout_ms: None,
            memory_bytes: None,
            attempts: 1,
            grace_ms: Limits::DEFAULT_GRACE_MS,
            retry_lost: false,
            priority: 0,
            concurrency: 1,
            retry: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_name_stands_for_a_list() {
        let mut text = json!({"domain": "images", "name": "resize", "run_after": "publish",
                              "on_failure": ["tell", "report"]});
        let definition: Definition = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(definition.run_after, ["publish"]);
        assert_eq!(definition.on_failure, ["tell", "report"]);
        assert_eq!(definition.run_before, Vec::<String>::new());
        let written = serde_json::to_value(&definition).unwrap();
        assert_eq!((&written["run_after"], written.get("run_before")), (&json!(["publish"]), None));
        assert_eq!((definition.is_flow, written.get("is_flow")), (false, None));
        text["run_before"] = json!(3);
        assert!(serde_json::from_value::<Definition>(text).is_err());
    }
}
