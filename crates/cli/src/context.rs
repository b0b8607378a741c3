//! What every command is given: the database, the form of its output, and how to print.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
    sync::OnceLock,
};

use rework_core::db::{connect::Db, dsn::Dsn, error::Error as CoreError};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    config::Config,
    database::Choice,
    json_list::JsonList,
    options::{Format, Options},
    output,
    report::{self, hinted},
    table::Table,
};

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    choice: Choice,
    dsn: OnceLock<Dsn>,
    who: String,
    /// Makes the parser of the whole command line, for help and for completions. The parser names every
    /// command, so no command can import it.
    pub(crate) parser: fn() -> clap::Command,
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
    pub(crate) fn new(
        command: &str,
        options: &Options,
        config: Config,
        parser: fn() -> clap::Command,
    ) -> Context {
        let stdout = io::stdout();
        Context {
            choice: options.choice(config),
            dsn: OnceLock::new(),
            who: format!("rework {command}"),
            parser,
            format: options.output,
            quiet: options.quiet,
            colour: anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
            terminal: stdout.is_terminal(),
        }
    }

    /// The database that was named, or found.
    pub fn dsn(&self) -> anyhow::Result<Dsn> {
        if let Some(dsn) = self.dsn.get() {
            return Ok(dsn.clone());
        }
        let dsn = self.choice.resolve(|text| self.note(text))?;
        Ok(self.dsn.get_or_init(|| dsn).clone())
    }

    /// The database that was named; none: nobody did.
    pub fn named_dsn(&self) -> anyhow::Result<Option<Dsn>> {
        if let Some(dsn) = self.dsn.get() {
            return Ok(Some(dsn.clone()));
        }
        let named = self.choice.named()?;
        Ok(named.map(|dsn| self.dsn.get_or_init(|| dsn).clone()))
    }

    /// What the configuration file says.
    pub(crate) fn config(&self) -> &Config {
        &self.choice.config
    }

    /// Connects to it and checks the schema.
    pub async fn open(&self) -> anyhow::Result<Db> {
        Ok(rework_core::admin::schema::open(&self.dsn()?, &self.who).await?)
    }

    /// As [`open`](Context::open), with what is notified on the channels listened to.
    pub async fn open_listening(
        &self,
    ) -> anyhow::Result<(Db, mpsc::UnboundedReceiver<(String, String)>)> {
        let dsn = self.dsn()?;
        let (db, heard) = Db::connect_listening(&dsn, &self.who).await?;
        rework_core::admin::schema::check(&db, &dsn).await?;
        Ok((db, heard))
    }

    /// Whether this may be done: to a database that is marked as one of production, only after a `yes`,
    /// typed as an option or as an answer.
    pub fn may_destroy(&self, what: &str, yes: bool) -> anyhow::Result<bool> {
        let Some(name) = self.choice.production()?.filter(|_| !yes) else { return Ok(true) };
        if !io::stdin().is_terminal() {
            return Err(hinted(
                format!("`{name}` is a database of production: not without a `yes`"),
                format!("to {what} there, add `--yes`"),
            ));
        }
        output::say(format_args!("`{name}` is a database of production. Really {what}? [y/N]"));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Prints one line on standard output.
    pub fn print(&self, line: impl Display) -> anyhow::Result<()> {
        output::print(line)
    }

    /// Writes to standard output exactly these bytes.
    pub fn write(&self, bytes: &[u8]) -> anyhow::Result<()> {
        output::write(bytes)
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
        if self.format == Format::Table {
            return self.write(table(rows).render(self.colour).as_bytes());
        }
        let mut list = self.json_list()?;
        rows.iter().try_for_each(|row| list.item(row))?;
        list.end()
    }

    /// Begins a list in JSON, whose items need not be held all at once.
    pub fn json_list(&self) -> anyhow::Result<JsonList> {
        JsonList::begin(self.format)
    }

    /// Says something beside the output, on standard error; nothing with `-q`.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            output::note(text);
        }
    }

    /// Reports an error that does not end the command: several things were asked, one cannot be.
    pub fn complain(&self, error: &anyhow::Error) {
        report::print(error);
    }

    /// Warns on standard error, also with `-q`.
    pub fn warn(&self, text: impl Display) {
        output::warn(text);
    }
}

/// Whether what failed failed because the database is away: it may come back.
pub(crate) fn is_away(error: &anyhow::Error) -> bool {
    error.downcast_ref::<CoreError>().is_some_and(CoreError::is_connection)
}
