//! Chooses the database that a command works on. An option, the environment or the configuration file names it; the
//! first of these three that does so is used. If none does, it is the database of a `rework dev` that runs in this
//! directory or in a parent directory.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rework_core::db::dsn::Dsn;

use crate::{
    config::Config,
    discover, dsn_fd,
    error_text::{self, OrHint as _},
};

/// The sources that may name the database. The first one that does is used; the environment comes before the default
/// of the configuration file.
#[derive(Debug, Clone, Default)]
pub(crate) struct DatabaseSource {
    /// The hidden option `--dsn-fd`: an inherited file descriptor that holds the DSN. `None` if the
    /// option is not given. Other users cannot see a password there (see `dsn_fd.rs`).
    pub(crate) fd: Option<i32>,
    /// The option `--db`: a DSN, or a name from the configuration file. `None` if the option is not
    /// given.
    pub(crate) dsn: Option<String>,
    /// The option `--dsn-file`: a file that holds the DSN. `None` if the option is not given.
    pub(crate) file: Option<PathBuf>,
    pub(crate) config: Config,
}

/// The environment variable with a DSN that other programs use too.
pub(crate) const FOREIGN_VARIABLE: &str = "DATABASE_URL";

/// The environment variable that may hold the DSN for the notifications of a monitor.
pub(crate) const LISTEN_VARIABLE: &str = "REWORK_LISTEN_DSN";

/// The environment variables that may hold the DSN, in order of preference.
pub(crate) const VARIABLES: [&str; 2] = ["REWORK_DSN", FOREIGN_VARIABLE];

impl DatabaseSource {
    /// Returns the DSN that an option, the environment or the configuration file names. `None` if none of them does.
    pub(crate) fn named_dsn(&self) -> anyhow::Result<Option<Dsn>> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let text = if let Some(fd) = self.fd {
            Some(dsn_fd::read_and_close(fd)?)
        } else if let Some(text) = &self.dsn {
            Some(self.dsn_for(text)?)
        } else if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))
                .or_hint(|| {
                    "the file must hold one line: `postgres://user:password@host/database`".into()
                })?;
            Some(text.trim().to_owned())
        } else {
            let configured = || self.config.database.as_deref().map(|name| self.dsn_for(name));
            match VARIABLES.into_iter().find_map(variable) {
                Some(text) => Some(text),
                None => configured().transpose()?,
            }
        };
        Ok(text.map(|text| Dsn::parse(&text)).transpose()?)
    }

    /// Returns `typed` itself if it is a DSN, else the DSN of the configured database with that name.
    fn dsn_for(&self, typed: &str) -> anyhow::Result<String> {
        if Dsn::is_plausible(typed) {
            return Ok(typed.to_owned());
        }
        Ok(self.config.dsn(typed)?.0)
    }

    /// Returns the name of the database if it was chosen by a name and the configuration marks it
    /// as production, otherwise `None`.
    ///
    /// A database that was chosen by its DSN is never marked.
    pub(crate) fn production_name(&self) -> anyhow::Result<Option<String>> {
        let named_by_variable = || VARIABLES.iter().any(|name| std::env::var_os(name).is_some());
        let name = match (&self.dsn, &self.config.database) {
            _ if self.fd.is_some() || self.file.is_some() => None,
            (Some(typed), _) if Dsn::is_plausible(typed) => None,
            (Some(name), _) => Some(name),
            (None, Some(name)) if !named_by_variable() => Some(name),
            _ => None,
        };
        let Some(name) = name else { return Ok(None) };
        Ok(self.config.dsn(name)?.1.production.then(|| name.clone()))
    }

    /// Returns the DSN of the database: the named one, or that of a running `rework dev`. `Err` if
    /// there is neither, or if the named one cannot be used.
    ///
    /// `note` is called with a message for the user if the database was found without a name.
    pub(crate) fn resolve(&self, note: impl FnOnce(String)) -> anyhow::Result<Dsn> {
        if let Some(named) = self.named_dsn()? {
            return Ok(named);
        }
        if let Some(found) = discover::find(Path::new(".")) {
            note(format!("using the database of `rework dev` in {}", found.project.display()));
            return Ok(Dsn::parse(&found.info.dsn)?);
        }
        Err(error_text::hinted(
            "no database is given",
            "add `--db postgres://…`, set REWORK_DSN, or run `rework dev` in another terminal",
        ))
    }
}
