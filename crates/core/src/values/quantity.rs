//! Durations and sizes, as people write them and as they are shown: one grammar for manifests, the
//! command line and messages.
//!
//! A duration is `90s`, `5m`, `1h30m` or ISO 8601 (`PT3M`, `P1D`); a size is `512MiB` or `2GiB`.
//! Neither is ever a bare number, since nobody can see its unit; where history demands one, the
//! caller says so with a function of its own.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::{Span, SpanRelativeTo};

const DURATION_FORMS: &str = "write it as `90s`, `5m`, `1h30m` or `PT5M`";
const SIZE_FORMS: &str = "write it as `512MiB` or `2GiB`";
const MIB: u64 = 1 << 20;

/// Why a text is not a quantity, with how to write one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is {why}: {forms}")]
pub struct QuantityError {
    text: String,
    why: &'static str,
    forms: &'static str,
}

/// The duration of `90s`, `5m`, `1h30m`, `PT3M` or `P1D`. A day has 24 hours; months have no
/// length of their own and are refused.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    let fault = |why| QuantityError { text: text.to_owned(), why, forms: DURATION_FORMS };
    let span: Span = text.parse().map_err(|_| fault("not a duration"))?;
    let length = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| fault("not a duration of fixed length"))?;
    Duration::try_from(length).map_err(|_| fault("a duration before now"))
}

/// Milliseconds of a [`duration`].
pub fn milliseconds(text: &str) -> Result<i64, QuantityError> {
    i64::try_from(duration(text)?.as_millis()).map_err(|_| QuantityError {
        text: text.to_owned(),
        why: "too long",
        forms: DURATION_FORMS,
    })
}

/// Bytes of `512MiB`, `2GiB` or `1GB`.
pub fn bytes(text: &str) -> Result<i64, QuantityError> {
    let fault = |why| QuantityError { text: text.to_owned(), why, forms: SIZE_FORMS };
    if !text.ends_with(|last: char| last.is_ascii_alphabetic()) {
        return Err(fault("not a size with its unit"));
    }
    let size: ByteSize = text.parse().map_err(|_| fault("not a size"))?;
    i64::try_from(size.as_u64()).map_err(|_| fault("too much"))
}

/// Bytes of a size, where a bare number means MiB: `--maxmem 200`.
pub fn bytes_or_mib(text: &str) -> Result<i64, QuantityError> {
    match text.parse::<u64>() {
        Ok(mib) => mib
            .checked_mul(MIB)
            .and_then(|bytes| i64::try_from(bytes).ok())
            .ok_or(QuantityError { text: text.to_owned(), why: "too much", forms: SIZE_FORMS }),
        Err(_) => bytes(text),
    }
}

/// `5m`, `1h30m`, `250ms`: what [`milliseconds`] reads back.
pub fn show_milliseconds(milliseconds: i64) -> String {
    const UNITS: [(i64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut rest = milliseconds.max(0);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut part = |(length, unit): (i64, &str)| {
        let count = rest / length;
        rest %= length;
        if count > 0 { format!("{count}{unit}") } else { String::new() }
    };
    UNITS.map(&mut part).concat()
}

/// `2.1 GiB`, `512 MiB`: rounded to a tenth of its unit.
pub fn show_bytes(bytes: i64) -> String {
    let text = ByteSize::b(bytes.max(0).unsigned_abs()).display().iec().to_string();
    text.replacen(".0 ", " ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_every_notation() {
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
    fn what_is_no_duration_is_named_with_how_to_write_it() {
        for text in ["", "5", "5 parsecs", "5m later", "PT", "P1M", "-5m", "5m ago"] {
            let error = milliseconds(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is ")), "{error}");
            assert!(error.ends_with("`5m`, `1h30m` or `PT5M`"), "{error}");
        }
        assert!(milliseconds("-5m").unwrap_err().to_string().contains("before now"));
    }

    #[test]
    fn sizes_have_units() {
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
    fn a_bare_number_is_mib_where_it_may_be() {
        assert_eq!(bytes_or_mib("200"), Ok(200 << 20));
        assert_eq!(bytes_or_mib("2GiB"), Ok(2 << 30));
        assert_eq!(bytes_or_mib("0"), Ok(0));
        assert!(bytes_or_mib("99999999999999").is_err());
        assert!(bytes_or_mib("two").is_err());
    }

    #[test]
    fn durations_read_back() {
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
    fn sizes_are_rounded() {
        for (bytes, shown) in
            [(2 << 30, "2 GiB"), (2_254_857_830, "2.1 GiB"), (512 << 20, "512 MiB"), (0, "0 B")]
        {
            assert_eq!(show_bytes(bytes), shown);
        }
    }
}
