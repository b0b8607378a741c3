//! Operations that tell what they know: of their process, of the program that they are part of, and
//! of the tasks that they have others run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use rework::{Task, operation};
use serde_json::{Value, json};

/// How often `calls` was called in this process.
#[derive(Debug, Default)]
pub(crate) struct Calls(AtomicU32);

/// Counts its calls.
#[operation]
fn calls(task: &Task) -> rework::Result<u32> {
    let calls: &Calls = task.state()?;
    Ok(calls.0.fetch_add(1, Ordering::Relaxed) + 1)
}

/// The pid of the runner.
#[operation]
fn whoami() -> u32 {
    std::process::id()
}

/// The environment of the runner, and of the processes up to the first one.
#[operation]
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .collect()
}

/// What it sees of its run.
#[operation(attempts = 4)]
fn introduces_itself(task: &Task, input: Value) -> Value {
    json!({
        "id": task.id(), "run": task.run(), "attempt": task.attempt(), "domain": task.domain(),
        "operation": task.operation(), "metadata": task.metadata(), "input": input,
    })
}

/// Which copy of the program this is.
#[operation(name = "edition")]
fn its_edition() -> rework::Result<String> {
    Ok(edition()?)
}

/// Has `double` called for each number.
#[operation]
async fn fan(task: &Task, numbers: Vec<i64>) -> rework::Result<Vec<i64>> {
    let mut tasks = Vec::new();
    for number in numbers {
        tasks.push(task.schedule("double", &number).await?);
    }
    Ok(tasks)
}

/// What was appended to the program's file after a last `#`: which copy of it this process runs,
/// whatever stands at its path by now.
pub(crate) fn edition() -> io::Result<String> {
    let program = fs::read("/proc/self/exe")?;
    let end = &program[program.len().saturating_sub(100)..];
    let end = String::from_utf8_lossy(end);
    Ok(end.rsplit_once('#').map_or("first", |(_, edition)| edition).to_owned())
}
