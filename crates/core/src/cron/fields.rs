//! Checks the fields of a cron rule for what the `croner` library accepts although it is no rule, or although it fires
//! less often than people expect. Pure.
//!
//! The library skips empty elements of lists, and replaces the names of days and months wherever they are, also within
//! a word or in another field.

/// A field of a rule.
#[derive(Debug)]
struct Field {
    /// The name of the field, as messages show it.
    name: &'static str,
    /// The values that the field may have, from the least to the greatest.
    values: (u16, u16),
    /// The words that the field may contain, in small letters.
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The fields of a rule with seconds. Other rules lack the first one.
static FIELDS: [Field; 6] = [
    Field { name: "second", values: (0, 59), words: &[] },
    Field { name: "minute", values: (0, 59), words: &[] },
    Field { name: "hour", values: (0, 23), words: &[] },
    Field { name: "day of the month", values: (1, 31), words: &["l", "lw"] },
    Field { name: "month", values: (1, 12), words: &MONTHS },
    Field { name: "day of the week", values: (0, 7), words: &WEEKDAYS },
];

/// Checks the fields of a rule. `Err` with the reason, as a phrase, if the library would accept what is no rule.
pub(super) fn check(fields: &[String]) -> Result<(), String> {
    for (field, text) in named(fields) {
        for element in text.split(',') {
            if element.is_empty() {
                return Err(format!("the field `{text}` has an empty element"));
            }
            for part in element.split(['-', '/', '#']) {
                if !field.accepts(part) {
                    return Err(format!("`{part}` is no {}", field.name));
                }
            }
        }
    }
    Ok(())
}

/// Returns a warning for each step of a rule that is so large that its field fires at one value only, such as `*/90` in
/// the field of the minutes. `rule` is a valid rule.
pub fn step_warnings(rule: &str) -> Vec<String> {
    let fields: Vec<&str> = rule.split_whitespace().collect();
    let mut warnings = Vec::new();
    for (field, text) in named(&fields) {
        for element in text.split(',') {
            if let Some(only) = field.only_value(element) {
                warnings.push(format!(
                    "`{element}` in the field of the {} means `{only}`: \
                     the step is larger than the range of values",
                    field.name
                ));
            }
        }
    }
    warnings
}

/// Returns the fields of a rule, each with its text.
fn named<T: AsRef<str>>(texts: &[T]) -> impl Iterator<Item = (&'static Field, &str)> {
    let fields = FIELDS.iter().skip(FIELDS.len().saturating_sub(texts.len()));
    fields.zip(texts.iter().map(AsRef::as_ref))
}

impl Field {
    /// Returns whether a part of an element means something in this field. An empty part and a number are left to the
    /// library.
    fn accepts(&self, part: &str) -> bool {
        let part = part.trim_start_matches('+').to_ascii_lowercase();
        let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if is_number(&part) || part == "*" || part == "?" || self.words.contains(&part.as_str()) {
            return true;
        }
        match self.name {
            // The weekday nearest to a day.
            "day of the month" => part.strip_suffix('w').is_some_and(is_number),
            // The last of a weekday in the month.
            "day of the week" => {
                part.strip_suffix('l').is_some_and(|day| is_number(day) || WEEKDAYS.contains(&day))
            }
            _ => false,
        }
    }

    /// Returns the only value of an element with a step, or `None` if it has several values or no step.
    fn only_value(&self, element: &str) -> Option<u16> {
        let (range, step) = element.split_once('/')?;
        let (least, greatest) = match range.split_once('-') {
            Some((least, greatest)) => (least.parse().ok()?, greatest.parse().ok()?),
            None if range == "*" || range.is_empty() => self.values,
            None => (range.parse().ok()?, self.values.1),
        };
        let step: u16 = step.parse().ok()?;
        (least.checked_add(step)? > greatest && greatest > least).then_some(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_larger_than_its_range_is_noticed() {
        for (rule, warned) in [
            ("*/90 * * * *", vec!["`*/90` in the field of the minute means `0`"]),
            ("0 */90 * * * *", vec!["`*/90` in the field of the minute means `0`"]),
            ("0 */24 * * *", vec!["`*/24` in the field of the hour means `0`"]),
            ("0 0 */31 * *", vec!["`*/31` in the field of the day of the month means `1`"]),
            ("0 9-17/9,20 * * *", vec!["`9-17/9` in the field of the hour means `9`"]),
            (
                "30/40 0 * 1/12 *",
                vec![
                    "`30/40` in the field of the minute means `30`",
                    "`1/12` in the field of the month means `1`",
                ],
            ),
            ("*/59 */23 * * *", vec![]),
            ("*/5 9-17/4 1 jan-mar/2 mon-fri/2", vec![]),
        ] {
            let warnings = step_warnings(rule);
            assert_eq!(warnings.len(), warned.len(), "{rule}: {warnings:?}");
            for (warning, start) in warnings.iter().zip(warned) {
                assert!(warning.starts_with(start), "{rule}: {warning}");
            }
        }
    }
}
