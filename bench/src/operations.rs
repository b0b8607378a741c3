//! The operations that are measured: nothing of their own to do, so that what is left is rework.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rework::operation;
use schemars::JsonSchema;
use serde::Deserialize;

fn main() -> ExitCode {
    rework::run()
}

/// What `noop` takes.
#[derive(Debug, Deserialize, JsonSchema)]
struct Number {
    /// Any number.
    n: i64,
}

/// Gives back what it was given.
#[operation(domain = "bench")]
fn noop(Number { n }: Number) -> i64 {
    n
}

/// Gives back the time of its first instruction, in microseconds since 1970.
#[operation(domain = "bench")]
fn stamp() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or_default()
}

/// Holds its worker for so many milliseconds: several at once reach several workers.
#[operation(domain = "bench")]
fn hold(milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds));
}

/// Prints so many lines.
#[operation(domain = "bench")]
#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn print(lines: u64) {
    for line in 1..=lines {
        println!("line {line}");
    }
}
