//! Which database a command works on: the one that was named, else the environment's, else that
//! of a `rework dev` which runs in this or a parent directory.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rework_core::db::dsn::Dsn;

use crate::{
    config::Config,
    discover, dsn_fd,
    report::{self, OrHint as _},
};

/// Where to look, in this order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    /// An inherited descriptor that holds the DSN: how one with a password reaches us unseen.
    pub(crate) fd: Option<i32>,
    /// The DSN itself.
    pub(crate) dsn: Option<String>,
    /// A file that holds it.
    pub(crate) file: Option<PathBuf>,
    /// Those that have names.
    pub(crate) config: Config,
}

/// The variables that may name it, first one first.
const VARIABLES: [&str; 2] = ["REWORK_DSN", "DATABASE_URL"];

impl Choice {
    /// The database that was named, by an option or by the environment.
    pub(crate) fn named(&self) -> anyhow::Result<Option<Dsn>> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let text = if let Some(fd) = self.fd {
            Some(dsn_fd::take(fd)?)
        } else if let Some(text) = &self.dsn {
            Some(self.dsn_of(text)?)
        } else if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))
                .or_hint(|| {
                    "it is to hold one line: `postgres://user:password@host/database`".into()
                })?;
            Some(text.trim().to_owned())
        } else {
            let preferred = || self.config.database.as_deref().map(|name| self.dsn_of(name));
            match VARIABLES.into_iter().find_map(variable) {
                Some(text) => Some(text),
                None => preferred().transpose()?,
            }
        };
        Ok(text.map(|text| Dsn::parse(&text)).transpose()?)
    }

    /// What was typed, or what the name that was typed stands for.
    fn dsn_of(&self, typed: &str) -> anyhow::Result<String> {
        if Dsn::looks_like(typed) {
            return Ok(typed.to_owned());
        }
        Ok(self.config.dsn(typed)?.0)
    }

    /// The name of the database, if it was chosen by one that is marked as production.
    pub(crate) fn production(&self) -> anyhow::Result<Option<String>> {
        let by_variable = || VARIABLES.iter().any(|name| std::env::var_os(name).is_some());
        let name = match (&self.dsn, &self.config.database) {
            _ if self.fd.is_some() || self.file.is_some() => None,
            (Some(typed), _) if Dsn::looks_like(typed) => None,
            (Some(name), _) => Some(name),
            (None, Some(name)) if !by_variable() => Some(name),
            _ => None,
        };
        let Some(name) = name else { return Ok(None) };
        Ok(self.config.dsn(name)?.1.production.then(|| name.clone()))
    }

    /// Finds the database. `note` says where it comes from when nobody named it.
    pub(crate) fn resolve(&self, note: impl FnOnce(String)) -> anyhow::Result<Dsn> {
        if let Some(named) = self.named()? {
            return Ok(named);
        }
        if let Some(found) = discover::find(Path::new(".")) {
            note(format!("using the database of `rework dev` in {}", found.project.display()));
            return Ok(Dsn::parse(&found.running.dsn)?);
        }
        Err(report::hinted(
            "no database is named",
            "run `rework dev` in another terminal, or name one: `--db postgres://…`, or set REWORK_DSN",
        ))
    }
}
