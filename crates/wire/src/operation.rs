//! Operations: a named piece of code, its schemas and limits.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The domain of what names none.
pub const DEFAULT_DOMAIN: &str = "default";

/// Most bytes of an input or output: what one row can hold without hurting its neighbours.
pub const MAX_PAYLOAD_BYTES: u64 = 100 << 20;

/// An operation as its code declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The label that ties operations, tasks and the workers that may take them.
    pub domain: String,
    /// Unique in its domain.
    pub name: String,
    /// JSON Schema of the input; none: anything, or nothing.
    #[serde(default)]
    pub input: Option<Value>,
    /// JSON Schema of the output; none: anything, or nothing.
    #[serde(default)]
    pub output: Option<Value>,
    #[serde(default)]
    pub output_form: Form,
    #[serde(default)]
    pub limits: Limits,
}

/// How an input or output travels and is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// JSON text, as it was given.
    #[default]
    Json,
    /// Bytes of no known form.
    Bytes,
}

impl Form {
    /// The word for it, as the schema stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Form::Json => "json",
            Form::Bytes => "bytes",
        }
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(word: &str) -> Result<Form, String> {
        let found = [Form::Json, Form::Bytes].into_iter().find(|form| form.as_str() == word);
        found.ok_or_else(|| "it is `json` or `bytes`".to_owned())
    }
}

/// What one run of an operation may take, and what follows when it fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Milliseconds from a run's beginning; none: no limit.
    pub timeout_ms: Option<i64>,
    /// Bytes of the whole process tree; none: no limit.
    pub memory_bytes: Option<i64>,
    /// How often a failing task is tried in all, at least 1.
    pub attempts: i32,
    /// Milliseconds between being asked to end and being killed.
    pub grace_ms: i64,
    /// A lost run is queued again: the operation can be run twice without harm.
    pub retry_lost: bool,
    /// Of its tasks, where who schedules says none: higher first.
    pub priority: i16,
    /// Runs that one runner has open at once, at least 1.
    pub concurrency: i32,
}

impl Limits {
    /// Milliseconds of grace where none are declared.
    pub const GRACE_MS: i64 = 3_000;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            timeout_ms: None,
            memory_bytes: None,
            attempts: 1,
            grace_ms: Limits::GRACE_MS,
            retry_lost: false,
            priority: 0,
            concurrency: 1,
        }
    }
}
