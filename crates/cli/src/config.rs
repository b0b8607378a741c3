//! Reads the configuration file, `rework.toml`: databases by name, default options of `rework monitor`, and options of
//! single domains. `docs/cli.md` describes the file. `database.rs` chooses a database with it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    num::NonZero,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use nix::unistd::geteuid;
use rework_core::values::quantity::{self, QuantityError};
use rework_monitor::{PerDomain, PoolOptions};
use serde::Deserialize;

use crate::error_text::{OrHint as _, hinted};

/// The contents of `rework.toml`. All keys are optional; an unknown key is an error.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The name of the database to use if neither an option nor the environment names one. `None`
    /// if the file names none.
    pub(crate) database: Option<String>,
    #[serde(default)]
    pub(crate) databases: BTreeMap<String, DatabaseConfig>,
    #[serde(default)]
    pub(crate) monitor: MonitorConfig,
    /// Options of single domains. They override the options of the monitor, also typed ones.
    #[serde(default)]
    domains: BTreeMap<String, DomainConfig>,
    /// The path of the file. Empty if there is no file.
    #[serde(skip)]
    pub(crate) path: PathBuf,
}

/// The table `[databases.NAME]`. Exactly one of `dsn` and `dsn_file` must be given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseConfig {
    dsn: Option<String>,
    /// A file that holds the DSN. A relative path starts at the directory of `rework.toml`. `None`
    /// if the table has `dsn`.
    dsn_file: Option<PathBuf>,
    /// Whether commands that destroy data or kill workers ask for confirmation first.
    #[serde(default)]
    pub(crate) production: bool,
}

/// The table `[monitor]`: default options of `rework monitor`, written as they would be typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MonitorConfig {
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

/// The table `[domains.NAME]`: options of `rework monitor` that may differ from domain to domain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DomainConfig {
    minworkers: Option<u32>,
    maxworkers: Option<NonZero<u32>>,
    maxruns: Option<u32>,
    maxmem: Option<MaxMem>,
}

/// The value of `maxmem` in bytes. The file has it in the form of `--maxmem`, for example `2GiB`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct MaxMem(i64);

impl TryFrom<String> for MaxMem {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<MaxMem, QuantityError> {
        quantity::bytes_or_mib(&text).map(MaxMem)
    }
}

/// Returns the paths at which the file may be, in order of preference. `$REWORK_CONFIG` excludes all others.
fn candidate_paths() -> Vec<PathBuf> {
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
    /// Reads the first configuration file that exists. Returns an empty configuration if there is no file.
    ///
    /// `Err` if the file is invalid, if it was found and belongs to another user, or if `$REWORK_CONFIG` names a file
    /// that cannot be read.
    pub(crate) fn load() -> anyhow::Result<Config> {
        let named = std::env::var_os("REWORK_CONFIG").is_some_and(|value| !value.is_empty());
        for path in candidate_paths() {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                // A file that this user may not read is meant for other users, so it counts as missing.
                Err(error) if is_missing_or_forbidden(&error) && !named => continue,
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
                }
            };
            if !named {
                refuse_foreign(&file, &path)?;
            }
            let mut text = String::new();
            file.read_to_string(&mut text)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            return Config::parse(&text, &path);
        }
        Ok(Config::default())
    }

    fn parse(text: &str, path: &Path) -> anyhow::Result<Config> {
        let config: Config = toml::from_str(text)
            .with_context(|| format!("`{}` is not a valid configuration file", path.display()))
            .or_hint(|| "docs/cli.md lists the keys, under \"The configuration file\"".into())?;
        Ok(Config { path: path.to_owned(), ..config })
    }

    /// Returns the options for the workers of each domain. `default` is for domains without a table of their own.
    pub(crate) fn pool_options(&self, default: PoolOptions) -> PerDomain<PoolOptions> {
        let overrides =
            self.domains.iter().map(|(name, domain)| (name.clone(), domain.pool_options(default)));
        PerDomain { default, overrides: overrides.collect() }
    }

    /// Returns the DSN of the database with this name, and its table in the file.
    ///
    /// `Err` if the file has no such database, or if the file with the DSN cannot be read.
    pub(crate) fn dsn(&self, name: &str) -> anyhow::Result<(String, &DatabaseConfig)> {
        let Some(database) = self.databases.get(name) else {
            let names: Vec<&str> = self.databases.keys().map(String::as_str).collect();
            let known = match names.as_slice() {
                [] => format!(
                    "give a DSN: `--db postgres://…`; or add `[databases.{name}]` with `dsn = \"postgres://…\"` to \
                     rework.toml"
                ),
                names => format!("rework.toml has `{}`", names.join("`, `")),
            };
            return Err(hinted(format!("no database named `{name}` in rework.toml"), known));
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

impl DomainConfig {
    /// Returns the default options with the changes of this domain.
    fn pool_options(&self, default: PoolOptions) -> PoolOptions {
        PoolOptions {
            minworkers: self.minworkers.or(default.minworkers),
            maxworkers: self.maxworkers.map_or(default.maxworkers, NonZero::get),
            maxruns: self.maxruns.unwrap_or(default.maxruns),
            maxmem_bytes: self.maxmem.map_or(default.maxmem_bytes, |size| size.0.unsigned_abs()),
        }
    }
}

fn is_missing_or_forbidden(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied)
}

/// Refuses a file that was found, if another user could have put it there: it could direct commands to another
/// database, and a monitor to programs of that user. Root counts as this user.
fn refuse_foreign(file: &File, path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // The metadata of the open file, not of the path: another user could replace the file in between.
    let owners = [file.metadata(), std::fs::metadata(folder)];
    for metadata in owners {
        let owner = metadata.with_context(|| format!("cannot read `{}`", path.display()))?.uid();
        if owner != 0 && owner != geteuid().as_raw() {
            let path = path.display();
            return Err(hinted(
                format!("`{path}` is not used: it, or its directory, belongs to another user"),
                format!("if you trust that user, name the file: `REWORK_CONFIG={path}`"),
            ));
        }
    }
    Ok(())
}

impl MonitorConfig {
    /// Returns the configured options as command-line arguments, for example `--maxworkers=4`.
    ///
    /// Options that the user typed are left out. `is_typed` returns whether the option with a given name was typed.
    pub(crate) fn arguments(&self, is_typed: impl Fn(&str) -> bool) -> Vec<String> {
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
        let untyped = options.into_iter().filter(|(name, _)| !is_typed(name));
        let configured = untyped.filter_map(|(name, values)| Some((name, values?)));
        configured
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

    fn parse(text: &str) -> anyhow::Result<Config> {
        Config::parse(text, Path::new("/etc/rework.toml"))
    }

    #[test]
    fn a_database_is_found_by_its_name() {
        let config = parse(TEXT).unwrap();
        let (dsn, database) = config.dsn("prod").unwrap();
        assert_eq!((dsn.as_str(), database.production), ("service=jobs", true));
        let error = config.dsn("prd").unwrap_err();
        assert_eq!(error.to_string(), "no database named `prd` in rework.toml");
        assert!(
            parse("[databases.x]\n").unwrap().dsn("x").unwrap_err().to_string().contains("either")
        );
    }

    #[test]
    fn the_options_of_a_domain_override_those_of_the_monitor() {
        let default =
            PoolOptions { minworkers: Some(2), maxworkers: 4, maxruns: 7, maxmem_bytes: 0 };
        let images = PoolOptions { maxworkers: 1, maxmem_bytes: 2 << 30, ..default };
        assert_eq!(
            parse(TEXT).unwrap().pool_options(default).overrides,
            BTreeMap::from([("images".into(), images)])
        );
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        for text in
            ["[monitor]\nmaxworker = 3", "x = 1", "[databases.a]\npassword = 'x'", "nonsense"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_typed_option_overrides_the_configured_one() {
        let config = parse(TEXT).unwrap();
        assert_eq!(
            config.monitor.arguments(|name| name == "maxworkers"),
            ["--domain=images", "--domain=default", "--lease=30s"]
        );
    }
}
