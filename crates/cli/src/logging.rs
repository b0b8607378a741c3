//! Sets up the log of our own processes. It is written to standard error in lines such as
//! `2026-11-22 02:10:08 message`. `$REWORK_LOG` selects what is logged: `debug`, `rework_monitor=trace`, …

use std::fmt;

use chrono::Utc;
use rework_core::db::dsn::hide_passwords;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{DefaultFields, Writer},
    },
    registry::LookupSpan,
};

use crate::{output::print_stderr, time_text};

const FILTER_VARIABLE: &str = "REWORK_LOG";

/// Starts logging. By default, commands that run long (`monitor`, `dev`) log at level `info`, other commands at level
/// `warn`.
pub(crate) fn start(runs_long: bool) {
    let default = if runs_long { "info" } else { "warn" };
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|error| {
            print_stderr(format_args!("warning: {FILTER_VARIABLE} is not a valid filter: {error}"));
            EnvFilter::new(default)
        }),
        Err(_) => EnvFilter::new(default),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .fmt_fields(DefaultFields::new())
        .event_format(LineFormat)
        .finish();
    // This fails only if a subscriber is already set, as a test may do. That one then stays in use.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Formats an event as one line: time, level unless it is `info`, message. Debug messages also have their module.
/// Passwords of databases in the message are hidden.
struct LineFormat;

impl<S, N> FormatEvent<S, N> for LineFormat
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
        write!(writer, "{} ", time_text::seconds(Utc::now()))?;
        match *event.metadata().level() {
            Level::INFO => {}
            Level::WARN => writer.write_str("warning: ")?,
            Level::ERROR => writer.write_str("error: ")?,
            Level::DEBUG | Level::TRACE => write!(writer, "{}: ", event.metadata().target())?,
        }
        let mut message = String::new();
        context.format_fields(Writer::new(&mut message), event)?;
        writeln!(writer, "{}", hide_passwords(&message))
    }
}
