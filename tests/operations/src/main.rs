//! Operations that the tests schedule: each does one thing that a task queue has to bear. They are
//! grouped by what they are about; here stand the plain ones.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what an operation prints is the log of its task"
)]
#![expect(clippy::needless_pass_by_value, reason = "an operation takes its input by value")]

mod ends;
mod falls;
mod holds;
mod knows;
mod notes;
mod writes;

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use rework::{Bytes, Runner, Task, operation};
use serde_json::{Value, json};

use crate::knows::Calls;

fn main() -> ExitCode {
    Runner::new().state(Calls::default()).run()
}

/// Doubles a number, or repeats a text.
#[operation]
fn double(input: Value) -> rework::Result<Value> {
    println!("I am running");
    let doubled = match &input {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => json!(whole * 2),
            None => json!(number.as_f64().map(|number| number * 2.0)),
        },
        Value::String(text) => json!(text.repeat(2)),
        _ => return Err("neither a number nor a text".into()),
    };
    println!("I am done");
    Ok(doubled)
}

/// Sleeps for so many seconds.
#[operation(name = "sleep")]
async fn sleeps(seconds: f64) {
    println!("asleep");
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    println!("awake");
}

/// Has a limit of time and needs none of it.
#[operation(timeout = "3s")]
fn quick_t() -> u32 {
    1
}

/// Needs more time than it has.
#[operation(timeout = "2s", grace = "500ms")]
fn slow_t() {
    println!("slow");
    sleep(Duration::from_secs(60));
}

/// Has more time than it needs.
#[operation(timeout = "1m")]
fn patient_t(seconds: f64) {
    sleep(Duration::from_secs_f64(seconds));
}

/// Bytes in, bytes out.
#[operation]
fn raw(Bytes(mut input): Bytes) -> Bytes {
    input.extend_from_slice(b" and Celeste");
    Bytes(input)
}

/// Takes nothing.
#[operation]
fn noinput() {
    println!("nothing given");
}

/// Lives in a domain of its own.
#[operation(domain = "nondefault")]
fn other_dom(input: Value) -> Value {
    input
}

/// Says how far it is.
#[operation]
fn steps(task: &Task, count: u32) {
    for step in 1..=count {
        task.progress(step, count, "stepping");
    }
}
