//! An operation that is available only while a file exists.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use rework::operation;

/// Returns why `scarce` is not available: there is no file at the path in the variable `SCARCE_GATE`. Appends a line to
/// the file at the path in `SCARCE_CALLS`. The monitor has both variables.
fn gate_is_open() -> Result<(), String> {
    let variable = |name| std::env::var(name).map_err(|error| format!("{name}: {error}"));
    let calls = OpenOptions::new().append(true).create(true).open(variable("SCARCE_CALLS")?);
    calls.and_then(|mut calls| calls.write_all(b"x\n")).map_err(|error| error.to_string())?;
    println!("this is not in the log of a task");
    let gate = variable("SCARCE_GATE")?;
    if Path::new(&gate).exists() { Ok(()) } else { Err(format!("there is no\n`{gate}`")) }
}

/// Returns its input.
#[operation(available = gate_is_open)]
fn scarce(number: u32) -> u32 {
    println!("number {number}");
    number
}
