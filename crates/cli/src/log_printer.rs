//! Prints the log of a task in the form that the user has chosen: as text, as JSON, or as the bytes that the task
//! wrote. Prints the logs of the steps of a flow as one log.

use rework_core::log::lines::{JoinedLine, LineKey, LogRow, OpenLines};

use crate::{
    context::Context,
    escape,
    json_list::JsonList,
    live_output::{LiveLine, LiveOutput, PrintedLine},
    log_text::{self, JsonLine, StepJsonLine},
    options::Format,
};

/// A row of a log with the task that wrote it.
pub(crate) struct PrintedRow<'r> {
    pub(crate) task: i64,
    /// The name of the step of a flow that the task is. `None` if only one task is printed.
    pub(crate) step: Option<&'r str>,
    pub(crate) row: LogRow,
}

/// A line with the task that wrote it.
struct SourceLine<'r> {
    task: i64,
    step: Option<&'r str>,
    joined: JoinedLine,
}

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

    /// Prints the next rows of the task.
    pub(crate) fn print(&mut self, rows: Vec<LogRow>) -> anyhow::Result<()> {
        let task = self.task;
        self.print_rows(rows.into_iter().map(|row| PrintedRow { task, step: None, row }).collect())
    }

    /// Prints the next rows of several tasks.
    pub(crate) fn print_rows(&mut self, rows: Vec<PrintedRow<'_>>) -> anyhow::Result<()> {
        let mut out = Vec::new();
        if let PrintedForm::Raw = self.form {
            for printed in &rows {
                log_text::append_raw(&mut out, &printed.row);
            }
            return self.context.write(&out);
        }
        let lines = rows.into_iter().filter_map(|PrintedRow { task, step, row }| {
            self.open.add(task, row).map(|joined| SourceLine { task, step, joined })
        });
        let lines: Vec<SourceLine<'_>> = lines.collect();
        match &mut self.form {
            PrintedForm::Json(list) => {
                return lines.iter().try_for_each(|line| line.append_to(list));
            }
            PrintedForm::LiveText(live) => {
                let lines = lines.iter().map(|line| LiveLine {
                    key: LineKey::of_line(line.task, line.joined.line()),
                    printed: line.printed(self.context),
                    has_ended: line.joined.has_ended(),
                });
                live.append(&mut out, &lines.collect::<Vec<_>>());
            }
            PrintedForm::Text => {
                for line in &lines {
                    line.printed(self.context).append_to(&mut out);
                    out.push(b'\n');
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

impl SourceLine<'_> {
    /// Returns the line in the form for people. The name of the step is in front of it.
    fn printed(&self, context: &Context) -> PrintedLine {
        let printed = log_text::printed(self.joined.line(), context.terminal, context.colour);
        let Some(step) = self.step else { return printed };
        PrintedLine { prefix: format!("{}: {}", escape::line(step), printed.prefix), ..printed }
    }

    /// Appends the line to a list of JSON. A line of a step has its task and the name of the step.
    fn append_to(&self, list: &mut JsonList) -> anyhow::Result<()> {
        let line = JsonLine::from(self.joined.line());
        match self.step {
            Some(step) => list.item(&StepJsonLine { task: self.task, step, line }),
            None => list.item(&line),
        }
    }
}
