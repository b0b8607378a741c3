//! Reads the service file of Postgres, which stores the options of a connection under a name.
//!
//! The file is the one that `servicefile` or `PGSERVICEFILE` names, or `~/.pg_service.conf`.

use super::{env_var, home_path, parameters::Settings};

/// Returns the options of the service `name`. `file` is the path of the file that the DSN names, if it names one. `Err`
/// if the file cannot be read or does not contain the service.
pub(super) fn find(name: &str, file: Option<&str>) -> Result<Settings, String> {
    let named = file.map(str::to_owned).or_else(|| env_var("PGSERVICEFILE"));
    let path = named.map(Into::into).or_else(|| home_path(".pg_service.conf"));
    let path = path.ok_or_else(|| {
        format!("cannot look up the service `{name}`: neither PGSERVICEFILE nor HOME is set")
    })?;
    let text = std::fs::read_to_string(&path).map_err(|error| {
        format!("cannot look up the service `{name}`: cannot read `{}`: {error}", path.display())
    })?;
    read(&text, name).ok_or_else(|| format!("there is no service `{name}` in `{}`", path.display()))
}

/// Returns the options in the section `name` of a service file, or `None` if there is no such section.
fn read(text: &str, name: &str) -> Option<Settings> {
    let mut section_options: Option<Settings> = None;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            if section_options.is_some() {
                break;
            }
            section_options = (section.trim() == name).then(Settings::new);
        } else if let (Some(settings), Some((key, value))) =
            (&mut section_options, line.split_once('='))
            && !line.starts_with('#')
        {
            settings.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    section_options
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
