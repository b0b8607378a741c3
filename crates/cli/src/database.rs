//! Which database a command works on: the one that was named, else the environment's, else that
//! of a `rework dev` which runs in this or a parent directory.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rework_core::connect::Dsn;

use crate::{
    dev,
    report::{self, OrHint as _},
    secret,
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
}

/// The variables that may name it, first one first.
const VARIABLES: [&str; 2] = ["REWORK_DSN", "DATABASE_URL"];

impl Choice {
    /// The database that was named, by an option or by the environment.
    pub(crate) fn named(&self) -> anyhow::Result<Option<Dsn>> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let text = if let Some(fd) = self.fd {
            Some(secret::take(fd)?)
        } else if let Some(text) = &self.dsn {
            Some(text.clone())
        } else if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))
                .or_hint(|| {
                    "it is to hold one line: `postgres://user:password@host/database`".into()
                })?;
            Some(text.trim().to_owned())
        } else {
            VARIABLES.into_iter().find_map(variable)
        };
        Ok(text.map(|text| Dsn::parse(&text)).transpose()?)
    }

    /// Finds the database. `note` says where it comes from when nobody named it.
    pub(crate) fn resolve(&self, note: impl FnOnce(String)) -> anyhow::Result<Dsn> {
        if let Some(named) = self.named()? {
            return Ok(named);
        }
        if let Some(found) = dev::discover::find(Path::new(".")) {
            note(format!("using the database of `rework dev` in {}", found.project.display()));
            return Ok(Dsn::parse(&found.running.dsn)?);
        }
        Err(report::hinted(
            "no database is named",
            "run `rework dev` in another terminal, or name one: `--db postgres://…`, or set REWORK_DSN",
        ))
    }
}
