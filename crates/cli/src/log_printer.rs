//! Prints the log of a task in the form that the user has chosen: as text, as JSON, or as the bytes that the task
//! wrote.

use rework_core::log::lines::{JoinedLine, LineKey, LogRow, OpenLines};

use crate::{
    context::Context,
    json_list::JsonList,
    live_output::{LiveLine, LiveOutput},
    log_text::{self, JsonLine},
    options::Format,
};

/// Prints the rows of a log as they are read.
pub(crate) struct LogPrinter<'a> {
    context: &'a Context,
    task: i64,
    /// The lines that have no newline yet.
    open: OpenLines,
    form: PrintedForm,
}

/// The form in which a log is printed.
enum PrintedForm {
    /// For people. An unfinished line is ended with a newline.
    Text,
    /// For people who follow the log. An unfinished line grows.
    LiveText(Box<LiveOutput>),
    Json(JsonList),
    /// The bytes of the rows.
    Raw,
}

impl<'a> LogPrinter<'a> {
    /// Returns the printer for a command. `raw` and `follow` are its options.
    pub(crate) fn new(
        context: &'a Context,
        task: i64,
        raw: bool,
        follow: bool,
    ) -> anyhow::Result<LogPrinter<'a>> {
        let form = match context.format {
            _ if raw => PrintedForm::Raw,
            Format::Table if follow => return Ok(LogPrinter::live_text(context, task)),
            Format::Table => PrintedForm::Text,
            _ => PrintedForm::Json(context.json_list()?),
        };
        Ok(LogPrinter { context, task, open: OpenLines::default(), form })
    }

    /// Returns a printer for people who follow the log.
    pub(crate) fn live_text(context: &'a Context, task: i64) -> LogPrinter<'a> {
        let form = PrintedForm::LiveText(Box::new(LiveOutput::new(context.terminal)));
        LogPrinter { context, task, open: OpenLines::default(), form }
    }

    /// Returns whether the form is for people.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.form, PrintedForm::Text | PrintedForm::LiveText(_))
    }

    /// Prints the next rows.
    pub(crate) fn print(&mut self, rows: Vec<LogRow>) -> anyhow::Result<()> {
        let mut out = Vec::new();
        if let PrintedForm::Raw = self.form {
            for row in &rows {
                log_text::append_raw(&mut out, row);
            }
            return self.context.write(&out);
        }
        let joined = rows.into_iter().filter_map(|row| self.open.add(self.task, row));
        let joined: Vec<JoinedLine> = joined.collect();
        let Context { terminal, colour, .. } = *self.context;
        match &mut self.form {
            PrintedForm::Json(list) => {
                return joined.iter().try_for_each(|line| list.item(&JsonLine::from(line.line())));
            }
            PrintedForm::LiveText(live) => {
                let lines = joined.iter().map(|joined| LiveLine {
                    key: LineKey::of_line(self.task, joined.line()),
                    printed: log_text::printed(joined.line(), terminal, colour),
                    has_ended: joined.has_ended(),
                });
                live.append(&mut out, &lines.collect::<Vec<_>>());
            }
            PrintedForm::Text => {
                for line in &joined {
                    log_text::append(&mut out, line.line(), terminal, colour);
                }
            }
            PrintedForm::Raw => {}
        }
        self.context.write(&out)
    }

    /// Ends an unfinished line, so that something else can be printed.
    pub(crate) fn end_line(&mut self) -> anyhow::Result<()> {
        let PrintedForm::LiveText(live) = &mut self.form else { return Ok(()) };
        let mut out = Vec::new();
        live.end_line(&mut out);
        self.context.write(&out)
    }

    /// Prints the end of the output.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.end_line()?;
        match self.form {
            PrintedForm::Json(list) => list.finish(),
            _ => Ok(()),
        }
    }
}
