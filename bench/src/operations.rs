//! The operations that are measured. They do almost nothing, so that what is measured is rework itself.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rework::{Flow, Step, Undo, flow, operation, revert, step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    rework::run()
}

/// The input of `noop` and `undoable`, and the input and the output of `followed`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Number {
    /// Any number. `noop` returns it as its output.
    n: i64,
}

/// Returns its input.
#[operation(domain = "bench")]
fn noop(Number { n }: Number) -> i64 {
    n
}

/// Returns its input, which is also the input of the task of `noop` that follows.
#[operation(domain = "bench", run_after = "noop")]
fn followed(input: Number) -> Number {
    input
}

/// The input of `line`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Line {
    /// The number of steps.
    steps: u32,
}

/// Runs `noop` in this number of steps, one after the other.
#[flow(domain = "bench")]
fn line(Line { steps }: Line) -> Flow {
    let no_op = |n: u32| Step::operation("noop").named(format!("step {n}")).inject("n", n);
    (0..steps).fold(Flow::linear("line"), |flow, n| flow.add(no_op(n)))
}

/// Returns its input. As a step of a flow, it is undone.
#[step(domain = "bench", revert = forget)]
fn undoable(Number { n }: Number) -> i64 {
    n
}

/// Undoes nothing.
#[revert(domain = "bench")]
fn forget(_undo: &Undo<Number, i64>) {}

/// Returns the time at which it started, in microseconds since 1970.
#[operation(domain = "bench")]
fn stamp() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or_default()
}

/// Sleeps, and so keeps its worker busy.
#[operation(domain = "bench")]
fn hold(milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds));
}

/// Prints this number of lines.
#[operation(domain = "bench")]
#[expect(clippy::print_stdout, reason = "the printed lines are measured")]
fn print(lines: u64) {
    for line in 1..=lines {
        println!("line {line}");
    }
}
