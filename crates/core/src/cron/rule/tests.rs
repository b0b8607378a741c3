//! Tests of the grammar, the policies for missed instants, and the nights in which clocks change.

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn rule(text: &str, zone: &str) -> Rule {
    Rule::parse(text, zone).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the next `count` instants after `from`, as text in the rule's own zone.
fn next(text: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let rule = rule(text, zone);
    let zone: Tz = zone.parse().unwrap();
    let mut now = at(from);
    let mut instants = Vec::new();
    for _ in 0..count {
        let Some(instant) = rule.after(now) else { break };
        instants.push(instant.with_timezone(&zone).format("%a %d %H:%M:%S%:z").to_string());
        now = instant;
    }
    instants
}

#[test]
fn a_rule_has_five_fields_or_six_with_the_second_first() {
    // 22 November 2026 is a Sunday.
    let from = "2026-11-22T00:00:00Z";
    for (text, expected) in [
        ("0 15 8,12 * * *", ["Sun 22 08:15:00+00:00", "Sun 22 12:15:00+00:00"]),
        ("0 8 * * mon-fri", ["Mon 23 08:00:00+00:00", "Tue 24 08:00:00+00:00"]),
        ("*/5 * * * *", ["Sun 22 00:05:00+00:00", "Sun 22 00:10:00+00:00"]),
        ("10/20 * * * *", ["Sun 22 00:10:00+00:00", "Sun 22 00:30:00+00:00"]),
        ("0 0 9-17/4 * * 7", ["Sun 22 09:00:00+00:00", "Sun 22 13:00:00+00:00"]),
        ("0 0 * dec 0", ["Sun 06 00:00:00+00:00", "Sun 13 00:00:00+00:00"]),
        ("0 0 * * mon#2", ["Mon 14 00:00:00+00:00", "Mon 11 00:00:00+00:00"]),
        ("0 0 * * l5", ["Fri 27 00:00:00+00:00", "Fri 25 00:00:00+00:00"]),
        ("0 0 l * *", ["Mon 30 00:00:00+00:00", "Thu 31 00:00:00+00:00"]),
        ("0 0 * * friL", ["Fri 27 00:00:00+00:00", "Fri 25 00:00:00+00:00"]),
        ("0 0 * * mon,fri#2", ["Mon 23 00:00:00+00:00", "Mon 30 00:00:00+00:00"]),
        ("0 0 29W 11 *", ["Mon 30 00:00:00+00:00", "Mon 29 00:00:00+00:00"]),
        // If day and weekday are both restricted, either of them suffices.
        ("0 0 25 * mon", ["Mon 23 00:00:00+00:00", "Wed 25 00:00:00+00:00"]),
        ("  0   15 8 * * *  ", ["Sun 22 08:15:00+00:00", "Mon 23 08:15:00+00:00"]),
    ] {
        assert_eq!(next(text, "UTC", from, 2), expected, "{text}");
    }
}

#[test]
fn an_invalid_rule_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "it has 0 fields, not 5 or 6"),
        ("* * * *", "it has 4 fields, not 5 or 6"),
        ("* * * * * * *", "it has 7 fields, not 5 or 6"),
        ("0 99 8 * * *", ""),
        ("0 0 32 * *", ""),
        ("nonsense 0 * * *", ""),
        ("@daily", "it has 1 fields, not 5 or 6"),
        ("0 0 * * mon#6", ""),
        ("0 0 * * MON,", "the field `MON,` has an empty element"),
        ("0 0 ,1 * *", "the field `,1` has an empty element"),
        ("0 0 * * ,", "the field `,` has an empty element"),
        ("0 0 * * 1,,2", "the field `1,,2` has an empty element"),
        ("mon 0 * * *", "`mon` is no minute"),
        ("0 jan * * *", "`jan` is no hour"),
        ("0 0 * janfeb *", "`janfeb` is no month"),
        ("0 0 * * 1mon", "`1mon` is no day of the week"),
        ("0 0 0 * * sat-sunday", "`sunday` is no day of the week"),
    ] {
        let error = Rule::parse(text, "UTC").unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{text}` is not a valid cron rule: ")), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(
        Rule::parse("0 0 * * *", "Mars/Olympus").unwrap_err().to_string(),
        "there is no time zone `Mars/Olympus`"
    );
    assert_eq!(rule("0 0 30 2 *", "UTC").after(at("2026-01-01T00:00:00Z")), None);
}

#[test]
fn time_zones_are_found_in_small_and_capital_letters() {
    for name in ["europe/vienna", "EUROPE/VIENNA", "Europe/Vienna"] {
        assert_eq!(rule("0 0 * * *", name).zone(), "Europe/Vienna");
    }
    assert_eq!(rule("0 0 * * *", "utc").zone(), "UTC");
    assert_eq!(rule("0 0 * * *", "etc/gmt+1").zone(), "Etc/GMT+1");
}

#[test]
fn rules_that_fire_every_second_are_recognised() {
    for text in ["* * * * * *", " * * * * * *", "* 0 8 * * *", "*/1 * * * * *", "0-59 0 8 * * *"] {
        assert!(rule(text, "UTC").is_every_second(), "{text}");
    }
    for text in ["*/5 * * * *", "* * * * *", "0 * * * * *", "*/2 * * * * *"] {
        assert!(!rule(text, "UTC").is_every_second(), "{text}");
    }
}

/// A row of the table in `docs/schedules.md`: a zone, an instant before the change, a rule, and the next instants.
type Night = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// The expected instants in nights in which clocks are put forward or back.
const NIGHTS: &[Night] = &[
    // Forward, 02:00 to 03:00: a local time that is skipped fires at the moment of the change.
    (
        "Europe/Vienna",
        "2026-03-28T23:30:00Z",
        "30 2 * * *",
        &["Sun 29 03:00:00+02:00", "Mon 30 02:30:00+02:00"],
    ),
    (
        "Europe/Vienna",
        "2026-03-28T23:30:00Z",
        "0 * * * *",
        &["Sun 29 01:00:00+01:00", "Sun 29 03:00:00+02:00"],
    ),
    (
        "America/New_York",
        "2026-03-08T05:30:00Z",
        "30 2 * * *",
        &["Sun 08 03:00:00-04:00", "Mon 09 02:30:00-04:00"],
    ),
    (
        "America/Sao_Paulo",
        "2018-11-04T02:30:00Z",
        "30 0 * * *",
        &["Sun 04 01:00:00-02:00", "Mon 05 00:30:00-02:00"],
    ),
    (
        "Australia/Lord_Howe",
        "2026-10-03T14:30:00Z",
        "15 2 * * *",
        &["Sun 04 02:30:00+11:00", "Mon 05 02:15:00+11:00"],
    ),
    // Back, 03:00 to 02:00: a fixed time fires once, the first time; an interval (`*/30`) fires both times.
    (
        "Europe/Vienna",
        "2026-10-24T23:30:00Z",
        "30 2 * * *",
        &["Sun 25 02:30:00+02:00", "Mon 26 02:30:00+01:00"],
    ),
    (
        "Europe/Vienna",
        "2026-10-24T23:30:00Z",
        "*/30 2 * * *",
        &[
            "Sun 25 02:00:00+02:00",
            "Sun 25 02:30:00+02:00",
            "Sun 25 02:00:00+01:00",
            "Sun 25 02:30:00+01:00",
        ],
    ),
    // From just before the second of these instants, the library's own backward search returns the second one.
    (
        "Europe/Vienna",
        "2026-10-24T23:30:00Z",
        "0 * * * *",
        &["Sun 25 02:00:00+02:00", "Sun 25 02:00:00+01:00", "Sun 25 03:00:00+01:00"],
    ),
    (
        "America/New_York",
        "2026-11-01T04:30:00Z",
        "30 1 * * *",
        &["Sun 01 01:30:00-04:00", "Mon 02 01:30:00-05:00"],
    ),
    (
        "Australia/Lord_Howe",
        "2026-04-04T14:00:00Z",
        "45 1 * * *",
        &["Sun 05 01:45:00+11:00", "Mon 06 01:45:00+10:30"],
    ),
    (
        "Africa/Casablanca",
        "2026-02-15T00:30:00Z",
        "30 2 * * *",
        &["Sun 15 02:30:00+01:00", "Mon 16 02:30:00+00:00"],
    ),
    // A change at midnight: a day starts at 01:00, or the last hour of the previous day is repeated.
    (
        "America/Santiago",
        "2026-09-06T02:30:00Z",
        "0 0 * * *",
        &["Sun 06 01:00:00-03:00", "Mon 07 00:00:00-03:00"],
    ),
    (
        "America/Santiago",
        "2026-04-05T01:30:00Z",
        "30 23 * * *",
        &["Sat 04 23:30:00-03:00", "Sun 05 23:30:00-04:00"],
    ),
    (
        "America/Santiago",
        "2026-04-05T01:30:00Z",
        "0 * * * *",
        &[
            "Sat 04 23:00:00-03:00",
            "Sat 04 23:00:00-04:00",
            "Sun 05 00:00:00-04:00",
            "Sun 05 01:00:00-04:00",
        ],
    ),
    // Zones without a change, and one that skipped a whole day.
    (
        "Asia/Kolkata",
        "2026-03-28T23:30:00Z",
        "30 2 * * *",
        &["Mon 30 02:30:00+05:30", "Tue 31 02:30:00+05:30"],
    ),
    ("Asia/Tokyo", "2026-03-28T23:30:00Z", "30 2 * * *", &["Mon 30 02:30:00+09:00"]),
    ("UTC", "2026-03-28T23:30:00Z", "30 2 * * *", &["Sun 29 02:30:00+00:00"]),
    ("Asia/Kathmandu", "2026-03-28T23:30:00Z", "30 2 * * *", &["Mon 30 02:30:00+05:45"]),
    ("Pacific/Apia", "2011-12-30T00:00:00Z", "0 12 * * *", &["Sat 31 12:00:00+14:00"]),
    (
        "Pacific/Chatham",
        "2026-09-26T12:00:00Z",
        "50 2 * * *",
        &["Sun 27 03:45:00+13:45", "Mon 28 02:50:00+13:45"],
    ),
];

#[test]
fn rules_fire_as_documented_when_clocks_change() {
    let mut differences = Vec::new();
    for (zone, from, text, expected) in NIGHTS {
        let actual = next(text, zone, from, expected.len());
        if actual != *expected {
            differences.push(format!("{zone} {text}: {actual:?}, not {expected:?}"));
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

#[test]
fn searching_backwards_finds_the_same_instants() {
    for (zone, from, text, _) in NIGHTS {
        let rule = rule(text, zone);
        let (first, last) = (at(from), at(from) + TimeDelta::days(3));
        let mut forward = Vec::new();
        let mut now = first;
        while let Some(instant) = rule.after(now).filter(|instant| *instant <= last) {
            forward.push(instant);
            now = instant;
        }
        let mut back = Vec::new();
        let mut now = last;
        while let Some(instant) = rule.until(now).filter(|instant| *instant > first) {
            assert!(instant <= now, "{zone} {text}: {instant} is not until {now}");
            back.insert(0, instant);
            now = instant - TimeDelta::nanoseconds(1);
        }
        assert_eq!(forward, back, "{zone} {text}");
    }
}
