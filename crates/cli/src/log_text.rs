//! Renders the log lines of a task: as text (`stdout:INFO: 2026-11-22 16:08:27: I am running`), as JSON, or exactly as
//! the task wrote them. `log_printer.rs` prints them.

use anstyle::{AnsiColor, Style};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use rework_core::log::lines::{LogLine, LogRow};
use serde::Serialize;

use crate::{escape, live_output::PrintedLine, time_text};

const PREFIX: Style = Style::new().dimmed();

/// The JSON form of a log line. Scripts rely on the names of its fields.
#[derive(Debug, Serialize)]
pub(crate) struct JsonLine<'a> {
    id: i64,
    run: i64,
    at: DateTime<Utc>,
    stream: &'a str,
    level: &'a str,
    text: std::borrow::Cow<'a, str>,
    /// The exact bytes in base64. `None` if the line is valid UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// Whether the line ended with a newline. Printed only if it did not.
    #[serde(skip_serializing_if = "Clone::clone")]
    whole: bool,
}

/// The JSON form of a log line of a step of a flow.
#[derive(Debug, Serialize)]
pub(crate) struct StepJsonLine<'a> {
    pub(crate) task: i64,
    /// The name of the step.
    pub(crate) step: &'a str,
    #[serde(flatten)]
    pub(crate) line: JsonLine<'a>,
}

impl<'a> From<&'a LogLine> for JsonLine<'a> {
    fn from(line: &'a LogLine) -> JsonLine<'a> {
        let is_text = std::str::from_utf8(&line.bytes).is_ok();
        JsonLine {
            id: line.id,
            run: line.run,
            at: line.at,
            stream: &line.stream,
            level: &line.level,
            text: String::from_utf8_lossy(&line.bytes),
            base64: (!is_text).then(|| BASE64_STANDARD.encode(&line.bytes)),
            whole: line.whole,
        }
    }
}

/// Returns a line in the form for people. Control characters are escaped if the output is a terminal.
pub(crate) fn printed(line: &LogLine, terminal: bool, colour: bool) -> PrintedLine {
    let LogLine { stream, level, .. } = line;
    let stream = escape::line(stream);
    let (dim, style) =
        if colour { (PREFIX, style_of(level)) } else { (Style::new(), Style::new()) };
    let prefix = format!("{dim}{stream}:{level}: {}: {dim:#}", time_text::seconds(line.at));
    let text = if terminal { escape::bytes(&line.bytes).into_bytes() } else { line.bytes.clone() };
    PrintedLine { prefix, style, text }
}

/// Appends a line in the form for people, and a newline.
pub(crate) fn append(out: &mut Vec<u8>, line: &LogLine, terminal: bool, colour: bool) {
    printed(line, terminal, colour).append_to(out);
    out.push(b'\n');
}

/// Appends exactly the bytes that the task wrote.
pub(crate) fn append_raw(out: &mut Vec<u8>, row: &LogRow) {
    out.extend_from_slice(&row.bytes);
    if row.whole {
        out.push(b'\n');
    }
}

fn style_of(level: &str) -> Style {
    match level {
        "ERROR" => AnsiColor::Red.on_default(),
        "WARNING" => AnsiColor::Yellow.on_default(),
        "DEBUG" | "TRACE" => PREFIX,
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &[u8], whole: bool) -> LogLine {
        LogLine {
            id: 12,
            run: 1,
            at: "2026-11-22T16:08:27.5Z".parse().unwrap(),
            stream: "stdout".into(),
            level: "INFO".into(),
            bytes: bytes.to_vec(),
            whole,
        }
    }

    fn shown(bytes: &[u8], terminal: bool) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, &line(bytes, true), terminal, false);
        out
    }

    #[test]
    fn a_line_starts_with_its_stream_level_and_time() {
        let time = time_text::seconds(line(b"", true).at);
        let expected = format!("stdout:INFO: {time}: I am running\n");
        assert_eq!(shown(b"I am running", true), expected.as_bytes());
    }

    #[test]
    fn a_terminal_gets_escaped_text_and_a_file_gets_the_bytes() {
        assert!(shown(b"\x1b[2J\xff", true).ends_with(b": \\x1b[2J\\xff\n"));
        assert!(shown(b"\x1b[2J\xff", false).ends_with(b": \x1b[2J\xff\n"));
    }

    #[test]
    fn a_raw_line_has_a_newline_only_if_the_task_wrote_one() {
        let append = |out: &mut Vec<u8>, bytes: &[u8], whole: bool| {
            let LogLine { id, run, at, stream, level, bytes, .. } = line(bytes, whole);
            let (continues, is_last) = (false, true);
            let row = LogRow { id, run, at, stream, level, bytes, whole, continues, is_last };
            append_raw(out, &row);
        };
        let mut out = Vec::new();
        append(&mut out, b"a\0\xff", true);
        append(&mut out, b"tail\r", false);
        assert_eq!(out, b"a\0\xff\ntail\r");
    }

    #[test]
    fn json_has_base64_if_the_line_is_not_utf8() {
        let text = serde_json::to_string(&JsonLine::from(&line(b"caf\xe9", true))).unwrap();
        assert_eq!(
            text,
            "{\"id\":12,\"run\":1,\"at\":\"2026-11-22T16:08:27.500Z\",\"stream\":\"stdout\",\
             \"level\":\"INFO\",\"text\":\"caf\u{fffd}\",\"base64\":\"Y2Fm6Q==\"}"
        );
        let text = serde_json::to_string(&JsonLine::from(&line(b"plain", true))).unwrap();
        assert!(text.ends_with("\"text\":\"plain\"}"));
        let text = serde_json::to_string(&JsonLine::from(&line(b"half", false))).unwrap();
        assert!(text.ends_with("\"text\":\"half\",\"whole\":false}"));
    }
}
