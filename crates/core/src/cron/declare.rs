//! Stores a schedule: an operation with a cron rule. `rework prepare` and the imports call it.
//!
//! Operation, rule, input and host identify a schedule. Declaring a schedule again replaces the
//! stored one.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_postgres::{GenericClient, types::Type};

use crate::{
    cron::{
        error::CronError,
        rule::{Missed, Overlap, Rule, RuleError},
    },
    db::{connect::Param, deadline::within_deadline, error::Result, row::Columns},
    task::payload::Payload,
    values::json::Json,
};

/// A schedule as users declare it. The same form is exported, imported and listed as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The name of the operation that the tasks of the schedule run.
    pub operation: String,
    pub domain: String,
    /// The cron rule: five fields, or six with the seconds first.
    pub rule: String,
    /// The time zone of the rule, as a name of the IANA database.
    #[serde(default = "utc")]
    pub zone: String,
    /// The only host that may run the tasks of the schedule. `None` if any host may.
    #[serde(default)]
    pub host: Option<String>,
    /// The priority of the tasks of the schedule; higher runs first. `None` for the priority of the
    /// operation.
    #[serde(default)]
    pub priority: Option<i16>,
    /// The capabilities that a host must offer to run the tasks of the schedule.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The input of the tasks of the schedule, if it is JSON. `None` if it is bytes, or if there is
    /// none.
    #[serde(default)]
    pub input: Option<Box<RawValue>>,
    /// The input of the tasks of the schedule in base64, if it is bytes. `None` if it is JSON, or
    /// if there is none.
    #[serde(default)]
    pub input_base64: Option<String>,
    /// JSON that is stored with each task of the schedule. `None` if nothing is stored.
    #[serde(default)]
    pub metadata: Option<Box<RawValue>>,
    /// The policy for instants of the rule at which no monitor was running.
    #[serde(default)]
    pub missed: Missed,
    /// The policy for an instant of the rule at which the previous task has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// Whether the schedule is paused: a paused schedule makes no tasks.
    #[serde(default)]
    pub paused: bool,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// The result of [`declare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    pub id: i64,
    /// The time at which the schedule fires next. `None` if it is paused.
    pub next_at: Option<DateTime<Utc>>,
}

impl Schedule {
    /// Returns the input of the schedule's tasks. `Err` if `input_base64` is not valid base64.
    pub fn payload(&self) -> Result<Payload, base64::DecodeError> {
        Ok(match (&self.input, &self.input_base64) {
            (Some(json), _) => Payload::Json(json.get().to_owned()),
            (None, Some(text)) => Payload::Bytes(BASE64_STANDARD.decode(text)?),
            (None, None) => Payload::None,
        })
    }

    /// Parses the cron rule.
    ///
    /// # Errors
    ///
    /// `Err` if rule or zone is not valid, or if the rule fires every second and `allow_every_second` is false. People
    /// usually write such a rule by mistake: the first of six fields is the second.
    pub fn rule(&self, allow_every_second: bool) -> Result<Rule, RuleError> {
        let rule = Rule::parse(&self.rule, &self.zone)?;
        if rule.is_every_second() && !allow_every_second {
            return Err(RuleError::EverySecond(self.rule.clone()));
        }
        Ok(rule)
    }
}

/// Stores a schedule, or replaces the one with the same operation, rule, host and input.
///
/// `rule` and `input` are the results of [`Schedule::rule`] and [`Schedule::payload`].
///
/// # Errors
///
/// `Err` if the rule never fires, if the operation is not registered, or if the database fails.
pub async fn declare(
    client: &impl GenericClient,
    schedule: &Schedule,
    rule: &Rule,
    input: &Payload,
) -> Result<Declared, CronError> {
    let query = client.query_typed_one(include_str!("sql/schedule_clock.sql"), &[]);
    let now: DateTime<Utc> = Columns::new(&within_deadline(query).await?).get("now")?;
    let next = rule.after(now).ok_or_else(|| RuleError::Never(schedule.rule.clone()))?;
    let (json, bytes) = input.columns();
    let (rule_text, priority) = (normalized(&schedule.rule), schedule.priority.map(i32::from));
    let (metadata, canonical) = (schedule.metadata.as_ref().map(|raw| raw.get()), canonical(json));
    let (missed, overlap) = (schedule.missed.as_str(), schedule.overlap.as_str());
    // The name of the zone as the IANA database writes it: the user may have typed it in small letters.
    let zone = rule.zone();
    let params: [Param<'_>; 15] = [
        (&schedule.operation, Type::TEXT),
        (&schedule.domain, Type::TEXT),
        (&rule_text, Type::TEXT),
        (&zone, Type::TEXT),
        (&schedule.host, Type::TEXT),
        (&priority, Type::INT4),
        (&schedule.capabilities, Type::TEXT_ARRAY),
        (&json, Type::TEXT),
        (&bytes, Type::BYTEA),
        (&metadata, Type::TEXT),
        (&canonical, Type::TEXT),
        (&missed, Type::TEXT),
        (&overlap, Type::TEXT),
        (&next, Type::TIMESTAMPTZ),
        (&schedule.paused, Type::BOOL),
    ];
    let query = client.query_typed_one(include_str!("sql/declare.sql"), &params);
    let row = within_deadline(query).await?;
    let row = Columns::of("schedule", "id", &row);
    Ok(Declared { id: row.get("id")?, next_at: row.get("next_at")? })
}

/// Returns the time zone of the stored schedule that `schedule` would replace, or `UTC` if there is none.
///
/// `input` is the result of [`Schedule::payload`]. `Err` if the operation is not registered
/// (SQLSTATE `RW404`), or if the database fails.
pub async fn existing_zone(
    client: &impl GenericClient,
    schedule: &Schedule,
    input: &Payload,
) -> Result<String> {
    let (json, bytes) = input.columns();
    let (rule_text, canonical) = (normalized(&schedule.rule), canonical(json));
    let params: [Param<'_>; 6] = [
        (&schedule.operation, Type::TEXT),
        (&schedule.domain, Type::TEXT),
        (&rule_text, Type::TEXT),
        (&schedule.host, Type::TEXT),
        (&canonical, Type::TEXT),
        (&bytes, Type::BYTEA),
    ];
    let query = client.query_typed(include_str!("sql/existing_zone.sql"), &params);
    let rows = within_deadline(query).await?;
    rows.first().map_or_else(|| Ok(utc()), |row| Columns::new(row).get("zone"))
}

/// Returns the rule with one space between two fields, so that the database recognises equal rules.
fn normalized(rule: &str) -> String {
    rule.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the JSON in a form that is the same for all texts of the same value: without spaces,
/// with sorted keys. `None` if there is no JSON.
fn canonical(json: Option<&str>) -> Option<String> {
    let json = json?;
    let parsed = Json::parse(json.as_bytes());
    Some(parsed.map_or_else(|_| json.to_owned(), |value| value.canonical()))
}
