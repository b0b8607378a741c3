//! The password in the text of a DSN: hiding it in messages, and adding it.

use std::fmt::Write as _;

/// The keys whose values are secrets, in lower case. `sslpassword` contains the first one.
const KEYS: [&str; 6] =
    ["password", "passwd", "pwd", "oauth_client_secret", "scram_client_key", "scram_server_key"];

/// The text in place of a password.
const HIDDEN: &str = "***";

/// The start of the example of a DSN that our own messages show, after the scheme.
const EXAMPLE: &str = "user:password@host";

/// Replaces everything that may be a password by `***`: the text between a user and `@`, and each value of `password=`.
///
/// The text need not be a valid DSN, since error messages show it.
pub(super) fn redact(dsn: &str) -> String {
    let is_of_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.:_".contains(letter);
    let scheme = dsn.find("://").filter(|at| dsn[..*at].chars().all(is_of_scheme));
    match scheme {
        Some(at) => hide_values(&hide_user_part(dsn, at + 3), |value| {
            value.find('&').unwrap_or(value.len())
        }),
        None => hide_values(&hide_user_part(dsn, 0), value_end),
    }
}

/// Replaces everything in a message that may be the password of a database by `***`. The message may quote several
/// DSNs, of any kind, also invalid ones: `postgresql+psycopg2://me:***@db/x`.
///
/// Every message that a command prints passes through here. It hides too much rather than too little.
pub fn hide_passwords(message: &str) -> String {
    let mut hidden = String::with_capacity(message.len());
    for line in message.split_inclusive('\n') {
        hidden.push_str(&hide_values(&hide_user_parts(line), value_end_in_message));
    }
    hidden
}

/// Returns the text of a DSN that contains this password. `text` is a valid DSN without a password.
pub(super) fn with_password(text: &str, password: &str) -> String {
    if !text.contains("://") {
        let escaped = password.replace('\\', "\\\\").replace('\'', "\\'");
        return format!("{text} password='{escaped}'");
    }
    let mut url = format!("{text}{}password=", if text.contains('?') { '&' } else { '?' });
    for byte in password.bytes() {
        if byte.is_ascii_alphanumeric() {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

/// Hides the password in `user:password@` after `start`, up to the last `@`.
fn hide_user_part(text: &str, start: usize) -> String {
    let Some(end) = text[start..].rfind('@').map(|at| at + start) else { return text.to_owned() };
    let Some(colon) = text[start..end].find(':').map(|colon| colon + start) else {
        return text.to_owned();
    };
    if end == start + "user:password".len() && text[start..].starts_with(EXAMPLE) {
        return text.to_owned();
    }
    format!("{}:{HIDDEN}{}", &text[..colon], &text[end..])
}

/// Hides the password in each `user:password@` of a line. It ends before the last `@` of the word. After `://`, where a
/// password may contain spaces, it ends before the last `@` of the line.
fn hide_user_parts(line: &str) -> String {
    if let Some(scheme) = line.find("://") {
        // The words before the URL may also have passwords, and so may the word in which it begins.
        let mut letters = line[..scheme].char_indices().rev();
        let space = letters.find(|(_, letter)| letter.is_whitespace());
        let word = space.map_or(0, |(at, letter)| at + letter.len_utf8());
        let before = hide_words(&line[..word]);
        let start = scheme + 3 - word;
        return before + &hide_user_part(&line[word..], start);
    }
    hide_words(line)
}

fn hide_words(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(|word| hide_user_part(word, 0)).collect()
}

/// Hides the value after each key of [`KEYS`] and `=`. `end` returns the length of the value with which a text starts.
fn hide_values(text: &str, end: impl Fn(&str) -> usize) -> String {
    let (mut hidden, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(key_end) = next_key_end(rest) {
        let (before, after) = rest.split_at(key_end);
        hidden.push_str(before);
        rest = after;
        let Some(given) = after.trim_start().strip_prefix('=') else { continue };
        let value = given.trim_start();
        let length = end(value);
        hidden.push_str(&after[..after.len() - value.len()]);
        if is_hidden(&value[..length]) {
            hidden.push_str(&value[..length]);
        } else if length > 0 {
            hidden.push_str(HIDDEN);
        }
        rest = &value[length..];
    }
    hidden + rest
}

/// Returns the end of the first key of [`KEYS`] in a text, in bytes. `None` if it contains none.
fn next_key_end(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    KEYS.into_iter().filter_map(|key| Some(lower.find(key)? + key.len())).min()
}

/// Returns whether a value is hidden already, perhaps with the punctuation of a message behind it.
fn is_hidden(value: &str) -> bool {
    value
        .strip_prefix(HIDDEN)
        .is_some_and(|rest| rest.chars().all(|letter| "`'\".,;:)]".contains(letter)))
}

/// Returns the length of the value with which a message continues, in bytes: up to the next white space that is not in
/// quotes.
fn value_end_in_message(value: &str) -> usize {
    let end = value_end(value);
    end + word_end(&value[end..])
}

/// Returns the length of the value with which a text starts, in bytes: up to white space, or a quoted value with its
/// closing quote.
fn value_end(value: &str) -> usize {
    if !value.starts_with('\'') {
        return word_end(value);
    }
    let mut escaped = false;
    let closing = value.char_indices().skip(1).find(|(_, letter)| {
        let closes = *letter == '\'' && !escaped;
        escaped = *letter == '\\' && !escaped;
        closes
    });
    closing.map_or(value.len(), |(at, _)| at + 1)
}

fn word_end(text: &str) -> usize {
    text.find(char::is_whitespace).unwrap_or(text.len())
}

#[cfg(test)]
mod tests;
