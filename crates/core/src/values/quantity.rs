//! Parses and formats durations and sizes, for manifests, the command line and messages.
//!
//! A duration is written `90s`, `5m`, `1h30m` or in ISO 8601 (`PT3M`, `P1D`). A size is written `512MiB` or `2GiB`. A
//! number without a unit is refused, because its reader cannot see the unit. The exception is [`bytes_or_mib`], for
//! options that the Python rework had.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::{Span, SpanRelativeTo};

const DURATION_FORMS: &str = "write it as `90s`, `5m`, `1h30m` or `PT5M`";
const SIZE_FORMS: &str = "write it as `512MiB` or `2GiB`";
const MIB: u64 = 1 << 20;

/// The longest duration: 1000 years. Postgres can add it to any present time, and subtract it.
const MAX_DURATION: Duration = Duration::from_secs(365_000 * 24 * 60 * 60);

/// The error of a text that is not a duration or a size. Its message shows how to write one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is {why}: {forms}")]
pub struct QuantityError {
    text: String,
    why: &'static str,
    forms: &'static str,
}

/// Parses a duration such as `90s`, `5m`, `1h30m`, `PT3M` or `P1D`.
///
/// A day has 24 hours. Months and years are refused, because their length is not fixed.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    let error = |why| QuantityError { text: text.to_owned(), why, forms: DURATION_FORMS };
    let span: Span = text.parse().map_err(|_| error("not a duration"))?;
    let length = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| error("not a duration of fixed length"))?;
    let length = Duration::try_from(length).map_err(|_| error("a negative duration"))?;
    if length > MAX_DURATION { Err(error("longer than 1000 years")) } else { Ok(length) }
}

/// Parses a [`duration`] and returns it in milliseconds.
pub fn milliseconds(text: &str) -> Result<i64, QuantityError> {
    i64::try_from(duration(text)?.as_millis()).map_err(|_| QuantityError {
        text: text.to_owned(),
        why: "too long",
        forms: DURATION_FORMS,
    })
}

/// Parses a size such as `512MiB`, `2GiB` or `1GB`, and returns it in bytes.
pub fn bytes(text: &str) -> Result<i64, QuantityError> {
    let error = |why| QuantityError { text: text.to_owned(), why, forms: SIZE_FORMS };
    if !text.ends_with(|last: char| last.is_ascii_alphabetic()) {
        return Err(error("not a size with a unit"));
    }
    let size: ByteSize = text.parse().map_err(|_| error("not a size"))?;
    i64::try_from(size.as_u64()).map_err(|_| error("too large"))
}

/// Parses a size and returns it in bytes. A number without a unit means MiB: `--maxmem 200`.
pub fn bytes_or_mib(text: &str) -> Result<i64, QuantityError> {
    match text.parse::<u64>() {
        Ok(mib) => mib
            .checked_mul(MIB)
            .and_then(|bytes| i64::try_from(bytes).ok())
            .ok_or(QuantityError { text: text.to_owned(), why: "too large", forms: SIZE_FORMS }),
        Err(_) => bytes(text),
    }
}

/// Formats milliseconds as a duration such as `5m`, `1h30m` or `250ms`, which [`milliseconds`] can parse.
pub fn show_milliseconds(milliseconds: i64) -> String {
    rework_wire::duration::show(milliseconds)
}

/// Formats bytes as a size such as `2.1 GiB` or `512 MiB`, rounded to a tenth of the unit.
pub fn show_bytes(bytes: i64) -> String {
    let text = ByteSize::b(bytes.max(0).unsigned_abs()).display().iec().to_string();
    text.replacen(".0 ", " ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_notation() {
        for (text, expected) in [
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("250ms", 250),
            ("0s", 0),
            ("1d", 86_400_000),
            ("PT3M", 180_000),
            ("PT1H30M", 5_400_000),
            ("P1D", 86_400_000),
            ("P1W", 604_800_000),
            ("PT0.5S", 500),
        ] {
            assert_eq!(milliseconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_error_of_an_invalid_duration_shows_how_to_write_one() {
        for text in ["", "5", "5 parsecs", "5m later", "PT", "P1M", "-5m", "5m ago"] {
            let error = milliseconds(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is ")), "{error}");
            assert!(error.ends_with("`5m`, `1h30m` or `PT5M`"), "{error}");
        }
        assert!(milliseconds("-5m").unwrap_err().to_string().contains("a negative duration"));
        assert!(milliseconds("365000d").is_ok());
        let error = milliseconds("365001d").unwrap_err().to_string();
        assert!(error.starts_with("`365001d` is longer than 1000 years: "), "{error}");
    }

    #[test]
    fn a_size_needs_a_unit() {
        for (text, expected) in
            [("2GiB", 2 << 30), ("512MiB", 512 << 20), ("1.5 GiB", 3 << 29), ("1MB", 1_000_000)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "2", "2 gigs", "GiB", "-1GiB", "9EiB"] {
            let error = bytes(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is ")), "{error}");
        }
    }

    #[test]
    fn a_number_without_unit_can_mean_mib() {
        assert_eq!(bytes_or_mib("200"), Ok(200 << 20));
        assert_eq!(bytes_or_mib("2GiB"), Ok(2 << 30));
        assert_eq!(bytes_or_mib("0"), Ok(0));
        assert!(bytes_or_mib("99999999999999").is_err());
        assert!(bytes_or_mib("two").is_err());
    }

    #[test]
    fn formatted_durations_can_be_parsed() {
        for (milliseconds, shown) in [
            (300_000, "5m"),
            (5_400_000, "1h30m"),
            (2_000, "2s"),
            (1_250, "1s250ms"),
            (0, "0s"),
            (86_400_000, "1d"),
        ] {
            assert_eq!(show_milliseconds(milliseconds), shown);
            assert_eq!(super::milliseconds(shown), Ok(milliseconds));
        }
    }

    #[test]
    fn sizes_are_rounded_to_a_tenth() {
        for (bytes, shown) in
            [(2 << 30, "2 GiB"), (2_254_857_830, "2.1 GiB"), (512 << 20, "512 MiB"), (0, "0 B")]
        {
            assert_eq!(show_bytes(bytes), shown);
        }
    }
}
