//! Opens the log file of the private Postgres, keeps it small, and reads its last lines for error messages.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::error::DevError;

/// The size in bytes above which a log is renamed when the server starts. Only one old log is kept.
const MAX_BYTES: u64 = 10 << 20;
/// The number of bytes that are read from the end of the log for an error.
const TAIL_BYTES: u64 = 16 << 10;
/// The maximum number of log lines in an error: they fit on one screen.
const TAIL_LINES: usize = 15;

/// Opens the log for appending. Also returns its current length in bytes, where the new lines will start.
pub(crate) fn open(log: &Path) -> Result<(File, u64), DevError> {
    if fs::metadata(log).is_ok_and(|metadata| metadata.len() > MAX_BYTES) {
        fs::rename(log, log.with_extension("log.1")).map_err(DevError::system("rename", log))?;
    }
    let file = File::options().append(true).create(true).open(log);
    let file = file.map_err(DevError::system("open", log))?;
    let start = file.metadata().map_err(DevError::system("read", log))?.len();
    Ok((file, start))
}

/// Returns the last lines that were written after the position `from` in bytes. Empty if the log cannot be read.
pub(crate) fn tail(log: &Path, from: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(end.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // The lines are only an addition to an error message, so an error here is ignored.
    last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()))
}

/// Returns the last lines of a text, [`TAIL_LINES`] at most.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_has_only_lines_after_the_start_position() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("postgres.log");
        fs::write(&log, "of the last start\n").unwrap();
        let (mut file, from) = open(&log).unwrap();
        io::Write::write_all(&mut file, b"one\ntwo\n").unwrap();
        assert_eq!(tail(&log, from), "one\ntwo");
        assert_eq!(tail(&directory.path().join("none"), 0), "");
    }

    #[test]
    fn a_large_log_is_renamed() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("postgres.log");
        fs::write(&log, vec![b'x'; MAX_BYTES as usize + 1]).unwrap();
        assert_eq!(open(&log).unwrap().1, 0);
        assert!(directory.path().join("postgres.log.1").exists());
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let text = (0..100).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let last = last_lines(&text);
        assert_eq!(last.lines().count(), TAIL_LINES);
        assert!(last.ends_with("line 99"));
    }
}
