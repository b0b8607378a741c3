//! Services: options by a name, in `~/.pg_service.conf` or the file that `PGSERVICEFILE` names.

use super::{at_home, from, options::Settings};

/// The options of a service.
pub(super) fn find(name: &str) -> Result<Settings, String> {
    let path = from("PGSERVICEFILE").map(Into::into).or_else(|| at_home(".pg_service.conf"));
    let path = path.ok_or_else(|| format!("there is no file for the service `{name}`"))?;
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("the service `{name}`: `{}`: {error}", path.display()))?;
    read(&text, name).ok_or_else(|| format!("there is no service `{name}` in `{}`", path.display()))
}

fn read(text: &str, name: &str) -> Option<Settings> {
    let mut found: Option<Settings> = None;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            if found.is_some() {
                break;
            }
            found = (section.trim() == name).then(Settings::new);
        } else if let (Some(settings), Some((key, value))) = (&mut found, line.split_once('='))
            && !line.starts_with('#')
        {
            settings.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_its_name() {
        let text = "# ours\n[test]\nhost=a\n\n[prod]\nhost = b\n#port=1\nsslmode=require\n[other]\nport=2\n";
        let prod = read(text, "prod").unwrap();
        let pairs: Vec<_> =
            prod.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("host", "b"), ("sslmode", "require")]);
        assert!(read(text, "none").is_none());
    }
}
