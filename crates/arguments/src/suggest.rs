//! Suggests the known word that the user probably meant, for messages about an unknown word.

/// Number of letters of a word for which one typing error is tolerated. Every word may have one error.
const LETTERS_PER_ERROR: usize = 3;

/// Returns the candidate that is most similar to `word`, or `None` if none is similar enough.
///
/// ```
/// use rework_arguments::suggest::nearest;
///
/// assert_eq!(nearest("timout", ["timeout", "memory"]), Some("timeout"));
/// assert_eq!(nearest("colour", ["timeout", "memory"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let max_errors = (word.chars().count() / LETTERS_PER_ERROR).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= max_errors)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns the end of a message, `` : did you mean `timeout`? ``, or an empty text if no candidate is similar enough.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_recognised_and_other_words_are_not() {
        let known = ["timeout", "memory", "attempts", "env"];
        for (word, meant) in [
            ("timout", Some("timeout")),
            ("Timeout", Some("timeout")),
            ("attempst", Some("attempts")),
            ("evn", Some("env")),
            ("colour", None),
            ("e", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(did_you_mean("timout", known), ": did you mean `timeout`?");
        assert_eq!(did_you_mean("colour", known), "");
    }
}
