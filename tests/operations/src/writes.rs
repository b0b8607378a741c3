//! Operations by what they write: floods, odd bytes, their own number, structured events.

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rework::{Error, Task, operation};

/// Prints the numbers from 1 to so many, one a line.
#[operation]
fn flood(lines: u32) -> rework::Result<u32> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    for line in 1..=lines {
        writeln!(stdout, "line {line}")?;
    }
    stdout.flush()?;
    Ok(lines)
}

/// Prints a number, so many times, with a pause after each.
#[operation]
fn ticks(count: u32) {
    for number in 1..=count {
        println!("tick {number}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Prints so many lines of a mebibyte each.
#[operation]
fn megabytes(count: u32) -> rework::Result<()> {
    let line = "x".repeat(1 << 20);
    let mut stdout = io::stdout().lock();
    for _ in 0..count {
        writeln!(stdout, "{line}")?;
    }
    Ok(())
}

/// Prints bytes that are no text.
#[operation]
fn odd_bytes() -> rework::Result<()> {
    io::stdout().write_all(b"nul \0 and \xff\n\xfe tail")?;
    io::stderr().write_all(b"\0\n")?;
    Ok(())
}

/// Prints its number, has a child print it, and ends in the middle of a line.
#[operation]
fn number(task: &Task) -> rework::Result<()> {
    println!("own {}", task.id());
    let child = Command::new("/bin/sh").arg("-c").arg(format!("echo child {}", task.id())).status();
    if !child?.success() {
        return Err(Error::new("child", "the child failed"));
    }
    eprintln!("beside {}", task.id());
    print!("rest {}", task.id());
    Ok(())
}

/// Logs an event of each level.
#[operation]
fn logs() {
    tracing::error!("an error");
    tracing::warn!(rows = 3, "a warning");
    tracing::info!("some news");
    tracing::debug!("a detail");
}

/// Counts aloud, a hundred times a second, until there is such a file. Its output is the last number.
#[operation]
fn counts(path: PathBuf) -> u64 {
    let mut number = 0;
    while !path.exists() {
        number += 1;
        println!("{number}");
        std::thread::sleep(Duration::from_millis(10));
    }
    number
}
