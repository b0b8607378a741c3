//! What every command is given: the database, the form of its output, and how to print.
//!
//! Everything printed goes through here, since a reader may close the pipe at any moment
//! (`rework list-tasks | head`) and the command must then end quietly: printing fails with
//! [`ClosedPipe`], which commands pass on with `?`.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    sync::OnceLock,
};

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use rework_core::db::{connect::Db, dsn::Dsn, error::Error as CoreError};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    args::Options,
    config::Config,
    database::Choice,
    escape,
    json_list::JsonList,
    report::{self, ClosedPipe, hinted},
    table::Table,
};

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
    dsn: OnceLock<Dsn>,
    who: String,
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
    pub(crate) fn new(command: &str, options: &Options, config: Config) -> Context {
        let stdout = io::stdout();
        Context {
            choice: options.choice(config),
            dsn: OnceLock::new(),
            who: format!("rework {command}"),
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
        say(format_args!("`{name}` is a database of production. Really {what}? [y/N]"));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
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
        if self.format == Format::Table {
            return self.write(table(rows).render(self.colour).as_bytes());
        }
        let mut list = self.json_list()?;
        rows.iter().try_for_each(|row| list.item(row))?;
        list.end()
    }

    /// Begins a list in JSON, whose items need not be held all at once.
    pub fn json_list(&self) -> anyhow::Result<JsonList<'_>> {
        JsonList::begin(self)
    }

    /// Says something beside the output, on standard error; nothing with `-q`.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            say(escape::lines(&text.to_string()));
        }
    }

    /// Reports an error that does not end the command: several things were asked, one cannot be.
    pub fn complain(&self, error: &anyhow::Error) {
        report::print(error);
    }

    /// Warns on standard error, also with `-q`.
    pub fn warn(&self, text: impl Display) {
        let text = text.to_string();
        say(format_args!("{WARNING}warning{WARNING:#}: {}", escape::lines(&text)));
    }
}

/// Whether what failed failed because the database is away: it may come back.
pub(crate) fn is_away(error: &anyhow::Error) -> bool {
    error.downcast_ref::<CoreError>().is_some_and(CoreError::is_connection)
}

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Writes a line to standard error. Whoever does not listen there misses it.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}
