//! The options that every command understands.

use std::path::PathBuf;

use clap::Args;

use crate::{config::Config, database::Choice};

/// What every command understands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Options {
    /// The database: `postgres://…` or `host=… dbname=…`, also as the first argument; or its name in
    /// `rework.toml`. Else `$REWORK_DSN`, `$DATABASE_URL`, the one that `rework.toml` prefers, or the running
    /// `rework dev` of this or a parent directory
    #[arg(long, global = true, value_name = "DSN|NAME")]
    pub(crate) db: Option<String>,
    /// A file that holds the name of the database
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "db")]
    pub(crate) dsn_file: Option<PathBuf>,
    /// A descriptor that holds the name of the database
    #[arg(long, global = true, value_name = "N", hide = true)]
    pub(crate) dsn_fd: Option<i32>,
    /// The form of the output: `table`, `json` or `jsonl`
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORM",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) output: Format,
    /// Print ids only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Options {
    pub(crate) fn choice(&self, config: Config) -> Choice {
        Choice { fd: self.dsn_fd, dsn: self.db.clone(), file: self.dsn_file.clone(), config }
    }
}

/// The form of what a command lists or shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Aligned lines for people, times in the user's zone.
    #[default]
    Table,
    /// One JSON document, times in UTC.
    Json,
    /// One JSON object a line.
    Jsonl,
}
