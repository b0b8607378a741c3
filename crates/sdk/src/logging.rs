//! Sends the `tracing` events of the program to the log of the task that is running.
//!
//! The text of a log line is the message of the event, then its fields as `key=value`, then the fields of the spans
//! around it. Records of the `log` crate arrive here as events too, with their own target. Outside of a run, and in an
//! operation that runs without a worker, the lines go to stderr.

use std::fmt::{self, Write};

use rework_wire::runner::FromRunner;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::error::truncated;
use crate::{current, stderr};

/// The longest text of a log line, in bytes. A longer one is cut, so that it fits into a frame.
const TEXT_BYTES: usize = 1 << 20;

/// Returns a `tracing_subscriber` layer that sends events to the log of their task. It has no filter.
///
/// Only a program that installs its own subscriber needs it. Otherwise [`run`](crate::run) installs one.
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

/// The layer that [`layer`] returns.
#[derive(Debug, Clone, Copy)]
pub struct TaskLog(());

/// Installs the layer with the filter of `RUST_LOG`, or from a default level. Does nothing if the program has
/// installed its own subscriber.
pub(crate) fn install(default: Level) {
    let filter = EnvFilter::builder()
        .with_default_directive(default.into())
        .from_env()
        .unwrap_or_else(|error| {
            stderr::line(&format!(
                "warning: RUST_LOG is ignored, because it is not a valid filter: {error}"
            ));
            EnvFilter::default().add_directive(default.into())
        });
    // Fails if the program has its own subscriber, which stays.
    let _ = tracing_subscriber::registry().with(layer().with_filter(filter)).try_init();
}

/// The fields of a span as text, written once when the span is created.
struct SpanFields(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TaskLog {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut line = EventText::default();
            attributes.record(&mut line);
            span.extensions_mut().replace(SpanFields(line.fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            let mut line = EventText::default();
            values.record(&mut line);
            fields.0.push_str(&line.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = EventText::default();
        event.record(&mut line);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                line.fields.push_str(&fields.0);
            }
        }
        let target = line.target.take();
        let logger = target.as_deref().unwrap_or_else(|| event.metadata().target());
        write_line(level_name(*event.metadata().level()), logger, line.into_text());
    }
}

fn write_line(level: &str, logger: &str, text: String) {
    let text = truncated(text, TEXT_BYTES);
    let sent = current::with(Clone::clone).is_some_and(|current| {
        let ((task, run), level, logger) = (current.key(), level.to_owned(), logger.to_owned());
        let message = FromRunner::Log { task, run, level, logger, partial: false };
        current.send(&message, text.as_bytes()).unwrap_or(false)
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

/// The text of an event, collected field by field.
#[derive(Default)]
struct EventText {
    message: String,
    /// The fields as `key=value`, each with a space before it.
    fields: String,
    /// The target of a record of the `log` crate. `None` for an event of `tracing`.
    target: Option<String>,
}

impl EventText {
    fn into_text(self) -> String {
        let text = self.message + &self.fields;
        text.strip_prefix(' ').map(str::to_owned).unwrap_or(text)
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            // `tracing-log` adds the target, file and line of a record as fields with these names.
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.fields, " {}={value}", name.trim_start_matches("r#")),
        };
    }
}

impl Visit for EventText {
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
