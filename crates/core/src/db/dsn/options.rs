//! The options of a DSN that the database library does not know: taken out of its text.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Options by their names.
pub(crate) type Settings = BTreeMap<String, String>;

/// Those that are ours to carry out.
pub(super) const OURS: [&str; 6] =
    ["service", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey"];

/// The variables that stand in for what is left out.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("passfile", "PGPASSFILE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
];

/// The text without ours, and ours.
pub(super) fn take(text: &str) -> Result<(String, Settings), String> {
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if is_url { of_url(text) } else { of_pairs(text) }
}

fn of_url(text: &str) -> Result<(String, Settings), String> {
    let Some((place, query)) = text.split_once('?') else {
        return Ok((text.to_owned(), Settings::new()));
    };
    let (mut rest, mut ours) = (Vec::new(), Settings::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((name, value)) if OURS.contains(&name) => {
                let value = percent_decode_str(value).decode_utf8();
                let value = value.map_err(|_| format!("`{name}` is not UTF-8"))?;
                ours.insert(name.to_owned(), value.into_owned());
            }
            _ => rest.push(pair),
        }
    }
    let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    Ok((format!("{place}{query}"), ours))
}

/// `name = value`, or `name = 'a \'quoted\' value'`.
fn of_pairs(text: &str) -> Result<(String, Settings), String> {
    let (mut kept, mut ours) = (Vec::new(), Settings::new());
    let mut left = text.trim_start();
    while let Some((name, after)) = left.split_once('=') {
        let value_at = after.trim_start();
        let (value, length) = value(value_at)?;
        let end = text.len() - (value_at.len() - length);
        let name = name.trim();
        if OURS.contains(&name) {
            ours.insert(name.to_owned(), value);
        } else {
            kept.push(&text[text.len() - left.len()..end]);
        }
        left = value_at[length..].trim_start();
    }
    // What is no pair, the library refuses in its own words.
    kept.push(left);
    Ok((kept.join(" "), ours))
}

/// A value, and how many bytes of the text it takes.
fn value(text: &str) -> Result<(String, usize), String> {
    let quoted = text.starts_with('\'');
    let (mut value, mut escaped) = (String::new(), false);
    for (at, letter) in text.char_indices().skip(usize::from(quoted)) {
        match letter {
            _ if escaped => {
                value.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '\'' if quoted => return Ok((value, at + 1)),
            _ if !quoted && letter.is_whitespace() => return Ok((value, at)),
            _ => value.push(letter),
        }
    }
    if quoted { Err("a quote is not closed".to_owned()) } else { Ok((value, text.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_options_are_taken_out() {
        for (text, rest, ours) in [
            ("postgres://me@db/x", "postgres://me@db/x", vec![]),
            (
                "postgres://db/x?sslmode=verify-full&user=me&sslrootcert=%2Fa%20b",
                "postgres://db/x?user=me",
                vec![("sslmode", "verify-full"), ("sslrootcert", "/a b")],
            ),
            ("postgres://db/x?sslmode=require", "postgres://db/x", vec![("sslmode", "require")]),
            (
                r"host=db sslrootcert = '/a \'b' password='s 3' sslmode=disable port=1",
                "host=db password='s 3' port=1 ",
                vec![("sslmode", "disable"), ("sslrootcert", "/a 'b")],
            ),
            ("service=prod", "", vec![("service", "prod")]),
            ("host=db nonsense", "host=db nonsense", vec![]),
        ] {
            let (found, settings) = take(text).unwrap();
            let settings: Vec<(&str, &str)> =
                settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!((found.as_str(), settings), (rest, ours), "{text}");
        }
        assert_eq!(take("sslmode='x").unwrap_err(), "a quote is not closed");
    }
}
