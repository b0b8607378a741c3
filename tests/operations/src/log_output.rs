//! Operations that write to the log of their task: many lines, bytes that are not text, structured events.

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rework::{Error, Task, operation};
use schemars::JsonSchema;
use serde::Deserialize;

/// Prints `lines` numbered lines without a pause.
#[operation]
fn flood(lines: u32) -> rework::Result<u32> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    for line in 1..=lines {
        writeln!(stdout, "line {line}")?;
    }
    stdout.flush()?;
    Ok(lines)
}

/// Prints `count` numbered lines with a pause of 50 ms after each.
#[operation]
fn prints_slowly(count: u32) {
    for number in 1..=count {
        println!("number {number}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Prints `count` lines of one mebibyte each.
#[operation]
fn megabytes(count: u32) -> rework::Result<()> {
    let line = "x".repeat(1 << 20);
    let mut stdout = io::stdout().lock();
    for _ in 0..count {
        writeln!(stdout, "{line}")?;
    }
    Ok(())
}

/// The input of `writes_pieces`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Pieces {
    /// The folder of the files that the operation waits for.
    folder: PathBuf,
    pieces: Vec<String>,
}

/// Writes each piece to stdout. After each it waits until `folder` has a file with the number of the piece, from 0.
#[operation]
fn writes_pieces(input: Pieces) -> rework::Result<()> {
    for (number, piece) in input.pieces.iter().enumerate() {
        let mut stdout = io::stdout();
        stdout.write_all(piece.as_bytes())?;
        stdout.flush()?;
        crate::waits::wait_for(&input.folder.join(number.to_string()));
    }
    Ok(())
}

/// Writes bytes that are not valid UTF-8 to stdout, and zero bytes to both streams.
#[operation]
fn odd_bytes() -> rework::Result<()> {
    io::stdout().write_all(b"nul \0 and \xff\n\xfe tail")?;
    io::stderr().write_all(b"\0\n")?;
    Ok(())
}

/// Prints the id of its task: on stdout, from a child process, on stderr, and at last without a newline.
#[operation]
fn writes_own_id(task: &Task) -> rework::Result<()> {
    println!("own {}", task.id());
    let child = Command::new("/bin/sh").arg("-c").arg(format!("echo child {}", task.id())).status();
    if !child?.success() {
        return Err(Error::new("child", "the child failed"));
    }
    eprintln!("stderr {}", task.id());
    print!("last {}", task.id());
    Ok(())
}

/// Logs an event of each level.
#[operation]
fn logs() {
    tracing::error!("an error");
    tracing::warn!(rows = 3, "a warning");
    tracing::info!("some information");
    tracing::debug!("a detail");
}

/// Prints the numbers from 1 on, a hundred per second, until the file `path` exists. Returns the last number.
#[operation]
fn counts_until_file(path: PathBuf) -> u64 {
    let mut number = 0;
    while !path.exists() {
        number += 1;
        println!("{number}");
        std::thread::sleep(Duration::from_millis(10));
    }
    number
}
