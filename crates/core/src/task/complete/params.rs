//! The parameters of `complete.sql`: one array for each column of the ends that are recorded.

use std::time::Instant;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Completion;
use crate::db::connect::Param;

/// The arrays that describe the ends of runs, in ascending order of their tasks. The order prevents a deadlock between
/// two sessions that record ends of the same tasks.
#[derive(Default)]
pub(crate) struct CompletionParams<'a> {
    tasks: Vec<i64>,
    runs: Vec<i64>,
    tokens: Vec<Uuid>,
    outcomes: Vec<&'static str>,
    reasons: Vec<Option<String>>,
    errors: Vec<Option<String>>,
    json: Vec<Option<&'a str>>,
    bytes: Vec<Option<&'a [u8]>>,
    /// Microseconds since the code of each run started; `None` if it did not start.
    started_us: Vec<Option<i64>>,
    /// Microseconds since each run ended.
    ended_us: Vec<i64>,
    peaks: Vec<Option<i64>>,
    retries_ms: Vec<Option<i64>>,
    revisions: Vec<Option<&'a str>>,
    earliest_start: Option<DateTime<Utc>>,
}

impl<'a> CompletionParams<'a> {
    pub(crate) fn of(
        ends: &'a [Completion],
        earliest_start: Option<DateTime<Utc>>,
    ) -> CompletionParams<'a> {
        let mut params = CompletionParams { earliest_start, ..CompletionParams::default() };
        let mut sorted: Vec<&Completion> = ends.iter().collect();
        sorted.sort_unstable_by_key(|end| end.fence.task);
        let now = Instant::now();
        for end in sorted {
            params.push(end, now);
        }
        params.shorten();
        params
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Shortens arrays, as `rework.complete` allows: an array of nulls becomes empty, and an array of equal tokens,
    /// outcomes or revisions keeps one element. Most batches need only a few full arrays, so less is sent.
    fn shorten(&mut self) {
        fn clear_nulls<T>(values: &mut Vec<Option<T>>) {
            if values.iter().all(Option::is_none) {
                values.clear();
            }
        }
        fn merge_equal<T: PartialEq>(values: &mut Vec<T>) {
            if values.windows(2).all(|two| two[0] == two[1]) {
                values.truncate(1);
            }
        }
        clear_nulls(&mut self.reasons);
        clear_nulls(&mut self.errors);
        clear_nulls(&mut self.json);
        clear_nulls(&mut self.bytes);
        clear_nulls(&mut self.peaks);
        clear_nulls(&mut self.retries_ms);
        merge_equal(&mut self.tokens);
        merge_equal(&mut self.outcomes);
        merge_equal(&mut self.revisions);
    }

    fn push(&mut self, end: &'a Completion, now: Instant) {
        let ago_us = |moment: Instant| now.saturating_duration_since(moment).as_micros() as i64;
        let (json, bytes) = end.output.columns();
        self.tasks.push(end.fence.task);
        self.runs.push(end.fence.run);
        self.tokens.push(end.fence.token);
        self.outcomes.push(end.outcome.as_str());
        self.reasons.push(end.reason.as_deref().map(without_nul));
        self.errors.push(end.error.as_ref().map(Value::to_string));
        self.json.push(json);
        self.bytes.push(bytes);
        self.started_us.push(end.started.map(ago_us));
        self.ended_us.push(ago_us(end.ended));
        self.peaks.push(end.memory_peak);
        self.retries_ms.push(end.retry_in_ms);
        self.revisions.push(end.revision.as_deref());
    }

    /// Returns the parameters of `complete.sql`. They are also the first ones of `exchange.sql`.
    pub(crate) fn params(&self) -> [Param<'_>; 14] {
        [
            (&self.tasks, Type::INT8_ARRAY),
            (&self.runs, Type::INT8_ARRAY),
            (&self.tokens, Type::UUID_ARRAY),
            (&self.outcomes, Type::TEXT_ARRAY),
            (&self.reasons, Type::TEXT_ARRAY),
            (&self.errors, Type::TEXT_ARRAY),
            (&self.json, Type::TEXT_ARRAY),
            (&self.bytes, Type::BYTEA_ARRAY),
            (&self.started_us, Type::INT8_ARRAY),
            (&self.ended_us, Type::INT8_ARRAY),
            (&self.peaks, Type::INT8_ARRAY),
            (&self.retries_ms, Type::INT8_ARRAY),
            (&self.revisions, Type::TEXT_ARRAY),
            (&self.earliest_start, Type::TIMESTAMPTZ),
        ]
    }
}

/// Replaces NUL, the one character that Postgres' type `text` cannot hold, by the symbol `␀`.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}
