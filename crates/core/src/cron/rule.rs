//! Cron rules: when a schedule comes due, in its own time zone. Pure.
//!
//! A rule has five fields (minute, hour, day of the month, month, day of the week), or six with the
//! seconds first. Parsing and the walk through time are the `croner` library's; zones are those
//! that are compiled in, so that every monitor of one version sees the same instants.

use std::{fmt, iter, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use serde::{Deserialize, Serialize};

/// An instant that a monitor comes to so late is not missed: a monitor was slow, or was replaced.
const ON_TIME: TimeDelta = TimeDelta::seconds(60);

/// How far one looks back for the last instant, in seconds, until there is one: a second, a minute, an
/// hour, a day, a month, a year, and from a 29 February to any other.
const LOOKS_BACK: [i64; 7] = [1, 60, 3600, 25 * 3600, 32 * DAY, 367 * DAY, 9 * 366 * DAY];

const DAY: i64 = 24 * 3600;

/// Most missed instants that are made up for; the latest.
pub const MOST_MISSED: usize = 100;

/// A rule in a zone.
#[derive(Debug, Clone)]
pub struct Rule {
    cron: Cron,
    zone: Tz,
}

/// Why a rule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its text.
    #[error("`{rule}` is no cron rule: {why}")]
    Rule {
        /// As it was given.
        rule: String,
        /// What is wrong, in words.
        why: String,
    },
    #[error("there is no time zone `{0}`")]
    Zone(String),
    /// It comes due in every second, and nobody said that this is meant.
    #[error("`{0}`: an \"every second\" rule is forbidden")]
    EverySecond(String),
    /// There is no such day.
    #[error("`{0}` never comes due")]
    Never(String),
}

impl RuleError {
    /// What to type instead.
    pub fn hint(&self) -> &'static str {
        match self {
            RuleError::Rule { .. } | RuleError::Never(_) => {
                "write five fields, minute first: `0 8 * * mon-fri`; or six, second first: `0 15 8,12 * * *`"
            }
            RuleError::EverySecond(_) => {
                "six fields begin with the seconds: `0 * * * * *` is every minute; or say `--every-second`"
            }
            RuleError::Zone(_) => "name it as `Europe/Vienna` or `UTC`",
        }
    }
}

impl Rule {
    /// Reads a rule, for a zone by its name in the IANA database.
    pub fn parse(rule: &str, zone: &str) -> Result<Rule, RuleError> {
        let zone: Tz = zone.parse().map_err(|_| RuleError::Zone(zone.to_owned()))?;
        let wrong = |why: String| RuleError::Rule { rule: rule.to_owned(), why };
        let fields: Vec<String> = rule.split_whitespace().map(last_weekday).collect();
        if ![5, 6].contains(&fields.len()) {
            return Err(wrong(format!("it has {} fields, not 5 or 6", fields.len())));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .sloppy_ranges(true)
            .build();
        let cron = parser.parse(&fields.join(" ")).map_err(|error| wrong(in_words(&error)))?;
        Ok(Rule { cron, zone })
    }

    /// Whether it comes due in every second of some minute: what is rarely meant.
    pub fn is_every_second(&self) -> bool {
        (0..60).all(|second| self.cron.pattern.second_match(second).unwrap_or(false))
    }

    /// The next instant after this one; none: never again.
    pub fn after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // The library gives up at a day that a zone left out when it crossed the date line: the search
        // goes on behind it.
        let starts = (0..=48).map(|hours| (at + TimeDelta::hours(hours)).with_timezone(&self.zone));
        let mut found =
            starts.filter_map(|start| self.cron.find_next_occurrence(&start, false).ok());
        found.next().map(|found| found.to_utc()).filter(|found| *found > at)
    }

    /// The last instant until this one; none: there was none.
    pub fn until(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // The library's own way back finds what comes after `at` where a clock is put back.
        LOOKS_BACK.iter().find_map(|seconds| {
            let start = at - TimeDelta::seconds(*seconds) - TimeDelta::nanoseconds(1);
            let next = |instant: &DateTime<Utc>| self.after(*instant).filter(|next| *next <= at);
            iter::successors(next(&start), next).last()
        })
    }

    /// Of the instants from `first` to `now`, those for which a task is to be made, in order. What
    /// is less than a minute late always is; what is later was missed, and the policy decides.
    pub fn due(
        &self,
        first: DateTime<Utc>,
        now: DateTime<Utc>,
        missed: Missed,
    ) -> Vec<DateTime<Utc>> {
        let mut due = Vec::new();
        let mut at = self.until(now);
        while let Some(instant) = at.filter(|instant| *instant >= first) {
            let wanted = instant > now - ON_TIME
                || match missed {
                    Missed::None => false,
                    Missed::Last => due.is_empty(),
                    Missed::All => due.len() < MOST_MISSED,
                };
            if !wanted {
                break;
            }
            due.push(instant);
            at = self.until(instant - TimeDelta::nanoseconds(1));
        }
        due.reverse();
        due
    }
}

/// `l5`, the last Friday as users of `croniter` write it, is `5L` here.
fn last_weekday(field: &str) -> String {
    let parts = field.split(',').map(|part| match part.as_bytes() {
        [b'l' | b'L', day @ b'0'..=b'7'] => format!("{}L", char::from(*day)),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(",")
}

fn in_words(error: &CronError) -> String {
    let text = error.to_string();
    let (_, why) = text.split_once(": ").unwrap_or(("", &text));
    why.trim_end_matches('.').to_owned()
}

/// What becomes of the instants at which no monitor was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing.
    #[default]
    None,
    /// One task for the last of them.
    Last,
    /// A task for each, for the last [`MOST_MISSED`].
    All,
}

/// Whether a task is made while the one before it has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    #[default]
    Allow,
    /// It is not: the instant is skipped.
    Skip,
}

impl Missed {
    /// The word for it, as the schema stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Missed::None => "none",
            Missed::Last => "last",
            Missed::All => "all",
        }
    }
}

impl Overlap {
    /// The word for it, as the schema stores it.
    pub fn as_str(self) -> &'static str {
        match self {
            Overlap::Allow => "allow",
            Overlap::Skip => "skip",
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Missed {
    type Err = String;

    fn from_str(text: &str) -> Result<Missed, String> {
        let known = [Missed::None, Missed::Last, Missed::All].into_iter();
        known
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| "it is `none`, `last` or `all`".to_owned())
    }
}

impl FromStr for Overlap {
    type Err = String;

    fn from_str(text: &str) -> Result<Overlap, String> {
        let mut known = [Overlap::Allow, Overlap::Skip].into_iter();
        known
            .find(|known| known.as_str() == text)
            .ok_or_else(|| "it is `allow` or `skip`".to_owned())
    }
}

#[cfg(test)]
mod tests;
