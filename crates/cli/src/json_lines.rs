//! JSON lines, read one by one: a file of any length takes the memory of its longest line. Blank
//! lines are left out, and counted, so that numbers are those that an editor shows.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
};

use anyhow::Context as _;

use crate::report::{OrHint as _, hinted};

/// Most bytes of a line: more cannot be the input of a task.
const MOST_BYTES: u64 = 100 << 20;

/// Bytes that are read at once.
const BUFFER: usize = 256 << 10;

/// Lines of JSON, which nobody has looked at.
pub(crate) struct JsonLines<R> {
    reader: R,
    /// As it is named in errors.
    name: String,
    number: u64,
    bytes: u64,
}

/// A line, without the white space around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: u64,
    pub(crate) text: String,
}

impl JsonLines<Box<dyn BufRead + Send>> {
    /// Of a file, or of the standard input where it is called `-`; and how large it is, where that is
    /// known.
    pub(crate) fn open(path: &str) -> anyhow::Result<(Self, Option<u64>)> {
        if path == "-" {
            let stdin = BufReader::with_capacity(BUFFER, io::stdin());
            return Ok((JsonLines::new(Box::new(stdin), "the standard input".into()), None));
        }
        let opened = File::open(path)
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
            .with_context(|| format!("cannot read `{path}`"))
            .or_hint(|| "name a file with a JSON text on each line, or `-`".into());
        let (file, metadata) = opened?;
        let size = metadata.is_file().then_some(metadata.len());
        let file = BufReader::with_capacity(BUFFER, file);
        Ok((JsonLines::new(Box::new(file), format!("`{path}`")), size))
    }
}

impl<R: BufRead> JsonLines<R> {
    pub(crate) fn new(reader: R, name: String) -> JsonLines<R> {
        JsonLines { reader, name, number: 0, bytes: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What it is called in errors.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A fault of a line, with where it is.
    pub(crate) fn fault(&self, number: u64, fault: &str, hint: &str) -> anyhow::Error {
        hinted(format!("line {number} of {}: {fault}", self.name), hint)
    }

    /// The next line that is not blank.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Line>> {
        loop {
            let mut line = Vec::new();
            // One byte more than may be, and the end of the line.
            let mut bounded = (&mut self.reader).take(MOST_BYTES + 2);
            let read = bounded
                .read_until(b'\n', &mut line)
                .with_context(|| format!("cannot read {}", self.name))
                .or_hint(|| "name a file with a JSON text on each line, or `-`".into())?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.bytes += read as u64;
            let blank = line.trim_ascii_start().len();
            line.drain(..line.len() - blank);
            line.truncate(line.trim_ascii_end().len());
            if line.len() as u64 > MOST_BYTES {
                let hint = "nothing was scheduled; keep it elsewhere, and schedule where it is";
                return Err(self.fault(self.number, "it is larger than 100 MiB", hint));
            }
            if line.is_empty() {
                continue;
            }
            let text = String::from_utf8(line).map_err(|_| {
                self.fault(
                    self.number,
                    "it is not UTF-8",
                    "nothing was scheduled; JSON is written in UTF-8",
                )
            })?;
            return Ok(Some(Line { number: self.number, text }));
        }
    }
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
    fn blank_lines_are_counted_and_left_out() {
        let expected = [(1, "1".to_owned()), (4, "{ \"a\": 2 }".to_owned()), (5, "3".to_owned())];
        assert_eq!(lines(b"1\n\n \t\r\n  { \"a\": 2 } \r\n3").unwrap(), expected);
        assert_eq!(lines(b"1\n\n\n{ \"a\": 2 }\n3\n\n").unwrap(), expected);
        assert_eq!(lines(b"").unwrap(), []);
        assert_eq!(lines(b"\n\n").unwrap(), []);
    }

    #[test]
    fn a_fault_names_its_line() {
        let error = lines(b"1\n\n\xff\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3 of `x`: it is not UTF-8");
    }

    #[test]
    fn a_line_is_bounded() {
        let endless = io::BufReader::new(io::repeat(b'1'));
        let error = JsonLines::new(endless, "`x`".to_owned()).next().unwrap_err();
        assert_eq!(error.to_string(), "line 1 of `x`: it is larger than 100 MiB");
    }
}
