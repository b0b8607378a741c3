//! What every command is given: the database, the form of its output, and how to print.
//!
//! Everything printed goes through here, since a reader may close the pipe at any moment
//! (`rework list-tasks | head`) and the command must then end quietly: printing fails with
//! [`ClosedPipe`], which commands pass on with `?`.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::Context as _;
use rework_core::connect::{Db, Dsn};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{database::Choice, report::ClosedPipe, table::Table};

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

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    choice: Choice,
    /// The form of the output: `-o`.
    pub format: Format,
    /// Ids only, and no notes: `-q`.
    pub quiet: bool,
    /// Colours are wanted on standard output.
    pub colour: bool,
    /// Standard output is a terminal: what comes from elsewhere must be escaped.
    pub terminal: bool,
}

impl Context {
    pub(crate) fn new(choice: Choice, format: Format, quiet: bool) -> Context {
        let stdout = io::stdout();
        let colour = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
        Context { choice, format, quiet, colour, terminal: stdout.is_terminal() }
    }

    /// The database that was named, or found.
    pub fn dsn(&self) -> anyhow::Result<Dsn> {
        self.choice.resolve(|text| self.note(text))
    }

    /// Connects to it and checks the schema.
    pub async fn open(&self) -> anyhow::Result<Db> {
        Ok(rework_core::schema::open(&self.dsn()?, &application_name()).await?)
    }

    /// As [`open`](Context::open), with what is notified on the channels listened to.
    pub async fn open_listening(
        &self,
    ) -> anyhow::Result<(Db, mpsc::UnboundedReceiver<(String, String)>)> {
        let dsn = self.dsn()?;
        let (db, heard) = Db::connect_listening(&dsn, &application_name()).await?;
        rework_core::schema::check(&db, &dsn).await?;
        Ok((db, heard))
    }

    /// Prints one line on standard output.
    pub fn print(&self, line: impl Display) -> anyhow::Result<()> {
        self.write(format!("{line}\n").as_bytes())
    }

    /// Writes to standard output exactly these bytes.
    pub fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
            written => written.context("cannot write to standard output"),
        }
    }

    /// Prints a list in the form asked for: ids with `-q`, else JSON, else the table.
    pub fn print_list<T: Serialize>(
        &self,
        rows: &[T],
        id: impl Fn(&T) -> String,
        table: impl FnOnce(&[T]) -> Table,
    ) -> anyhow::Result<()> {
        if self.quiet {
            let ids: String = rows.iter().map(|row| id(row) + "\n").collect();
            return self.write(ids.as_bytes());
        }
        match self.format {
            Format::Table => self.write(table(rows).render(self.colour).as_bytes()),
            Format::Json => self.print(serde_json::to_string_pretty(rows)?),
            Format::Jsonl => rows.iter().try_for_each(|row| self.print_json(row)),
        }
    }

    /// Prints one object as JSON: indented, or on one line with `-o jsonl`.
    pub fn print_json<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        if self.format != Format::Jsonl {
            return self.print(serde_json::to_string_pretty(value)?);
        }
        // JSON that is kept as it was given may hold line breaks. They are never inside of its
        // strings, where JSON wants them escaped, so a blank means the same.
        self.print(serde_json::to_string(value)?.replace(['\n', '\r'], " "))
    }

    /// Says something beside the output, on standard error; nothing with `-q`.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            say(text);
        }
    }

    /// Warns on standard error, also with `-q`.
    pub fn warn(&self, text: impl Display) {
        say(format_args!("warning: {text}"));
    }
}

/// Writes a line to standard error. Whoever does not listen there misses it.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Who we are in `pg_stat_activity`: `rework list-tasks`.
fn application_name() -> String {
    let command = std::env::args().skip(1).find(|arg| !arg.starts_with('-') && !Dsn::looks_like(arg));
    format!("rework {}", command.unwrap_or_default()).trim_end().chars().take(60).collect()
}
