//! Reads a file with one JSON text per line, line by line. The memory needed depends on the longest line, not on the
//! size of the file. Blank lines are skipped but counted, so that line numbers are those of an editor.
//!
//! The lines are not parsed here; `commands/schedule/many.rs` validates them.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
};

use anyhow::Context as _;

use crate::error_text::{OrHint as _, hinted};

/// The maximum length of a line in bytes, with the white space around its JSON: 100 MiB. A longer line is not accepted
/// as the input of a task.
const MAX_LINE_BYTES: u64 = 100 << 20;

/// The size of the read buffer in bytes.
const READ_BUFFER_BYTES: usize = 256 << 10;

/// A reader of lines that should contain JSON.
pub(crate) struct JsonLines<R> {
    reader: R,
    /// The name of the file in error messages.
    name: String,
    /// The number of the last line that was read, counted from 1.
    number: u64,
    /// The number of bytes read so far.
    bytes: u64,
}

/// A line without the white space around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumberedLine {
    /// The number of the line, counted from 1.
    pub(crate) number: u64,
    pub(crate) text: String,
}

impl JsonLines<Box<dyn BufRead + Send>> {
    /// Opens a file, or standard input if `path` is `-`. Also returns the size of the file in bytes; `None` if it is
    /// not a regular file.
    pub(crate) fn open(path: &str) -> anyhow::Result<(Self, Option<u64>)> {
        if path == "-" {
            let stdin = BufReader::with_capacity(READ_BUFFER_BYTES, io::stdin());
            return Ok((JsonLines::new(Box::new(stdin), "standard input".into()), None));
        }
        let opened = File::open(path)
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
            .with_context(|| format!("cannot read `{path}`"))
            .or_hint(|| {
                "give a file with one JSON text per line, or `-` for standard input".into()
            });
        let (file, metadata) = opened?;
        let size = metadata.is_file().then_some(metadata.len());
        let file = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        Ok((JsonLines::new(Box::new(file), format!("`{path}`")), size))
    }
}

impl<R: BufRead> JsonLines<R> {
    pub(crate) fn new(reader: R, name: String) -> JsonLines<R> {
        JsonLines { reader, name, number: 0, bytes: 0 }
    }

    /// Returns the number of bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the name of the file for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns an error that names a line of the file.
    pub(crate) fn error_at_line(&self, number: u64, message: &str, hint: &str) -> anyhow::Error {
        hinted(format!("line {number} of {}: {message}", self.name), hint)
    }

    /// Returns the next line that is not blank. `None` at the end of the file. `Err` if the line is too long or is not
    /// UTF-8.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<NumberedLine>> {
        loop {
            let mut line = Vec::new();
            // Two bytes more than the maximum: a carriage return and the newline, or bytes that show that the line is
            // too long.
            let mut bounded = (&mut self.reader).take(MAX_LINE_BYTES + 2);
            let read = bounded
                .read_until(b'\n', &mut line)
                .with_context(|| format!("cannot read {}", self.name))
                .or_hint(|| {
                    "give a file with one JSON text per line, or `-` for standard input".into()
                })?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.bytes += read as u64;
            // Before white space is removed: the rest of a line that was not read to its end is not the next line.
            if without_line_end(&line).len() as u64 > MAX_LINE_BYTES {
                let hint = "nothing was scheduled; store large data elsewhere and schedule a reference to it";
                return Err(self.error_at_line(
                    self.number,
                    "the line is larger than 100 MiB",
                    hint,
                ));
            }
            let length_from_text = line.trim_ascii_start().len();
            line.drain(..line.len() - length_from_text);
            line.truncate(line.trim_ascii_end().len());
            if line.is_empty() {
                continue;
            }
            let text = String::from_utf8(line).map_err(|_| {
                let hint = "nothing was scheduled; convert the file to UTF-8";
                self.error_at_line(self.number, "the line is not UTF-8", hint)
            })?;
            return Ok(Some(NumberedLine { number: self.number, text }));
        }
    }
}

/// Returns a line without the newline at its end, or the carriage return and the newline.
fn without_line_end(line: &[u8]) -> &[u8] {
    let Some(line) = line.strip_suffix(b"\n") else { return line };
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> anyhow::Result<Vec<(u64, String)>> {
        let mut lines = JsonLines::new(text, "`x`".to_owned());
        let mut all = Vec::new();
        while let Some(line) = lines.next()? {
            all.push((line.number, line.text));
        }
        assert_eq!(lines.bytes(), text.len() as u64);
        Ok(all)
    }

    #[test]
    fn blank_lines_are_counted_and_skipped() {
        let expected = [(1, "1".to_owned()), (4, "{ \"a\": 2 }".to_owned()), (5, "3".to_owned())];
        assert_eq!(lines(b"1\n\n \t\r\n  { \"a\": 2 } \r\n3").unwrap(), expected);
        assert_eq!(lines(b"1\n\n\n{ \"a\": 2 }\n3\n\n").unwrap(), expected);
        assert_eq!(lines(b"").unwrap(), []);
        assert_eq!(lines(b"\n\n").unwrap(), []);
    }

    #[test]
    fn an_error_names_the_line() {
        let error = lines(b"1\n\n\xff\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3 of `x`: the line is not UTF-8");
    }

    #[test]
    fn a_line_that_is_too_long_is_an_error() {
        let endless = io::BufReader::new(io::repeat(b'1'));
        let error = JsonLines::new(endless, "`x`".to_owned()).next().unwrap_err();
        assert_eq!(error.to_string(), "line 1 of `x`: the line is larger than 100 MiB");
    }

    #[test]
    fn a_line_that_is_too_long_is_never_taken_for_two() {
        // The first 100 MiB and two bytes would be the number 1, and the rest another number.
        let spaces = io::repeat(b' ').take(MAX_LINE_BYTES + 1);
        let text = b"1".as_slice().chain(spaces).chain(b"2\n".as_slice());
        let text = io::BufReader::new(text);
        let error = JsonLines::new(text, "`x`".to_owned()).next().unwrap_err();
        assert_eq!(error.to_string(), "line 1 of `x`: the line is larger than 100 MiB");
    }
}
