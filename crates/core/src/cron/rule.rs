//! Computes the instants at which a cron rule fires in a time zone. Pure: no clock, no database.
//!
//! A rule has five fields (minute, hour, day of the month, month, day of the week), or six with the second first. The
//! `croner` library parses rules and finds the next instant; `fields.rs` refuses what the library accepts although it
//! is no rule. The time zones are compiled in, so that all monitors of one version compute the same instants.
//! `docs/schedules.md` describes the rules for users.

use std::{fmt, iter, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::{
    Cron,
    errors::CronError as CronerError,
    parser::{CronParser, Seconds, Year},
};
use serde::{Deserialize, Serialize};

use crate::cron::fields;

/// The ranges before an instant that are searched for the previous one, in seconds, shortest first. Rules fire every
/// second, minute, hour, day (25 hours when clocks are put back), month or year. The longest range spans the eight
/// years that may lie between two 29 February (1896 and 1904).
const SEARCH_RANGES: [i64; 7] = [1, 60, 3600, 25 * 3600, 32 * DAY, 367 * DAY, 9 * 366 * DAY];

/// Seconds of a day.
const DAY: i64 = 24 * 3600;

/// A parsed cron rule and its time zone.
#[derive(Debug, Clone)]
pub struct Rule {
    cron: Cron,
    zone: Tz,
}

/// The error of a rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The text is not a cron rule.
    #[error("`{rule}` is not a valid cron rule: {why}")]
    Rule {
        /// The rule as the user wrote it.
        rule: String,
        /// The reason, as a phrase.
        why: String,
    },
    /// The IANA database has no such time zone.
    #[error("there is no time zone `{0}`")]
    Zone(String),
    /// The rule fires every second, and the caller did not allow that.
    #[error("`{0}`: an \"every second\" rule is forbidden")]
    EverySecond(String),
    /// The rule never fires, for example on a 30 February.
    #[error("the rule `{0}` never fires")]
    Never(String),
}

impl RuleError {
    /// Returns advice for the user: how to write a valid rule or zone.
    pub fn hint(&self) -> &'static str {
        match self {
            RuleError::Rule { .. } | RuleError::Never(_) => {
                "write five fields, minute first: `0 8 * * mon-fri`; or six, second first: `0 15 8,12 * * *`"
            }
            RuleError::EverySecond(_) => {
                "the first of six fields is the second: `0 * * * * *` is every minute; \
                 `--every-second` allows such a rule"
            }
            RuleError::Zone(_) => {
                "zones have names of a region and a city, such as `America/New_York`; `UTC` is one, too"
            }
        }
    }
}

impl Rule {
    /// Parses a rule. `zone` is the name of a time zone in the IANA database, in small or capital letters.
    ///
    /// # Errors
    ///
    /// `Err` if the rule or the name of the zone is not valid.
    pub fn parse(rule: &str, zone: &str) -> Result<Rule, RuleError> {
        let zone = find_zone(zone).ok_or_else(|| RuleError::Zone(zone.to_owned()))?;
        let invalid = |why: String| RuleError::Rule { rule: rule.to_owned(), why };
        let fields: Vec<String> = rule.split_whitespace().map(last_weekday).collect();
        if ![5, 6].contains(&fields.len()) {
            return Err(invalid(format!("it has {} fields, not 5 or 6", fields.len())));
        }
        fields::check(&fields).map_err(invalid)?;
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .sloppy_ranges(true)
            .build();
        let cron = parser.parse(&fields.join(" ")).map_err(|error| invalid(reason(&error)))?;
        Ok(Rule { cron, zone })
    }

    /// Returns the name of the rule's time zone, as the IANA database writes it.
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// Returns whether the rule fires in every second of the minutes that it matches. People rarely mean that.
    pub fn is_every_second(&self) -> bool {
        (0..60).all(|second| self.cron.pattern.second_match(second).unwrap_or(false))
    }

    /// Returns the first instant after `at` at which the rule fires, or `None` if it never fires again.
    pub fn after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // The library fails at a day that a zone skipped when it moved across the date line (Samoa, 30 December 2011).
        // Then the search starts again, hour by hour, until it starts after that day.
        let starts = (0..=48).map(|hours| (at + TimeDelta::hours(hours)).with_timezone(&self.zone));
        let mut instants =
            starts.filter_map(|start| self.cron.find_next_occurrence(&start, false).ok());
        instants.next().map(|instant| instant.to_utc()).filter(|instant| *instant > at)
    }

    /// Returns the last instant not after `at` at which the rule fires, or `None` if there is none.
    pub fn until(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // The library can also search backwards. That search is not used: where clocks are put back, it may return an
        // instant after `at`.
        SEARCH_RANGES.iter().find_map(|seconds| {
            let start = at - TimeDelta::seconds(*seconds) - TimeDelta::nanoseconds(1);
            let next = |instant: &DateTime<Utc>| self.after(*instant).filter(|next| *next <= at);
            iter::successors(next(&start), next).last()
        })
    }
}

/// Returns the time zone of this name. A name that differs only by small and capital letters is found, too.
fn find_zone(name: &str) -> Option<Tz> {
    let is_named = |zone: &&Tz| zone.name().eq_ignore_ascii_case(name);
    name.parse().ok().or_else(|| TZ_VARIANTS.iter().find(is_named).copied())
}

/// Rewrites `l5`, the last Friday in the notation of Python's `croniter`, to `5L`, the notation of `croner`.
fn last_weekday(field: &str) -> String {
    let parts = field.split(',').map(|part| match part.as_bytes() {
        [b'l' | b'L', day @ b'0'..=b'7'] => format!("{}L", char::from(*day)),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join(",")
}

/// Returns the reason of the library's error, without the prefix that names the error's kind.
fn reason(error: &CronerError) -> String {
    let text = error.to_string();
    let (_, why) = text.split_once(": ").unwrap_or(("", &text));
    why.trim_end_matches('.').to_owned()
}

/// The policy for missed instants: those at which no monitor was running. `due.rs` applies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// No task is made for missed instants.
    #[default]
    None,
    /// One task is made, for the last missed instant.
    Last,
    /// A task is made for each missed instant, for the last 100 at most.
    All,
}

/// The policy for an instant at which the previous task of the schedule has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// A task is made.
    #[default]
    Allow,
    /// No task is made: the instant is skipped.
    Skip,
}

impl Missed {
    /// Returns the name under which the database stores the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Missed::None => "none",
            Missed::Last => "last",
            Missed::All => "all",
        }
    }
}

impl Overlap {
    /// Returns the name under which the database stores the policy.
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
            .ok_or_else(|| "must be `none`, `last` or `all`".to_owned())
    }
}

impl FromStr for Overlap {
    type Err = String;

    fn from_str(text: &str) -> Result<Overlap, String> {
        let mut known = [Overlap::Allow, Overlap::Skip].into_iter();
        known
            .find(|known| known.as_str() == text)
            .ok_or_else(|| "must be `allow` or `skip`".to_owned())
    }
}

#[cfg(test)]
mod tests;
