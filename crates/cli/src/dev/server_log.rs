//! The log that a private Postgres writes about itself: kept small, and quoted in errors.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::error::DevError;

/// A log that is larger at a start is put aside; only one is kept so.
const MAX: u64 = 10 << 20;
/// What is read from its end for an error, in bytes and in lines.
const TAIL: u64 = 16 << 10;
const TAIL_LINES: usize = 15;

/// Opens the log to be written on, and says where the new part begins.
pub(crate) fn open(log: &Path) -> Result<(File, u64), DevError> {
    if fs::metadata(log).is_ok_and(|found| found.len() > MAX) {
        fs::rename(log, log.with_extension("log.1")).map_err(DevError::system("rename", log))?;
    }
    let file = File::options().append(true).create(true).open(log);
    let file = file.map_err(DevError::system("open", log))?;
    let from = file.metadata().map_err(DevError::system("look at", log))?.len();
    Ok((file, from))
}

/// The last lines that were written after `from`.
pub(crate) fn tail(log: &Path, from: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(end.saturating_sub(TAIL))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // It decorates an error: without it there is still the error.
    last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()))
}

pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_new_part_is_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("postgres.log");
        fs::write(&log, "of the last start\n").unwrap();
        let (mut file, from) = open(&log).unwrap();
        io::Write::write_all(&mut file, b"one\ntwo\n").unwrap();
        assert_eq!(tail(&log, from), "one\ntwo");
        assert_eq!(tail(&directory.path().join("none"), 0), "");
    }

    #[test]
    fn a_large_log_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("postgres.log");
        fs::write(&log, vec![b'x'; MAX as usize + 1]).unwrap();
        assert_eq!(open(&log).unwrap().1, 0);
        assert!(directory.path().join("postgres.log.1").exists());
    }

    #[test]
    fn errors_stay_short() {
        let text = (0..100).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let last = last_lines(&text);
        assert_eq!(last.lines().count(), TAIL_LINES);
        assert!(last.ends_with("line 99"));
    }
}
