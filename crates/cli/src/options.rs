//! The options that every command understands.

use std::path::PathBuf;

use clap::Args;

use crate::{config::Config, database::DatabaseSource};

// The doc comments of the fields are the help texts that users read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Options {
    /// The database: a DSN (`postgres://…` or `host=… dbname=…`), or a name from `rework.toml`. A DSN may also be the
    /// first argument. Default: `$REWORK_DSN`, `$DATABASE_URL`, the key `database` of `rework.toml`, or the running
    /// `rework dev` of this or a parent directory
    #[arg(long, global = true, value_name = "DSN|NAME")]
    pub(crate) db: Option<String>,
    /// Read the DSN of the database from this file
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "db")]
    pub(crate) dsn_file: Option<PathBuf>,
    /// Read the DSN of the database from this inherited file descriptor
    #[arg(long, global = true, value_name = "N", hide = true)]
    pub(crate) dsn_fd: Option<i32>,
    /// The output format: `table`, `json` or `jsonl`
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
    /// Print ids only, and no notes on standard error
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Options {
    /// Returns the sources from which the database is chosen.
    pub(crate) fn database_source(&self, config: Config) -> DatabaseSource {
        DatabaseSource {
            fd: self.dsn_fd,
            dsn: self.db.clone(),
            file: self.dsn_file.clone(),
            config,
        }
    }
}

/// The output format of a command that lists or shows something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns for people, times in the user's time zone.
    #[default]
    Table,
    /// One JSON document, times in UTC.
    Json,
    /// One JSON object per line, times in UTC.
    Jsonl,
}

/// Parses the id of a task.
pub(crate) fn task_id(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| "it is not the id of a task; `rework list-tasks` lists them".to_owned())
}
