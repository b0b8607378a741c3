//! Separates the options of a DSN that `tokio_postgres` does not handle, such as `sslmode`, from all others.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Values of options by their names.
pub(crate) type Settings = BTreeMap<String, String>;

/// The names of the options that this crate handles itself.
pub(super) const OURS: [&str; 6] =
    ["service", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey"];

/// Options and the environment variables that give their defaults.
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

/// Splits a DSN into a DSN for `tokio_postgres`, without the options of [`OURS`], and the values of these options.
pub(super) fn split(text: &str) -> Result<(String, Settings), String> {
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if is_url { split_url(text) } else { split_pairs(text) }
}

fn split_url(text: &str) -> Result<(String, Settings), String> {
    let Some((base, query)) = text.split_once('?') else {
        return Ok((text.to_owned(), Settings::new()));
    };
    let (mut kept, mut ours) = (Vec::new(), Settings::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((name, value)) if OURS.contains(&name) => {
                let value = percent_decode_str(value).decode_utf8();
                let value = value.map_err(|_| format!("`{name}` is not UTF-8"))?;
                ours.insert(name.to_owned(), value.into_owned());
            }
            _ => kept.push(pair),
        }
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Ok((format!("{base}{query}"), ours))
}

/// Splits a DSN of the form `name = value name = 'a \'quoted\' value'`.
fn split_pairs(text: &str) -> Result<(String, Settings), String> {
    let (mut kept, mut ours) = (Vec::new(), Settings::new());
    let mut unread = text.trim_start();
    while let Some((name, after)) = unread.split_once('=') {
        let value_at = after.trim_start();
        let (value, length) = value(value_at)?;
        let end = text.len() - (value_at.len() - length);
        let name = name.trim();
        if OURS.contains(&name) {
            ours.insert(name.to_owned(), value);
        } else {
            kept.push(&text[text.len() - unread.len()..end]);
        }
        unread = value_at[length..].trim_start();
    }
    // A remainder without `=` is kept, so that the library refuses it with its own message.
    kept.push(unread);
    Ok((kept.join(" "), ours))
}

/// Reads the value with which a text starts. Returns it with the number of bytes that it takes in the text.
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
    fn options_that_we_handle_are_separated() {
        for (text, expected, ours) in [
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
            let (for_library, settings) = split(text).unwrap();
            let settings: Vec<(&str, &str)> =
                settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!((for_library.as_str(), settings), (expected, ours), "{text}");
        }
        assert_eq!(split("sslmode='x").unwrap_err(), "a quote is not closed");
    }
}
