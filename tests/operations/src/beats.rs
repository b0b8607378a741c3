//! The operation `beats`: a run that writes a line every few milliseconds, so that a test can find out which runs lived
//! at the same time, without asking the database.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rework::operation;
use schemars::JsonSchema;
use serde::Deserialize;

/// The time between two lines.
const INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug, Deserialize, JsonSchema)]
struct Beats {
    path: PathBuf,
    /// The number of the task.
    number: u32,
    /// How long the run lasts.
    milliseconds: u64,
}

/// Writes lines to a file: the number of the task, an id of this execution, and the time in microseconds since 1970.
/// One system call writes a line, so that lines of concurrent runs do not mix.
#[operation]
fn beats(input: Beats) -> rework::Result<u32> {
    let Beats { path, number, milliseconds } = input;
    let started = Instant::now();
    let mut file = File::options().append(true).create(true).open(&path)?;
    let execution = format!("{}-{}", std::process::id(), micros()?);
    loop {
        file.write_all(format!("{number} {execution} {}\n", micros()?).as_bytes())?;
        if started.elapsed() >= Duration::from_millis(milliseconds) {
            return Ok(number);
        }
        sleep(INTERVAL);
    }
}

fn micros() -> rework::Result<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_err(std::io::Error::other)?.as_micros())
}
