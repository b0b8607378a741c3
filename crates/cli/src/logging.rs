//! What our own processes say about themselves: lines on standard error,
//! `2026-11-22 02:10:08 message`, as much of it as `$REWORK_LOG` wants (`debug`,
//! `rework_monitor=trace`, …).

use std::fmt;

use chrono::Utc;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{DefaultFields, Writer},
    },
    registry::LookupSpan,
};

use crate::{output::say, time_text};

const VARIABLE: &str = "REWORK_LOG";

/// Starts it. What runs long tells what it does; other commands only what goes wrong.
pub(crate) fn start(runs_long: bool) {
    let default = if runs_long { "info" } else { "warn" };
    let filter = match std::env::var(VARIABLE) {
        Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|error| {
            say(format_args!("warning: {VARIABLE}: {error}"));
            EnvFilter::new(default)
        }),
        Err(_) => EnvFilter::new(default),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .fmt_fields(DefaultFields::new())
        .event_format(Lines)
        .finish();
    // A second subscriber in one process would be a test's, and its own is as good.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The form of a line.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "{} ", time_text::second(Utc::now()))?;
        match *event.metadata().level() {
            Level::INFO => {}
            Level::WARN => writer.write_str("warning: ")?,
            Level::ERROR => writer.write_str("error: ")?,
            Level::DEBUG | Level::TRACE => write!(writer, "{}: ", event.metadata().target())?,
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
