//! A number of JSON with all its digits. It is compared by its decimal digits, and is not converted to a double.

/// A number of JSON, as the text in which it was written. Two numbers are equal if their values are: `1`, `1.0` and
/// `10e-1`.
#[derive(Debug, Clone)]
pub struct Number(String);

impl Number {
    /// Returns the number with this text, which must be a number of JSON.
    pub(super) fn new(text: &str) -> Number {
        Number(text.to_owned())
    }

    /// Returns the number as it was written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Returns whether the value is an integer: `3`, but also `3.0` and `3e2`.
    pub fn is_integer(&self) -> bool {
        !self.0.contains(['.', 'e', 'E']) || self.decimal().exponent >= 0
    }

    /// Returns the nearest number that Rust's types hold: an integer of 64 bits, or a double.
    pub(super) fn rounded(&self) -> serde_json::Number {
        let infinite = || {
            let largest = if self.0.starts_with('-') { f64::MIN } else { f64::MAX };
            serde_json::Number::from_f64(largest).unwrap_or_else(|| 0.into())
        };
        serde_json::from_str(&self.0).unwrap_or_else(|_| infinite())
    }

    /// Returns a text that is the same for all numbers of this value.
    pub(super) fn canonical(&self) -> String {
        let Decimal { negative, digits, exponent } = self.decimal();
        let sign = if negative { "-" } else { "" };
        match (digits.as_str(), exponent) {
            ("", _) => "0".to_owned(),
            (_, 0) => format!("{sign}{digits}"),
            _ => format!("{sign}{digits}e{exponent}"),
        }
    }

    fn decimal(&self) -> Decimal {
        let (negative, unsigned) = match self.0.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, self.0.as_str()),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let zeros = all.len() - all.trim_end_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        if digits.is_empty() {
            return Decimal { negative: false, digits, exponent: 0 };
        }
        let exponent = shift(exponent) + zeros as i128 - fraction.len() as i128;
        Decimal { negative, digits, exponent }
    }
}

/// The value of a number: its digits, without zeros at either end, times a power of ten. Zero has no digits.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i128,
}

/// Returns the exponent that a number is written with. One that exceeds 64 bits becomes the nearest one of 64 bits: no
/// text is long enough to have digits for the difference.
fn shift(text: &str) -> i128 {
    match text.parse::<i64>() {
        Ok(exponent) => i128::from(exponent),
        Err(_) if text.starts_with('-') => i128::from(i64::MIN),
        Err(_) => i128::from(i64::MAX),
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.0 == other.0 || self.decimal() == other.decimal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_equal_value_are_equal() {
        for (one, other, canonical) in [
            ("1", "1.0", "1"),
            ("-120", "-1.2E+2", "-12e1"),
            ("0.05", "5e-2", "5e-2"),
            ("-0.0", "0e99", "0"),
            ("12345678901234567.25", "1234567890123456725e-2", "1234567890123456725e-2"),
            ("1e400", "10e399", "1e400"),
            ("1e99999999999999999999", "1E99999999999999999999", "1e9223372036854775807"),
        ] {
            let (one, other) = (Number::new(one), Number::new(other));
            assert_eq!(one, other);
            assert_eq!([one.canonical(), other.canonical()], [canonical, canonical]);
        }
        for (one, other) in [
            ("1", "-1"),
            ("12345678901234567.25", "12345678901234567.5"),
            ("9007199254740993", "9007199254740992"),
            ("1e400", "1e401"),
        ] {
            assert_ne!(Number::new(one), Number::new(other));
        }
    }

    #[test]
    fn a_fraction_beyond_the_digits_of_a_double_makes_no_integer() {
        for (text, is_integer) in [
            ("12345678901234567.25", false),
            ("123456789012345678901234567890", true),
            ("1.0", true),
            ("1.5e1", true),
            ("1.5e0", false),
            ("0.0", true),
            ("1e400", true),
            ("1e-400", false),
        ] {
            assert_eq!(Number::new(text).is_integer(), is_integer, "{text}");
        }
    }
}
