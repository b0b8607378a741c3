//! Durations as they are written inside JSON: `90s`, `1h30m`, `250ms`. `rework.duration_ms`
//! (`migrations/V14__retry_policy.sql`) reads the same texts.

/// The units with their lengths in milliseconds, the longest one first.
const UNITS: [(&str, i64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest text that is read, in bytes. With at most [`MAX_DIGITS`] digits before each unit, the sum fits `i64`.
const MAX_BYTES: usize = 60;

/// The most digits before a unit.
const MAX_DIGITS: usize = 9;

/// Reads a duration, one or more whole numbers with their units, and returns milliseconds. `None` if the text is not
/// one.
pub fn read(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > MAX_BYTES {
        return None;
    }
    let (mut remaining, mut milliseconds) = (text, 0);
    while !remaining.is_empty() {
        let digits = remaining.find(|c: char| !c.is_ascii_digit())?;
        let (number, rest) = remaining.split_at(digits);
        let letters = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(letters);
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if number.len() > MAX_DIGITS {
            return None;
        }
        milliseconds += number.parse::<i64>().ok()? * length;
        remaining = rest;
    }
    Some(milliseconds)
}

/// Returns milliseconds as a duration such as `5m`, `1h30m` or `250ms`, which [`read`] can read.
pub fn show(milliseconds: i64) -> String {
    let mut remaining = milliseconds.max(0);
    if remaining == 0 {
        return "0s".to_owned();
    }
    let mut part = |(unit, length): (&str, i64)| {
        let count = remaining / length;
        remaining %= length;
        if count > 0 { format!("{count}{unit}") } else { String::new() }
    };
    UNITS.map(&mut part).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_numbers_with_units() {
        for (text, expected) in [
            ("0s", 0),
            ("250ms", 250),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("5m5ms", 300_005),
            ("999999999d", 86_399_999_913_600_000),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        let long = "999999999d".repeat(7);
        for text in
            ["", "5", "s", "5 s", "1.5s", "-1s", "5S", "5msd", "1h 30m", "1000000000s", &long]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_that_is_shown_can_be_read() {
        for milliseconds in [0, 1, 999, 1_000, 61_001, 5_400_000, 31_536_000_000] {
            assert_eq!(read(&show(milliseconds)), Some(milliseconds));
        }
        assert_eq!(show(5_400_000), "1h30m");
    }
}
