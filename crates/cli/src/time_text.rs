//! Formats times and durations for people: times in the user's time zone, durations with two units at most.

use chrono::{DateTime, Local, TimeZone, Timelike as _, Utc};

/// Formats a time in the user's zone with tenths of a second: `2026-11-22 02:10:08.7+00:00`.
pub fn timestamp(at: DateTime<Utc>) -> String {
    in_zone(&at.with_timezone(&Local))
}

/// Formats a time in the user's zone with seconds, without the zone: `2026-11-22 02:10:08`.
pub fn seconds(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Formats a time in the user's zone with seconds: `2026-11-22 02:10:08+00:00`.
pub fn seconds_with_zone(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%:z").to_string()
}

/// Formats the times of a task or a worker as `[created] → [started] → [finished]`. If it ended
/// without a start, the second part is `[not started]`. Other times that are not known are left
/// out.
pub fn timeline(
    created: DateTime<Utc>,
    started: Option<DateTime<Utc>>,
    finished: Option<DateTime<Utc>>,
) -> String {
    let in_brackets = |at| format!("[{}]", timestamp(at));
    let started = match (started, finished) {
        (None, Some(_)) => Some("[not started]".to_owned()),
        (started, _) => started.map(in_brackets),
    };
    let times = [Some(in_brackets(created)), started, finished.map(in_brackets)];
    times.into_iter().flatten().collect::<Vec<_>>().join(" → ")
}

/// Formats the time between two times: `38 ms`, `1.2 s`, `5m03s`, `2h07m`, `3d04h`. A negative duration is `0 ms`.
pub fn duration_between(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let milliseconds = (to - from).num_milliseconds().max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

fn in_zone<Zone: TimeZone>(at: &DateTime<Zone>) -> String
where
    Zone::Offset: std::fmt::Display,
{
    let tenths = at.nanosecond() / 100_000_000;
    format!("{}.{tenths}{}", at.format("%Y-%m-%d %H:%M:%S"), at.format("%:z"))
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, TimeDelta};

    use super::*;

    fn at() -> DateTime<Utc> {
        "2026-11-22T02:10:08.717025Z".parse().unwrap()
    }

    #[test]
    fn a_timestamp_has_tenths_and_a_zone() {
        assert_eq!(in_zone(&at()), "2026-11-22 02:10:08.7+00:00");
        let india = FixedOffset::east_opt(5 * 3600 + 1800).unwrap();
        assert_eq!(in_zone(&at().with_timezone(&india)), "2026-11-22 07:40:08.7+05:30");
    }

    #[test]
    fn a_timeline_ends_with_the_last_known_time() {
        let (created, later) = (at(), at() + TimeDelta::seconds(1));
        let [first, second] = [timestamp(created), timestamp(later)];
        assert_eq!(timeline(created, None, None), format!("[{first}]"));
        assert_eq!(timeline(created, Some(later), None), format!("[{first}] → [{second}]"));
        assert_eq!(
            timeline(created, Some(later), Some(later)),
            format!("[{first}] → [{second}] → [{second}]")
        );
        assert_eq!(
            timeline(created, None, Some(later)),
            format!("[{first}] → [not started] → [{second}]")
        );
    }

    #[test]
    fn durations_are_short() {
        for (milliseconds, text) in [
            (-5, "0 ms"),
            (38, "38 ms"),
            (1_250, "1.2 s"),
            (59_999, "59.9 s"),
            (303_000, "5m03s"),
            (7_620_000, "2h07m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(duration_between(at(), at() + TimeDelta::milliseconds(milliseconds)), text);
        }
    }
}
