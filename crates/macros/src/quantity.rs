//! Parses durations and sizes such as `5m` and `2GiB` while the program is compiled.
//!
//! They are written as in manifests and on the command line, and read by the same libraries. The functions of
//! `rework-core` are not called: then every program of operations would have to compile a Postgres client. A test of
//! the crate `rework` checks that both give the same results.

use bytesize::ByteSize;
use jiff::{Span, SpanRelativeTo};

/// Parses a duration such as `90s`, `5m`, `1h30m`, `PT5M` or `P1D`, and returns milliseconds. A day has 24 hours.
/// Months and years are refused, because they have no fixed length. `Err` is a sentence for the user.
pub(crate) fn milliseconds(text: &str) -> Result<i64, String> {
    let help = "write it as `90s`, `5m`, `1h30m` or `PT5M`";
    let span: Span = text.parse().map_err(|_| format!("`{text}` is not a duration: {help}"))?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("`{text}` is not a duration of fixed length: {help}"))?;
    if duration.is_negative() {
        return Err(format!("`{text}` is a negative duration: {help}"));
    }
    i64::try_from(duration.as_millis()).map_err(|_| format!("`{text}` is too long: {help}"))
}

/// Parses a size such as `512MiB` or `2GiB`, and returns bytes. `Err` is a sentence for the user.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    let help = "write it as `512MiB` or `2GiB`";
    // A number without a unit is refused, because people do not agree on whether it means bytes or MiB.
    if !text.ends_with(|last: char| last.is_ascii_alphabetic()) {
        return Err(format!("`{text}` is not a size with a unit: {help}"));
    }
    let size: ByteSize = text.parse().map_err(|_| format!("`{text}` is not a size: {help}"))?;
    i64::try_from(size.as_u64()).map_err(|_| format!("`{text}` is too large: {help}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_in_both_notations() {
        for (text, expected) in [
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("PT5M", 300_000),
            ("PT1H30M", 5_400_000),
            ("250ms", 250),
            ("0s", 0),
            ("1d", 86_400_000),
            ("P1DT1M", 86_460_000),
        ] {
            assert_eq!(milliseconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_duration_is_named_in_the_error() {
        for text in ["", "5", "5 parsecs", "5m later", "-5m", "5m ago", "PT", "P1M"] {
            let error = milliseconds(text).unwrap_err();
            assert!(error.starts_with(&format!("`{text}` is ")), "{error}");
            assert!(error.ends_with("write it as `90s`, `5m`, `1h30m` or `PT5M`"), "{error}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        for (text, expected) in
            [("2GiB", 2 << 30), ("512MiB", 512 << 20), ("1.5 GiB", 3 << 29), ("1MB", 1_000_000)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "2", "2 gigs", "GiB", "-1GiB"] {
            let error = bytes(text).unwrap_err();
            assert!(error.starts_with(&format!("`{text}` is not a size")), "{error}");
        }
        assert!(bytes("9EiB").unwrap_err().contains("too large"));
    }
}
