//! The file of passwords: `host:port:database:user:password` in `~/.pgpass`, readable by its owner alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tokio_postgres::{Config, config::Host};

use super::{DEFAULT_PORT, at_home};

/// The password for what a DSN names, if the file has one. As `psql` does, one that others can read is
/// not trusted.
pub(super) fn find(named: Option<&str>, config: &Config) -> Option<String> {
    let path = named.map(PathBuf::from).or_else(|| at_home(".pgpass"))?;
    let metadata = std::fs::metadata(&path).ok()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!("`{}` is not used: others can read it; `chmod 600` it", path.display());
        return None;
    }
    let host = match (config.get_hostaddrs(), config.get_hosts()) {
        // One password is not for several servers.
        ([], [_, _, ..]) | ([_, _, ..], _) => return None,
        (_, [Host::Tcp(host)]) if !host.is_empty() => host.clone(),
        ([address], _) => address.to_string(),
        _ => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(DEFAULT_PORT).to_string();
    let user = config.get_user()?;
    let database = config.get_dbname().unwrap_or(user);
    read(&std::fs::read_to_string(&path).ok()?, [&host, &port, database, user])
}

fn read(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, place) = fields.split_last()?;
        let fits = |(field, wanted): (&String, &&str)| field == "*" || field == wanted;
        (place.len() == 4 && place.iter().zip(&wanted).all(fits)).then(|| password.clone())
    })
}

/// Parted by colons, but for those behind a backslash.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut escaped) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            _ if escaped => {
                field.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            // The rest is the password.
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
    fn the_first_line_that_fits_counts() {
        let text = "#db:1:x:me:no\ndb:1:x:you:no\n*:5432:*:me:a:b\\\\c\ndb:*:x:me:later\n";
        assert_eq!(read(text, ["db", "5432", "x", "me"]).as_deref(), Some("a:b\\c"));
        assert_eq!(read(text, ["db", "1", "x", "me"]).as_deref(), Some("later"));
        assert_eq!(read(text, ["db", "1", "x", "her"]), None);
    }
}
