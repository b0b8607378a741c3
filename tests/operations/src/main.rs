//! The program `fixture-operations`: operations that the tests schedule.
//!
//! Each operation does one thing that a task queue must handle. This file has the simple ones. Operations that
//! fail are in `failures.rs`, operations that wait in `waits.rs`, and those that write to their log in `log_output.rs`.
//! Operations that record their runs outside Postgres are in `witness.rs` and `witness_features.rs`. `scarce.rs` has one
//! with a check. `flows.rs` has flows, `flow_steps.rs` their steps, and `flow_descriptions.rs` flows that may be wrong.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what an operation prints is the log of its task"
)]
#![expect(clippy::needless_pass_by_value, reason = "an operation takes its input by value")]

mod append_number;
mod beats;
mod ends_on_demand;
mod failures;
mod flow_descriptions;
mod flow_steps;
mod flows;
mod log_output;
mod run_facts;
mod scarce;
mod waits;
mod witness;
mod witness_features;

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use rework::{Bytes, Runner, Task, operation};
use serde_json::{Value, json};

use crate::run_facts::CallCount;

fn main() -> ExitCode {
    Runner::new().state(CallCount::default()).run()
}

/// Doubles a number, or writes a string twice. Fails for any other input.
#[operation]
fn double(input: Value) -> rework::Result<Value> {
    println!("I am running");
    let doubled = match &input {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => json!(whole * 2),
            None => json!(number.as_f64().map(|number| number * 2.0)),
        },
        Value::String(text) => json!(text.repeat(2)),
        _ => return Err("the input is neither a number nor a string".into()),
    };
    println!("I am done");
    Ok(doubled)
}

/// Sleeps for `seconds`. The function has another name, because `sleep` of the standard library is imported.
#[operation(name = "sleep")]
async fn sleeps(seconds: f64) {
    println!("asleep");
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    println!("awake");
}

/// Returns at once, long before its timeout.
#[operation(timeout = "3s")]
fn fast_with_timeout() -> u32 {
    1
}

/// Exceeds its timeout, and does not react when it should stop.
#[operation(timeout = "2s", grace = "500ms")]
fn slow_with_timeout() {
    println!("slow");
    sleep(Duration::from_secs(60));
}

/// Sleeps for `seconds`, which the tests choose shorter than its timeout.
#[operation(timeout = "1m")]
fn sleep_with_timeout(seconds: f64) {
    sleep(Duration::from_secs_f64(seconds));
}

/// Appends a text to its input, which is bytes instead of JSON, and returns the result as bytes.
#[operation]
fn raw(Bytes(mut input): Bytes) -> Bytes {
    input.extend_from_slice(b" and Celeste");
    Bytes(input)
}

/// Takes no input.
#[operation]
fn noinput() {
    println!("nothing given");
}

/// Returns 21. A task of `noinput` follows.
#[operation(run_after = "noinput")]
fn is_followed() -> i32 {
    21
}

/// Returns its input. The only operation in the domain `nondefault`.
#[operation(domain = "nondefault")]
fn other_domain(input: Value) -> Value {
    input
}

/// Reports its progress after each of `count` steps.
#[operation]
fn steps(task: &Task, count: u32) {
    for step in 1..=count {
        task.progress(step, count, "stepping");
    }
}
