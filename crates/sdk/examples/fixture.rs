//! The operations that the tests in `tests/sdk` run. Each does one thing that the SDK must handle correctly.

#![expect(clippy::print_stdout, reason = "what an operation prints is under test")]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;
use rework::{Bytes, Error, Runner, Task, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

#[path = "fixture/flows.rs"]
mod flows;

struct Calls(AtomicU32);

fn main() -> ExitCode {
    Runner::new().state(Calls(AtomicU32::new(0))).level(rework::Level::DEBUG).run()
}

/// Returns its input.
#[operation(domain = "other", timeout = "90s", memory = "1GiB", attempts = 3, retry_lost)]
async fn echo(input: Value) -> Value {
    tokio::task::yield_now().await;
    input
}

#[operation(name = "nothing", grace = "0s")]
fn takes_nothing() {}

#[operation(retry(
    attempts = 5,
    first = "10s",
    factor = 1.5,
    most = "PT1M",
    jitter = 0,
    not_on = ["quota"]
))]
fn retried() {}

#[operation(retry = "always")]
fn retried_always() {}

#[operation]
fn optional(input: Option<u32>) -> Option<u32> {
    input
}

#[operation]
fn reversed(Bytes(mut input): Bytes) -> Bytes {
    input.reverse();
    Bytes(input)
}

/// The number of checks of `scarce`. Every second one finds it available, and the fourth panics.
static CHECKS: AtomicU32 = AtomicU32::new(0);

fn is_available() -> anyhow::Result<()> {
    let number = CHECKS.fetch_add(1, Ordering::Relaxed) + 1;
    println!("check {number}");
    assert_ne!(number, 4, "the fourth check");
    anyhow::ensure!(number.is_multiple_of(2), "number {number} is odd");
    Ok(())
}

#[operation(available = is_available)]
fn scarce() {}

/// A `Result` under another name: the macro must recognise it all the same.
type Fallible = anyhow::Result<u32>;

#[operation]
fn fails() -> Fallible {
    Err(std::io::Error::other("disk on fire")).context("reading").context("loading")
}

#[operation]
fn fails_on_purpose(task: &Task, how: &str) -> Result<(), Error> {
    task.save_output(&"half of it")?;
    match how {
        "later" => Err(Error::retry_in(Duration::from_secs(90), "not yet")),
        "another time" => Err(Error::put_off(Duration::from_secs(5), "in use")),
        "never" => Err(anyhow::Error::from(Error::give_up("no use")).context("trying"))?,
        _ => Err(Error::new("quota", "x".repeat(1 << 20))),
    }
}

#[operation]
fn panics(_task: &Task, text: &str) {
    panic!("about {text}");
}

#[operation]
async fn panics_later() {
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(1 + 1, 3, "something");
}

#[derive(JsonSchema)]
struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not serializable"))
    }
}

#[operation]
fn returns_unserializable() -> Unserializable {
    Unserializable
}

#[operation]
fn logs() {
    let span = tracing::info_span!("outer", request = 7, r#type = "span");
    let _inside = span.enter();
    tracing::error!("bad");
    tracing::warn!(target: "db", rows = 3, table = "task", "slow");
    tracing::info!("two\nlines");
    tracing::debug!(answer = 42);
    tracing::trace!("below the level of this program");
    std::thread::spawn(|| tracing::info!("from a thread")).join().ok();
    log::warn!(target: "old", "by the log crate");
}

/// Prints the id of its task, and has a child process print it too.
#[operation]
fn number(task: &Task) {
    println!("{}", task.id());
    let child = Command::new("sh").arg("-c").arg(format!("echo child {}", task.id())).status();
    assert!(child.is_ok_and(|status| status.success()));
    print!("end {}", task.id());
}

#[operation]
async fn awaits_abort(task: &Task) -> String {
    let aborted = task.aborted();
    tracing::info!("waiting for the abort");
    aborted.await;
    task.abort_reason().unwrap_or_default().to_owned()
}

#[operation]
fn polls_for_abort(task: &Task) -> Result<(), Error> {
    while !task.is_aborted() {
        tracing::info!("polling");
        sleep(Duration::from_millis(1));
    }
    Err("aborted, as requested".into())
}

#[operation]
fn ignores_aborts(task: &Task) {
    tracing::info!("task {} ignores aborts", task.id());
    loop {
        sleep(Duration::from_secs(60));
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct FanOut {
    count: u32,
}

#[operation]
async fn schedules(task: &Task, fan_out: FanOut) -> Result<Vec<i64>, Error> {
    let mut tasks = Vec::new();
    for number in 1..=fan_out.count {
        let scheduled = task.schedule("echo", &BTreeMap::from([("number", number)]));
        tasks.push(scheduled.domain("other").priority(-2).delay(Duration::from_secs(5)).await?);
    }
    Ok(tasks)
}

#[operation]
fn schedules_plainly(task: &Task) -> Result<i64, Error> {
    task.schedule("nothing", &()).wait()
}

/// Requests a task and does not wait for the answer.
#[operation]
async fn schedules_without_waiting(task: &Task) {
    let mut request = Box::pin(task.schedule("nothing", &()).into_future());
    let _ = tokio::time::timeout(Duration::from_millis(20), &mut request).await;
}

#[operation]
fn reports_progress(task: &Task) {
    let done: usize = 1;
    task.progress(done, 4, "a quarter");
    task.progress(0.5, None, "");
}

#[operation]
fn counts_calls(task: &Task) -> Result<u32, Error> {
    let calls: &Calls = task.state()?;
    Ok(calls.0.fetch_add(1, Ordering::Relaxed) + 1)
}

#[operation]
fn reads_missing_state(task: &Task) -> Result<String, Error> {
    task.state::<String>().cloned()
}

/// Leaves a thread behind that continues to use the task after the end of its run.
#[operation]
fn leaves_a_thread(task: &Task) {
    let task = task.clone();
    std::thread::spawn(move || {
        loop {
            task.progress(1, None, "still running");
            tracing::debug!("still running");
            let refused = task.save_output(&"too late").is_err();
            let closed = task.schedule("nothing", &()).wait().is_err();
            assert!(refused || !closed, "a run that has ended accepts nothing");
        }
    });
}

/// Leaves a child process behind. It ends with this process, which holds its stdin.
#[operation]
fn leaves_a_process() -> Result<(), Error> {
    let mut command = std::process::Command::new("cat");
    let child = command.stdin(std::process::Stdio::piped()).spawn();
    std::mem::forget(child.map_err(|error| Error::new("spawn", error.to_string()))?);
    Ok(())
}

#[operation(domain = "limits", timeout = "1d 1h", memory = "1.5 GiB", grace = "PT0.25S")]
fn limits() {}

/// Returns all attributes of its task.
#[operation]
fn describes_its_task(task: &Task) -> Result<Value, Error> {
    let remaining =
        task.deadline().map(|at| at.saturating_duration_since(std::time::Instant::now()));
    Ok(serde_json::json!({
        "id": task.id(), "run": task.run(), "attempt": task.attempt(), "domain": task.domain(),
        "operation": task.operation(), "metadata": task.metadata::<Value>()?,
        "seconds_left": remaining.map(|time| time.as_secs_f64().ceil()),
        "input": String::from_utf8_lossy(task.raw_input()),
    }))
}

/// Returns what a child process inherits: the variables of the SDK, and the targets of its descriptors.
#[operation]
fn lists_inherited() -> Result<Vec<String>, Error> {
    let script = "env | grep -e ^REWORK_RUNNER_ -e ^REWORK_STARTED_RUNS_ -e ^REWORK_SEND_BUFFER_; \
                  for fd in /proc/self/fd/*; do readlink $fd; done";
    let output = Command::new("sh").arg("-c").arg(script).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Sleeps for an hour, without printing or logging.
#[operation]
fn sleeps() {
    sleep(Duration::from_secs(3600));
}

/// Ends the process with SIGABRT.
#[operation]
fn dies() {
    std::process::abort();
}
