//! Lines of a log as they are shown: `stdout:INFO: 2026-11-22 16:08:27: I am running`, as JSON, or
//! exactly as the task wrote them.

use anstyle::{AnsiColor, Style};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use rework_core::log::read::Line;
use serde::Serialize;

use crate::{escape, time_text};

const PREFIX: Style = Style::new().dimmed();

/// A line as JSON: exactly these keys.
#[derive(Debug, Serialize)]
pub(crate) struct JsonLine<'a> {
    id: i64,
    run: i64,
    at: DateTime<Utc>,
    stream: &'a str,
    level: &'a str,
    text: std::borrow::Cow<'a, str>,
    /// The exact bytes, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl<'a> From<&'a Line> for JsonLine<'a> {
    fn from(line: &'a Line) -> JsonLine<'a> {
        let is_text = std::str::from_utf8(&line.bytes).is_ok();
        JsonLine {
            id: line.id,
            run: line.run,
            at: line.at,
            stream: &line.stream,
            level: &line.level,
            text: String::from_utf8_lossy(&line.bytes),
            base64: (!is_text).then(|| BASE64_STANDARD.encode(&line.bytes)),
        }
    }
}

/// Appends a line as people read it. Elsewhere than on a terminal its bytes stay what they are.
pub(crate) fn append(out: &mut Vec<u8>, line: &Line, terminal: bool, colour: bool) {
    let Line { stream, level, .. } = line;
    let stream = escape::line(stream);
    let prefix = format!("{stream}:{level}: {}: ", time_text::second(line.at));
    let style = if colour { style_of(level) } else { Style::new() };
    let dim = if colour { PREFIX } else { Style::new() };
    out.extend_from_slice(format!("{dim}{prefix}{dim:#}{style}").as_bytes());
    if terminal {
        out.extend_from_slice(escape::bytes(&line.bytes).as_bytes());
    } else {
        out.extend_from_slice(&line.bytes);
    }
    out.extend_from_slice(format!("{style:#}\n").as_bytes());
}

/// Appends exactly what the task wrote.
pub(crate) fn append_raw(out: &mut Vec<u8>, line: &Line) {
    out.extend_from_slice(&line.bytes);
    if line.whole {
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

    fn line(bytes: &[u8], whole: bool) -> Line {
        Line {
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
    fn a_line_has_its_stream_level_and_time() {
        let time = time_text::second(line(b"", true).at);
        let expected = format!("stdout:INFO: {time}: I am running\n");
        assert_eq!(shown(b"I am running", true), expected.as_bytes());
    }

    #[test]
    fn a_terminal_is_not_steered_and_a_file_gets_the_bytes() {
        assert!(shown(b"\x1b[2J\xff", true).ends_with(b": \\x1b[2J\\xff\n"));
        assert!(shown(b"\x1b[2J\xff", false).ends_with(b": \x1b[2J\xff\n"));
    }

    #[test]
    fn raw_lines_end_as_they_ended() {
        let mut out = Vec::new();
        append_raw(&mut out, &line(b"a\0\xff", true));
        append_raw(&mut out, &line(b"tail", false));
        assert_eq!(out, b"a\0\xff\ntail");
    }

    #[test]
    fn json_has_the_bytes_where_the_text_is_not_all() {
        let text = serde_json::to_string(&JsonLine::from(&line(b"caf\xe9", true))).unwrap();
        assert_eq!(
            text,
            "{\"id\":12,\"run\":1,\"at\":\"2026-11-22T16:08:27.500Z\",\"stream\":\"stdout\",\
             \"level\":\"INFO\",\"text\":\"caf\u{fffd}\",\"base64\":\"Y2Fm6Q==\"}"
        );
        let text = serde_json::to_string(&JsonLine::from(&line(b"plain", true))).unwrap();
        assert!(text.ends_with("\"text\":\"plain\"}"));
    }
}
