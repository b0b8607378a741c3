//! Operations that return facts about their run: their process, its environment, the copy of the program that
//! runs, and tasks that they scheduled.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use rework::{Task, operation};
use serde_json::{Value, json, value::RawValue};

/// How many times `counts_calls` has run in this process.
#[derive(Debug, Default)]
pub(crate) struct CallCount(AtomicU32);

/// Returns how many times it has run in this process, this run included.
#[operation]
fn counts_calls(task: &Task) -> rework::Result<u32> {
    let count: &CallCount = task.state()?;
    Ok(count.0.fetch_add(1, Ordering::Relaxed) + 1)
}

/// Returns the pid of the runner.
#[operation]
fn runner_pid() -> u32 {
    std::process::id()
}

/// Returns the environment of the runner.
#[operation]
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .collect()
}

/// Returns all facts about the run that the SDK gives to an operation.
#[operation(attempts = 4)]
fn describes_run(task: &Task, input: Value) -> rework::Result<Value> {
    Ok(json!({
        "id": task.id(), "run": task.run(), "attempt": task.attempt(), "domain": task.domain(),
        "operation": task.operation(), "metadata": task.metadata::<Value>()?, "input": input,
    }))
}

/// Returns the metadata of its task as text, as it was written.
#[operation]
fn metadata_text(task: &Task) -> rework::Result<Option<String>> {
    let metadata: Option<Box<RawValue>> = task.metadata()?;
    Ok(metadata.map(|metadata| metadata.get().to_owned()))
}

/// Returns which copy of the program it runs in.
#[operation(name = "edition")]
fn edition_operation() -> rework::Result<String> {
    Ok(edition()?)
}

/// Schedules a task of `double` for each number and returns the ids of the tasks.
#[operation]
async fn schedules_double(task: &Task, numbers: Vec<i64>) -> rework::Result<Vec<i64>> {
    let mut tasks = Vec::new();
    for number in numbers {
        tasks.push(task.schedule("double", &number).await?);
    }
    Ok(tasks)
}

/// Returns which copy of the program this process runs: the text after the last `#` in the last 100 bytes of the
/// program's file, or `first` if there is no `#`.
///
/// Tests append `#second` to a copy and replace the first copy with it. `/proc/self/exe` is the file that this
/// process was started from, even if another file is at its path now.
pub(crate) fn edition() -> io::Result<String> {
    let program = fs::read("/proc/self/exe")?;
    let end = &program[program.len().saturating_sub(100)..];
    let end = String::from_utf8_lossy(end);
    Ok(end.rsplit_once('#').map_or("first", |(_, edition)| edition).to_owned())
}
