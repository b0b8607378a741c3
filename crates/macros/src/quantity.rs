//! Durations and sizes as people write them, checked while the program is compiled.
//!
//! The grammar is that of manifests and of the command line, by the same parsers; a test of the SDK
//! holds the two against each other. The queue's own functions are not called here: a program's
//! compiler should not need a Postgres client.

use bytesize::ByteSize;
use jiff::{Span, SpanRelativeTo};

/// Milliseconds of `90s`, `5m`, `1h30m`, `PT5M` or `P1D`: a day has 24 hours, a month no length of
/// its own. The error is a sentence.
pub(crate) fn milliseconds(text: &str) -> Result<i64, String> {
    let forms = "write it as `90s`, `5m`, `1h30m` or `PT5M`";
    let span: Span = text.parse().map_err(|_| format!("`{text}` is not a duration: {forms}"))?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("`{text}` is not a duration of fixed length: {forms}"))?;
    if duration.is_negative() {
        return Err(format!("`{text}` is a duration before now: {forms}"));
    }
    i64::try_from(duration.as_millis()).map_err(|_| format!("`{text}` is too long: {forms}"))
}

/// Bytes of `512MiB` or `2GiB`. The error is a sentence.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    let forms = "write it as `512MiB` or `2GiB`";
    // A number without its unit is read as bytes by some and as MiB by others.
    if !text.ends_with(|last: char| last.is_ascii_alphabetic()) {
        return Err(format!("`{text}` is not a size with its unit: {forms}"));
    }
    let size: ByteSize = text.parse().map_err(|_| format!("`{text}` is not a size: {forms}"))?;
    i64::try_from(size.as_u64()).map_err(|_| format!("`{text}` is too much: {forms}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_both_notations() {
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
    fn what_is_no_duration_is_named() {
        for text in ["", "5", "5 parsecs", "5m later", "-5m", "5m ago", "PT", "P1M"] {
            let error = milliseconds(text).unwrap_err();
            assert!(error.starts_with(&format!("`{text}` is ")), "{error}");
            assert!(error.ends_with("write it as `90s`, `5m`, `1h30m` or `PT5M`"), "{error}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in
            [("2GiB", 2 << 30), ("512MiB", 512 << 20), ("1.5 GiB", 3 << 29), ("1MB", 1_000_000)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "2", "2 gigs", "GiB", "-1GiB"] {
            let error = bytes(text).unwrap_err();
            assert!(error.starts_with(&format!("`{text}` is not a size")), "{error}");
        }
        assert!(bytes("9EiB").unwrap_err().contains("too much"));
    }
}
