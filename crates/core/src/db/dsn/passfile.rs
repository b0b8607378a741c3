//! Reads the password file of Postgres, `~/.pgpass`. Its lines are `host:port:database:user:password`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tokio_postgres::config::Host;

use super::{home_path, servers::Server};

/// Reads the file. `named` is its path; `None` for `~/.pgpass`. `None` if there is no such file. Like `psql`, this
/// ignores a file that other users can read.
pub(super) fn open(named: Option<&str>) -> Option<String> {
    let path = named.map(PathBuf::from).or_else(|| home_path(".pgpass"))?;
    let metadata = std::fs::metadata(&path).ok()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        tracing::warn!(
            "the password file `{path}` is ignored: other users can read it; run `chmod 600 {path}`"
        );
        return None;
    }
    std::fs::read_to_string(&path).ok()
}

/// Returns the password for a server, with the database and the user of its configuration. `None` if the text of the
/// file has none.
pub(super) fn find(text: &str, server: &Server) -> Option<String> {
    let host = match (&server.host, server.address) {
        (Some(Host::Tcp(host)), _) => host.clone(),
        (_, Some(address)) => address.to_string(),
        _ => "localhost".to_owned(),
    };
    let user = server.config.get_user()?;
    let database = server.config.get_dbname().unwrap_or(user);
    read(text, [&host, &server.port.to_string(), database, user])
}

/// Returns the password of the first line whose host, port, database and user match `wanted`.
/// `None` if no line does.
fn read(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, key) = fields.split_last()?;
        let matches = |(field, wanted): (&String, &&str)| field == "*" || field == wanted;
        (key.len() == 4 && key.iter().zip(&wanted).all(matches)).then(|| password.clone())
    })
}

/// Splits a line at its first four colons. A backslash escapes the next character.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut escaped) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            _ if escaped => {
                field.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            // After four fields, everything else is the password, including colons.
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            _ => field.push(letter),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_line_gives_the_password() {
        let text = "#db:1:x:me:no\ndb:1:x:you:no\n*:5432:*:me:a:b\\\\c\ndb:*:x:me:later\n";
        assert_eq!(read(text, ["db", "5432", "x", "me"]).as_deref(), Some("a:b\\c"));
        assert_eq!(read(text, ["db", "1", "x", "me"]).as_deref(), Some("later"));
        assert_eq!(read(text, ["db", "1", "x", "her"]), None);
    }
}
