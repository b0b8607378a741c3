//! The configuration file, `rework.toml`: databases by name, and how monitors are started here.

use std::{
    collections::BTreeMap,
    num::NonZero,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rework_core::values::quantity::{self, QuantityError};
use rework_monitor::{Keep, PerDomain};
use serde::Deserialize;

use crate::report::{OrHint as _, hinted};

/// What the file says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The name of the database, where none is named otherwise.
    pub(crate) database: Option<String>,
    #[serde(default)]
    pub(crate) databases: BTreeMap<String, Database>,
    #[serde(default)]
    pub(crate) monitor: Monitor,
    /// What domains have of their own, whatever the others are given.
    #[serde(default)]
    domains: BTreeMap<String, Domain>,
    #[serde(skip)]
    pub(crate) path: PathBuf,
}

/// A database that has a name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    dsn: Option<String>,
    /// A file that says where it is, relative to this one.
    dsn_file: Option<PathBuf>,
    /// What destroys asks first.
    #[serde(default)]
    pub(crate) production: bool,
}

/// Options of `rework monitor`, as they would be typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monitor {
    domain: Option<Vec<String>>,
    minworkers: Option<u32>,
    maxworkers: Option<u32>,
    maxruns: Option<u32>,
    maxmem: Option<String>,
    batch: Option<u32>,
    start_timeout: Option<String>,
    vacuum: Option<String>,
    shutdown_grace: Option<String>,
    host: Option<String>,
    capability: Option<Vec<String>>,
    containment: Option<String>,
    register: Option<Vec<String>>,
    listen: Option<String>,
    lease: Option<String>,
}

/// What a domain has of its own of these options of `rework monitor`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Domain {
    minworkers: Option<u32>,
    maxworkers: Option<NonZero<u32>>,
    maxruns: Option<u32>,
    maxmem: Option<Size>,
}

/// As it is typed behind `--maxmem`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Size(i64);

impl TryFrom<String> for Size {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Size, QuantityError> {
        quantity::bytes_or_mib(&text).map(Size)
    }
}

/// The places of the file, first one first.
fn places() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = variable("REWORK_CONFIG") {
        return vec![path.into()];
    }
    let home = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")));
    let home = home.map(|folder| folder.join("rework/rework.toml"));
    [Some("rework.toml".into()), home, Some("/etc/rework/rework.toml".into())]
        .into_iter()
        .flatten()
        .collect()
}

impl Config {
    /// Reads the first file that is there; without any, nothing is configured.
    pub(crate) fn load() -> anyhow::Result<Config> {
        let named = std::env::var_os("REWORK_CONFIG").is_some_and(|value| !value.is_empty());
        for path in places() {
            match std::fs::read_to_string(&path) {
                Ok(text) => return Config::read(&text, &path),
                // What is not for us is not there for us.
                Err(error) if is_not_for_us(&error) && !named => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
                }
            }
        }
        Ok(Config::default())
    }

    fn read(text: &str, path: &Path) -> anyhow::Result<Config> {
        let config: Config = toml::from_str(text)
            .with_context(|| format!("`{}` is no configuration", path.display()))
            .or_hint(|| "its keys are in docs/cli.md, \"The configuration file\"".into())?;
        Ok(Config { path: path.to_owned(), ..config })
    }

    /// How the workers of each domain are kept; `usual`: of those that have nothing of their own here.
    pub(crate) fn keep(&self, usual: Keep) -> PerDomain<Keep> {
        let own = self.domains.iter().map(|(name, domain)| (name.clone(), domain.keep(usual)));
        PerDomain { usual, own: own.collect() }
    }

    /// The DSN of a database that has this name.
    pub(crate) fn dsn(&self, name: &str) -> anyhow::Result<(String, &Database)> {
        let Some(database) = self.databases.get(name) else {
            let names: Vec<&str> = self.databases.keys().map(String::as_str).collect();
            let known = match names.as_slice() {
                [] => "give a DSN, `postgres://…`; or put `[databases.NAME]` with `dsn = …` into rework.toml"
                    .to_owned(),
                names => format!("rework.toml has `{}`", names.join("`, `")),
            };
            return Err(hinted(format!("`{name}` is no database"), known));
        };
        let dsn = match (&database.dsn, &database.dsn_file) {
            (Some(dsn), None) => dsn.clone(),
            (None, Some(file)) => {
                let path = self.path.parent().unwrap_or(Path::new(".")).join(file);
                let text = std::fs::read_to_string(&path);
                text.with_context(|| format!("cannot read `{}`", path.display()))?.trim().to_owned()
            }
            _ => {
                return Err(hinted(
                    format!("database `{name}` needs either `dsn` or `dsn_file`"),
                    format!("see `[databases.{name}]` in `{}`", self.path.display()),
                ));
            }
        };
        Ok((dsn, database))
    }
}

impl Domain {
    fn keep(&self, usual: Keep) -> Keep {
        Keep {
            minworkers: self.minworkers.or(usual.minworkers),
            maxworkers: self.maxworkers.map_or(usual.maxworkers, NonZero::get),
            maxruns: self.maxruns.unwrap_or(usual.maxruns),
            maxmem_bytes: self.maxmem.map_or(usual.maxmem_bytes, |size| size.0.unsigned_abs()),
        }
    }
}

fn is_not_for_us(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied)
}

impl Monitor {
    /// The words that stand in for what was not typed: `--maxworkers`, `4`. What was typed comes
    /// behind them, and `typed` tells it.
    pub(crate) fn words(&self, typed: impl Fn(&str) -> bool) -> Vec<String> {
        let number = |number: &Option<u32>| number.map(|number| vec![number.to_string()]);
        let text = |text: &Option<String>| text.clone().map(|text| vec![text]);
        let options = [
            ("domain", self.domain.clone()),
            ("minworkers", number(&self.minworkers)),
            ("maxworkers", number(&self.maxworkers)),
            ("maxruns", number(&self.maxruns)),
            ("maxmem", text(&self.maxmem)),
            ("batch", number(&self.batch)),
            ("start-timeout", text(&self.start_timeout)),
            ("vacuum", text(&self.vacuum)),
            ("shutdown-grace", text(&self.shutdown_grace)),
            ("host", text(&self.host)),
            ("capability", self.capability.clone()),
            ("containment", text(&self.containment)),
            ("register", self.register.clone()),
            ("listen", text(&self.listen)),
            ("lease", text(&self.lease)),
        ];
        let missing = options.into_iter().filter(|(name, _)| !typed(name));
        let given = missing.filter_map(|(name, values)| Some((name, values?)));
        given
            .flat_map(|(name, values)| {
                values.into_iter().map(move |value| format!("--{name}={value}"))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
database = "local"
[databases.local]
dsn = "postgres://localhost/jobs"
[databases.prod]
dsn = "service=jobs"
production = true
[monitor]
domain = ["images", "default"]
maxworkers = 4
lease = "30s"
[domains.images]
maxworkers = 1
maxmem = "2GiB"
"#;

    fn read(text: &str) -> anyhow::Result<Config> {
        Config::read(text, Path::new("/etc/rework.toml"))
    }

    #[test]
    fn databases_have_names() {
        let config = read(TEXT).unwrap();
        let (dsn, database) = config.dsn("prod").unwrap();
        assert_eq!((dsn.as_str(), database.production), ("service=jobs", true));
        let error = config.dsn("prd").unwrap_err();
        assert_eq!(error.to_string(), "`prd` is no database");
        assert!(
            read("[databases.x]\n").unwrap().dsn("x").unwrap_err().to_string().contains("either")
        );
    }

    #[test]
    fn a_domain_may_have_something_of_its_own() {
        let usual = Keep { minworkers: Some(2), maxworkers: 4, maxruns: 7, maxmem_bytes: 0 };
        let images = Keep { maxworkers: 1, maxmem_bytes: 2 << 30, ..usual };
        assert_eq!(
            read(TEXT).unwrap().keep(usual).own,
            BTreeMap::from([("images".into(), images)])
        );
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for text in
            ["[monitor]\nmaxworker = 3", "x = 1", "[databases.a]\npassword = 'x'", "nonsense"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn options_that_were_typed_win() {
        let config = read(TEXT).unwrap();
        assert_eq!(
            config.monitor.words(|name| name == "maxworkers"),
            ["--domain=images", "--domain=default", "--lease=30s"]
        );
    }
}
