//! The steps of the flows in `flows.rs` and `flow_descriptions.rs`, what undoes them, and controllers.
//!
//! Each run of a step appends a line to a file, the trace, so that a test can compare what was executed with what
//! Postgres has recorded. A line has the event, the step, the task and the run: `exec b 17 1` or `revert b 19 1`. One
//! system call writes it, so that lines of concurrent runs do not mix. The input of a step says what else it does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getppid;
use rework::{Decision, Error, History, Task, Undo, controller, revert, step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::waits::wait_for;

/// The action of a step in addition to the line in the trace.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Effect {
    /// How many executions fail: the first ones in the trace.
    fails: usize,
    /// How many reverts fail: the first ones in the trace.
    revert_fails: usize,
    /// The outputs with which the step fails.
    fails_for: Vec<Value>,
    /// An execution waits until this file exists.
    waits_for: Option<PathBuf>,
    /// A revert waits until this file exists.
    revert_waits_for: Option<PathBuf>,
    /// How long an execution and a revert take.
    milliseconds: u64,
    /// Whether the first run of each task kills its worker.
    kills_worker: bool,
}

/// The actions of steps, by the names of the steps.
pub(crate) type Effects = BTreeMap<String, Effect>;

/// The input of `traced`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Traced {
    trace: PathBuf,
    /// The name of the step in the trace.
    name: String,
    #[serde(default)]
    effects: Effects,
    /// Has the meaning of [`Effect::fails`].
    #[serde(default)]
    fails: usize,
    /// The output. Without it, the name of the step is the output.
    #[serde(default)]
    output: Option<Value>,
}

/// Appends a line to the trace and returns its output.
#[step(revert = undo_traced)]
pub(crate) fn traced(task: &Task, input: Traced) -> rework::Result<Value> {
    let effect = input.effects.get(&input.name).cloned().unwrap_or_default();
    let effect = Effect { fails: effect.fails.max(input.fails), ..effect };
    let output = input.output.unwrap_or_else(|| json!(input.name));
    execute(task, &input.trace, &input.name, &effect, &output)?;
    Ok(output)
}

/// The input of `joined`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Joined {
    trace: PathBuf,
    name: String,
    x: String,
    y: String,
}

/// Appends a line to the trace, and returns both texts as one.
#[step(revert = undo_traced)]
pub(crate) fn joined(task: &Task, input: Joined) -> rework::Result<String> {
    let output = format!("{}{}", input.x, input.y);
    execute(task, &input.trace, &input.name, &Effect::default(), &json!(output))?;
    Ok(output)
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct LongText {
    mebibytes: usize,
}

/// Returns a text of `mebibytes` MiB.
#[step]
fn long_text(input: &LongText) -> String {
    "x".repeat(input.mebibytes << 20)
}

fn execute(
    task: &Task,
    trace: &Path,
    name: &str,
    effect: &Effect,
    output: &Value,
) -> rework::Result<()> {
    let executions = append(trace, "exec", name, task)?;
    sleep(Duration::from_millis(effect.milliseconds));
    if let Some(file) = &effect.waits_for {
        wait_for(file);
    }
    kill_worker(task, effect)?;
    if executions <= effect.fails || effect.fails_for.contains(output) {
        return Err(Error::new("planned", format!("{name} fails")));
    }
    Ok(())
}

/// Undoes a step once. Returns what it knows of the step.
#[revert]
pub(crate) fn undo_traced(task: &Task, undo: Undo<Value, Value>) -> rework::Result<Value> {
    undo_step(task, &undo)
}

/// Undoes a step, and is tried again often, for tests that kill runners.
#[revert(retry(attempts = 40, backoff = "fixed", first = "10ms", jitter = 0))]
fn undo_persistently(task: &Task, undo: Undo<Value, Value>) -> rework::Result<Value> {
    undo_step(task, &undo)
}

/// The part of the input of a step that its revert needs.
#[derive(Debug, Deserialize)]
struct Undone {
    trace: PathBuf,
    name: String,
    #[serde(default)]
    effects: Effects,
}

fn undo_step(task: &Task, undo: &Undo<Value, Value>) -> rework::Result<Value> {
    let Undone { trace, name, effects } = Undone::deserialize(&undo.input)?;
    let effect = effects.get(&name).cloned().unwrap_or_default();
    let reverts = append(&trace, "revert", &name, task)?;
    sleep(Duration::from_millis(effect.milliseconds));
    if let Some(file) = &effect.revert_waits_for {
        wait_for(file);
    }
    kill_worker(task, &effect)?;
    if reverts <= effect.revert_fails {
        return Err(Error::new("planned", format!("the revert of {name} fails")));
    }
    Ok(json!({ "result": undo.result, "error": undo.error, "failures": undo.failures }))
}

/// Kills the worker if the effect wants it, and if this is the first run of the task.
fn kill_worker(task: &Task, effect: &Effect) -> rework::Result<()> {
    if effect.kills_worker && task.run() == 1 {
        kill(getppid(), Signal::SIGKILL).map_err(std::io::Error::from)?;
        // The runner of a worker that was killed is killed, too.
        loop {
            sleep(Duration::from_secs(3600));
        }
    }

    Ok(())
}

/// Appends a line to the trace. Returns how many such lines of this step there are now.
pub(crate) fn append(trace: &Path, event: &str, name: &str, task: &Task) -> rework::Result<usize> {
    let line = format!("{event} {name} {} {}\n", task.id(), task.run());
    File::options().append(true).create(true).open(trace)?.write_all(line.as_bytes())?;
    let start = format!("{event} {name} ");
    Ok(fs::read_to_string(trace)?.lines().filter(|line| line.starts_with(&start)).count())
}

/// Tries two zones.
#[controller]
pub(crate) fn two_zones(history: &History) -> Decision {
    next_zone(history).unwrap_or(Decision::Revert)
}

/// Tries two zones. If both fail, everything is undone.
#[controller]
pub(crate) fn two_zones_or_nothing(history: &History) -> Decision {
    next_zone(history).unwrap_or(Decision::RevertAll)
}

fn next_zone(history: &History) -> Option<Decision> {
    let zone = ["north", "south"].get(history.rounds.len())?;
    Some(Decision::Retry(json!(zone)))
}

/// Lets the flow start, and panics after the first failure.
#[controller]
pub(crate) fn panics_after_failure(history: &History) -> Decision {
    assert!(history.rounds.is_empty(), "at a loss");
    Decision::Retry(Value::Null)
}
