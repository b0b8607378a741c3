//! Operations that record their runs as those of `witness.rs` do, for tasks with unique keys, tasks that wait for
//! others or follow others, and tasks that are put off. `tests/feature_chaos` reads the lines.
//!
//! Each line ends with the name of the operation and the number in the input, for example
//! `start 7 2 3111 529000111 witnessed_unique 4`.

use std::path::PathBuf;
use std::time::Duration;

use rework::{Error, Task, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::witness::Witness;

/// The number of the last run of a task that `witnessed_put_off` puts off.
const LAST_RUN_PUT_OFF: i64 = 2;

/// The input of the operations in this file. It is also an output, so that it becomes the input of a follower.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct FeatureInput {
    /// The file to which the run appends its lines.
    path: PathBuf,
    /// The unique key, or the task that ends before.
    number: i64,
    /// How long the run takes.
    milliseconds: u64,
}

/// Writes the lines of a run that ends by itself.
fn witness_run(task: &Task, input: &FeatureInput) -> rework::Result<()> {
    let mut witness = start(task, input)?;
    witness.go_on(input.milliseconds, || false)?;
    witness.end()
}

fn start<'a>(task: &'a Task, input: &FeatureInput) -> rework::Result<Witness<'a>> {
    let suffix = format!(" {} {}", task.operation(), input.number);
    Witness::start(task, &input.path, suffix)
}

/// Runs with a unique key, which is the number of its input.
#[operation(retry_lost, retry(attempts = 3, backoff = "fixed", first = "10ms", jitter = 0))]
fn witnessed_unique(task: &Task, input: FeatureInput) -> rework::Result<()> {
    witness_run(task, &input)
}

/// Runs after the task that is the number of its input.
#[operation(retry_lost, retry(attempts = 3, backoff = "fixed", first = "10ms", jitter = 0))]
fn witnessed_after(task: &Task, input: FeatureInput) -> rework::Result<()> {
    witness_run(task, &input)
}

/// Returns the input of its follower. The number in it is this task.
#[operation(
    retry_lost,
    retry(attempts = 3, backoff = "fixed", first = "10ms", jitter = 0),
    run_after = "witnessed_follower"
)]
fn witnessed_followed(task: &Task, input: FeatureInput) -> rework::Result<FeatureInput> {
    witness_run(task, &input)?;
    Ok(FeatureInput { number: task.id(), ..input })
}

/// Follows the task that is the number of its input.
#[operation(retry_lost, retry(attempts = 3, backoff = "fixed", first = "10ms", jitter = 0))]
fn witnessed_follower(task: &Task, input: FeatureInput) -> rework::Result<()> {
    witness_run(task, &input)
}

/// Puts its first runs off.
#[operation(retry_lost, retry(attempts = 3, backoff = "fixed", first = "10ms", jitter = 0))]
fn witnessed_put_off(task: &Task, input: FeatureInput) -> rework::Result<()> {
    if task.run() > LAST_RUN_PUT_OFF {
        return witness_run(task, &input);
    }
    start(task, &input)?;
    Err(Error::put_off(Duration::from_millis(10), "it is one of its first runs"))
}
