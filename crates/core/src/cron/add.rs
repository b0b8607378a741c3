//! Prepare: give an operation a cron rule. What has the same operation, rule, input and host is the
//! same schedule: it is replaced.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use tokio_postgres::{GenericClient, types::Type};

use crate::{
    cron::{
        error::CronError,
        rule::{Missed, Overlap, Rule, RuleError},
    },
    db::{connect::Param, deadline::within_deadline, error::Result, row::Columns},
    task::payload::Payload,
};

/// An operation with a rule, as it is prepared, exported and imported.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The operation's name.
    pub operation: String,
    pub domain: String,
    /// When: five fields, or six with the seconds first.
    pub rule: String,
    /// Where it is that time: a name of the IANA database.
    #[serde(default = "utc")]
    pub zone: String,
    /// The only host that may run its tasks.
    #[serde(default)]
    pub host: Option<String>,
    /// Of its tasks; higher first; none: as the operation says.
    #[serde(default)]
    pub priority: Option<i16>,
    /// What the host of its tasks must offer.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What they are given.
    #[serde(default)]
    pub input: Option<Box<RawValue>>,
    /// What they are given, where it is bytes.
    #[serde(default)]
    pub input_base64: Option<String>,
    /// Whatever is to be kept with them.
    #[serde(default)]
    pub metadata: Option<Box<RawValue>>,
    /// What becomes of the instants at which no monitor was there.
    #[serde(default)]
    pub missed: Missed,
    /// What becomes of an instant at which the task before has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// It makes no tasks for now.
    #[serde(default)]
    pub paused: bool,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A schedule that is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    pub id: i64,
    /// When it comes due first; none: it is paused.
    pub next_at: Option<DateTime<Utc>>,
}

impl Schedule {
    /// The input of its tasks.
    pub fn payload(&self) -> Result<Payload, base64::DecodeError> {
        Ok(match (&self.input, &self.input_base64) {
            (Some(json), _) => Payload::Json(json.get().to_owned()),
            (None, Some(text)) => Payload::Bytes(BASE64_STANDARD.decode(text)?),
            (None, None) => Payload::None,
        })
    }

    /// Its rule, if it is one.
    pub fn rule(&self, every_second: bool) -> Result<Rule, RuleError> {
        let rule = Rule::parse(&self.rule, &self.zone)?;
        if rule.is_every_second() && !every_second {
            return Err(RuleError::EverySecond(self.rule.clone()));
        }
        Ok(rule)
    }
}

/// Prepares a schedule. `rule` is its own, and `input` its input.
pub async fn prepare(
    client: &impl GenericClient,
    schedule: &Schedule,
    rule: &Rule,
    input: &Payload,
) -> Result<Prepared, CronError> {
    let asking = client.query_typed_one(include_str!("sql/schedule_clock.sql"), &[]);
    let now: DateTime<Utc> = Columns::new(&within_deadline(asking).await?).get("now")?;
    let next = rule.after(now).ok_or_else(|| RuleError::Never(schedule.rule.clone()))?;
    let (json, bytes) = input.columns();
    let (text, priority) = (in_words(&schedule.rule), schedule.priority.map(i32::from));
    let (metadata, canonical) = (schedule.metadata.as_ref().map(|raw| raw.get()), canonical(json));
    let (missed, overlap) = (schedule.missed.as_str(), schedule.overlap.as_str());
    let params: [Param<'_>; 15] = [
        (&schedule.operation, Type::TEXT),
        (&schedule.domain, Type::TEXT),
        (&text, Type::TEXT),
        (&schedule.zone, Type::TEXT),
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
    let asking = client.query_typed_one(include_str!("sql/prepare.sql"), &params);
    let row = within_deadline(asking).await?;
    let row = Columns::of("schedule", "id", &row);
    Ok(Prepared { id: row.get("id")?, next_at: row.get("next_at")? })
}

/// The zone of the schedule that this one would replace; UTC where there is none.
pub async fn standing_zone(
    client: &impl GenericClient,
    schedule: &Schedule,
    input: &Payload,
) -> Result<String> {
    let (json, bytes) = input.columns();
    let (text, canonical) = (in_words(&schedule.rule), canonical(json));
    let params: [Param<'_>; 6] = [
        (&schedule.operation, Type::TEXT),
        (&schedule.domain, Type::TEXT),
        (&text, Type::TEXT),
        (&schedule.host, Type::TEXT),
        (&canonical, Type::TEXT),
        (&bytes, Type::BYTEA),
    ];
    let asking = client.query_typed(include_str!("sql/standing_zone.sql"), &params);
    let rows = within_deadline(asking).await?;
    rows.first().map_or_else(|| Ok(utc()), |row| Columns::new(row).get("zone"))
}

/// A rule as it is kept: one space between two fields.
fn in_words(rule: &str) -> String {
    rule.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Equal inputs have equal texts, however they are written.
fn canonical(json: Option<&str>) -> Option<String> {
    let json = json?;
    Some(serde_json::from_str::<Value>(json).map_or_else(|_| json.to_owned(), |v| v.to_string()))
}
