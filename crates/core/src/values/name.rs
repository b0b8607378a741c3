//! The rule for names of operations, domains, hosts and capabilities. `rework.name_fault`
//! (`migrations/V01__operation.sql`) is the same rule in the database.

use std::ops::RangeInclusive;

/// The largest length of a name in bytes. It is the largest length of a host name in the domain name system, too.
pub const MAX_BYTES: usize = 255;

/// The characters with the Unicode property `Default_Ignorable_Code_Point`, the separators of lines and of paragraphs,
/// the embeddings and isolates that change the direction of a text, and the annotations. Nobody sees them.
const INVISIBLE: [RangeInclusive<char>; 17] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Why a text cannot be a name, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error("is empty")]
    Empty,
    #[error("is longer than {} bytes", MAX_BYTES)]
    TooLong,
    /// The name contains the character with this number, which is invisible or changes the direction of the text.
    #[error("contains an invisible character, U+{0:04X}")]
    Invisible(u32),
}

/// Checks that a text can be a name. `Err` if not.
pub fn check(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if name.len() > MAX_BYTES {
        return Err(NameFault::TooLong);
    }
    name.chars().find(|c| is_invisible(*c)).map_or(Ok(()), |c| Err(NameFault::Invisible(c.into())))
}

/// Parses a name that is an option of a command. `Err` if it cannot be one.
pub fn parse(name: &str) -> Result<String, String> {
    check(name).map(|()| name.to_owned()).map_err(|fault| format!("the name {fault}"))
}

/// Returns whether nobody sees a character: whether it is a control character, has no width, or changes the direction
/// of the text.
pub fn is_invisible(c: char) -> bool {
    // Most texts are in ASCII.
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_easily_confused_are_refused() {
        let longest = "x".repeat(255);
        for name in ["resize", "images.thumb-nail_2", "größe", "縮小", "a b", "🖼", &longest]
        {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for (name, expected) in [
            ("", "is empty"),
            (&*"é".repeat(128), "is longer than 255 bytes"),
            ("re\u{200b}size", "contains an invisible character, U+200B"),
            ("\u{202e}ezis", "contains an invisible character, U+202E"),
            ("a\u{2066}b", "contains an invisible character, U+2066"),
            ("\u{feff}a", "contains an invisible character, U+FEFF"),
            ("a\u{e0041}", "contains an invisible character, U+E0041"),
            ("a\tb", "contains an invisible character, U+0009"),
            ("a\u{85}", "contains an invisible character, U+0085"),
        ] {
            assert_eq!(check(name).unwrap_err().to_string(), expected, "{name:?}");
        }
    }

    #[test]
    fn the_database_refuses_the_same_characters() {
        let schema = include_str!("../../../../migrations/V01__operation.sql");
        for range in &INVISIBLE {
            let [start, end] = [*range.start(), *range.end()].map(|c| match u32::from(c) {
                code if code > 0xffff => format!("\\\\U{code:08X}"),
                code => format!("\\\\u{code:04X}"),
            });
            assert!(schema.contains(&start) && schema.contains(&end), "{start} to {end}");
        }
    }
}
