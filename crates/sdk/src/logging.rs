//! The program's `tracing` events, as the log of the task that it runs.
//!
//! A line is the event's message, its fields as `key=value`, and those of the spans around it. What
//! comes from the `log` crate arrives here too, under its own target. Outside a run, and where an
//! operation runs directly, lines go to stderr.

use std::fmt::{self, Write};

use rework_wire::runner::FromRunner;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::error::bounded;
use crate::{current, stderr};

/// The longest line that is sent, in bytes.
const LINE_BYTES: usize = 1 << 20;

/// The layer that makes events the log of their task: for programs that build a subscriber of
/// their own. It has no filter of its own.
///
/// ```no_run
/// use tracing_subscriber::prelude::*;
///
/// fn main() -> std::process::ExitCode {
///     let filter = tracing_subscriber::filter::LevelFilter::DEBUG;
///     tracing_subscriber::registry().with(rework::layer().with_filter(filter)).init();
///     rework::run()
/// }
/// ```
pub fn layer() -> TaskLog {
    TaskLog(())
}

/// What [`layer`] gives.
#[derive(Debug, Clone, Copy)]
pub struct TaskLog(());

/// Installs it, with the filter of `RUST_LOG`, unless the program has a subscriber already.
pub(crate) fn install(default: Level) {
    let filter = EnvFilter::builder()
        .with_default_directive(default.into())
        .from_env()
        .unwrap_or_else(|error| {
            stderr::line(&format!("warning: RUST_LOG is not understood: {error}"));
            EnvFilter::default().add_directive(default.into())
        });
    // The program's own subscriber stays.
    let _ = tracing_subscriber::registry().with(layer().with_filter(filter)).try_init();
}

/// The fields of a span, written once when it is made.
struct SpanFields(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TaskLog {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut line = Line::default();
            attributes.record(&mut line);
            span.extensions_mut().replace(SpanFields(line.fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            let mut line = Line::default();
            values.record(&mut line);
            fields.0.push_str(&line.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                line.fields.push_str(&fields.0);
            }
        }
        let target = line.target.take();
        let logger = target.as_deref().unwrap_or_else(|| event.metadata().target());
        write(level_name(*event.metadata().level()), logger, line.text());
    }
}

fn write(level: &str, logger: &str, text: String) {
    let text = bounded(text, LINE_BYTES);
    let sent = current::with(Clone::clone).is_some_and(|running| {
        let ((task, run), level, logger) = (running.key(), level.to_owned(), logger.to_owned());
        let frame = FromRunner::Log { task, run, level, logger };
        running.send(&frame, text.as_bytes()).unwrap_or(false)
    });
    if !sent {
        stderr::line(&format!("{level:7} {logger}: {text}"));
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// What an event says.
#[derive(Default)]
struct Line {
    message: String,
    /// Each with a space before it.
    fields: String,
    /// The target of a record of the `log` crate.
    target: Option<String>,
}

impl Line {
    fn text(self) -> String {
        let text = self.message + &self.fields;
        text.strip_prefix(' ').map(str::to_owned).unwrap_or(text)
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.fields, " {}={value}", name.trim_start_matches("r#")),
        };
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "log.target" => self.target = Some(value.to_owned()),
            "message" => self.message.push_str(value),
            _ => self.add(field, format_args!("{value:?}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}
