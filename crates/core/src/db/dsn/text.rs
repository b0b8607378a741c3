//! Reads the text of a DSN, `postgres://…` or `host=… …`, into the values of its parameters.
//!
//! Error messages do not repeat parts of the text, because any part may belong to a password.

use percent_encoding::percent_decode_str;

use super::parameters::Settings;

/// The beginnings of a DSN that is a URL.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Reads a DSN. If a parameter has several values, the last one counts. An empty value counts as none.
pub(super) fn read(text: &str) -> Result<Settings, String> {
    let url = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme));
    let mut settings = match url {
        Some(rest) => read_url(rest)?,
        None => read_pairs(text)?,
    };
    settings.retain(|_, value| !value.is_empty());
    Ok(settings)
}

/// Reads a URL without its scheme: `user:password@host:port,host:port/database?name=value&name=value`.
fn read_url(rest: &str) -> Result<Settings, String> {
    let mut settings = Settings::new();
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (credentials, address) = before_query.split_once('@').unwrap_or(("", before_query));
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (hosts, database) = address.split_once('/').unwrap_or((address, ""));
    for (name, value) in [("user", user), ("password", password), ("dbname", database)] {
        settings.insert(name.to_owned(), decode(name, value)?);
    }
    read_hosts(hosts, &mut settings)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err("a parameter after the `?` has no `=`".to_owned());
        };
        let name = decode("a name of a parameter", name)?;
        let value = decode(&name, value)?;
        // As in libpq, for URLs that were written for JDBC.
        let is_ssl = name == "ssl" && value == "true";
        let (name, value) =
            if is_ssl { ("sslmode".to_owned(), "require".to_owned()) } else { (name, value) };
        settings.insert(name, value);
    }
    Ok(settings)
}

/// Reads the hosts of a URL, each with an optional port. An IPv6 address is in brackets.
fn read_hosts(text: &str, settings: &mut Settings) -> Result<(), String> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for server in text.split(',') {
        let (host, port) = match server.strip_prefix('[') {
            Some(address) => {
                let Some((host, rest)) = address.split_once(']') else {
                    return Err("a `[` is not closed".to_owned());
                };
                (host, rest.strip_prefix(':').unwrap_or(rest))
            }
            None => server.split_once(':').unwrap_or((server, "")),
        };
        hosts.push(decode("host", host)?);
        ports.push(decode("port", port)?);
    }
    for (name, values) in [("host", hosts), ("port", ports)] {
        if values.iter().any(|value| !value.is_empty()) {
            settings.insert(name.to_owned(), values.join(","));
        }
    }
    Ok(())
}

fn decode(name: &str, value: &str) -> Result<String, String> {
    let decoded = percent_decode_str(value).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| format!("`{name}` is not UTF-8"))
}

/// Reads a DSN of the form `name = value name = 'a \'quoted\' value'`.
fn read_pairs(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::new();
    let mut unread = text.trim_start();
    while !unread.is_empty() {
        let (name, after) = unread.split_once('=').unwrap_or((unread, ""));
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) || name == unread.trim_end() {
            return Err("a parameter has no `=`".to_owned());
        }
        let value_at = after.trim_start();
        let (value, length) = value(value_at)?;
        settings.insert(name.to_owned(), value);
        unread = value_at[length..].trim_start();
    }
    Ok(settings)
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
    fn both_forms_of_a_dsn_are_read_as_libpq_reads_them() {
        for (text, expected) in [
            ("postgres://me@db/x", vec![("dbname", "x"), ("host", "db"), ("user", "me")]),
            ("postgresql://", vec![]),
            (
                "postgres://me:s3%3Acret@a:1,[::1]:2,c/x?target_session_attrs=read-write",
                vec![
                    ("dbname", "x"),
                    ("host", "a,::1,c"),
                    ("password", "s3:cret"),
                    ("port", "1,2,"),
                    ("target_session_attrs", "read-write"),
                    ("user", "me"),
                ],
            ),
            (
                "postgres://%2Ftmp/x?sslrootcert=%2Fa%20b&ssl=true",
                vec![
                    ("dbname", "x"),
                    ("host", "/tmp"),
                    ("sslmode", "require"),
                    ("sslrootcert", "/a b"),
                ],
            ),
            (
                "postgres://db/x?user=me&user=you&options=",
                vec![("dbname", "x"), ("host", "db"), ("user", "you")],
            ),
            (
                r"host=db sslrootcert = '/a \'b' password='s 3' options= port=1",
                vec![
                    ("host", "db"),
                    ("options", "port=1"),
                    ("password", "s 3"),
                    ("sslrootcert", "/a 'b"),
                ],
            ),
            ("service=prod", vec![("service", "prod")]),
            ("", vec![]),
        ] {
            let settings = read(text).unwrap();
            let settings: Vec<(&str, &str)> =
                settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(settings, expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_dsn_is_refused_without_repeating_it() {
        for (text, expected) in [
            ("host=db s3cret", "a parameter has no `=`"),
            ("host=db s3 cret=1", "a parameter has no `=`"),
            ("s3cret", "a parameter has no `=`"),
            ("password='s3cret", "a quote is not closed"),
            ("postgres://[::1/s3cret", "a `[` is not closed"),
            ("postgres://db/x?s3cret", "a parameter after the `?` has no `=`"),
            ("postgres://me:%FF@db/x", "`password` is not UTF-8"),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text}");
        }
    }
}
