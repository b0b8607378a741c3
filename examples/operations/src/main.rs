//! Example operations. Each of them shows one feature of the Rust SDK.
//!
//! ```console
//! $ cargo build -p examples
//! $ target/debug/operations                      # lists the operations
//! $ target/debug/operations resize --width 300   # runs one, without a database
//! $ rework register-operations target/debug/operations
//! $ rework schedule double --input 21 --wait
//! ```

#![expect(clippy::print_stdout, reason = "what an operation prints is the log of its task")]

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use rework::{Error, Task, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    rework::run()
}

/// A number or a text. JSON shows which one it is, so no tag is needed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Doubled {
    Whole(i64),
    Number(f64),
    Text(String),
}

/// Doubles a number or a text.
#[operation]
fn double(_task: &Task, input: Doubled) -> Doubled {
    println!("I am running");
    let doubled = match input {
        Doubled::Whole(number) => Doubled::Whole(number.saturating_mul(2)),
        Doubled::Number(number) => Doubled::Number(number * 2.0),
        Doubled::Text(text) => Doubled::Text(text.repeat(2)),
    };
    println!("I am done");
    doubled
}

/// The input of `resize`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Resize {
    /// The new width, in pixels.
    width: u32,
    /// The new height, in pixels. The default is three quarters of the width.
    height: Option<u32>,
    /// How the image fits into the new size.
    #[serde(default)]
    fit: Fit,
}

#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Fit {
    #[default]
    Inside,
    Fill,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Thumbnail {
    width: u32,
    height: u32,
    fit: Fit,
}

/// Computes the size of a thumbnail, with typed input and output.
#[operation(domain = "images", timeout = "5m", memory = "512MiB", attempts = 3)]
async fn resize(task: &Task, input: Resize) -> anyhow::Result<Thumbnail> {
    anyhow::ensure!(input.width > 0, "an image is at least one pixel wide");
    tracing::info!(width = input.width, attempt = task.attempt(), "resizing");
    let height = input.height.unwrap_or(input.width * 3 / 4);
    tokio::time::sleep(Duration::from_millis(10)).await;
    Ok(Thumbnail { width: input.width, height, fit: input.fit })
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Count {
    /// The last number.
    to: u32,
    /// The pause between two numbers, in milliseconds.
    #[serde(default)]
    pause_ms: u64,
}

/// Prints numbers, and reports its progress. Returns the last number, also if it is aborted.
#[operation]
fn count(task: &Task, Count { to, pause_ms }: Count) -> u32 {
    for number in 1..=to {
        if task.is_aborted() {
            return number - 1;
        }
        println!("{number}");
        task.progress(number, to, "counting");
        sleep(Duration::from_millis(pause_ms));
    }
    to
}

/// Runs until it is aborted, and then cleans up.
#[operation(grace = "2s")]
async fn forever(task: &Task) {
    println!("I run until somebody aborts me");
    let mut interval = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = interval.tick() => tracing::info!("still running"),
            () = task.aborted() => break,
        }
    }
    println!("I was {}", task.abort_reason().unwrap_or("aborted"));
}

/// Runs forever, and does not check for aborts: its process has to be killed.
#[operation]
fn stubborn() {
    println!("I ignore aborts");
    loop {
        sleep(Duration::from_secs(3600));
    }
}

/// Fails at the first attempt, and requests the next one after a short delay.
#[operation(attempts = 3)]
fn fail_sometimes(task: &Task) -> rework::Result<String> {
    match task.attempt() {
        1 => Err(Error::retry_in(Duration::from_millis(100), "the first attempt always fails")),
        attempt => Ok(format!("attempt {attempt} succeeded")),
    }
}

/// Divides two numbers. Without a quotient it gives up, because another attempt would fail as well.
#[operation(attempts = 3)]
fn divide((dividend, divisor): (i64, i64)) -> rework::Result<i64> {
    dividend.checked_div(divisor).ok_or_else(|| Error::give_up("these numbers have no quotient"))
}

/// Schedules `double` for each number, and returns the ids of the new tasks.
#[operation]
async fn double_all(task: &Task, numbers: Vec<i64>) -> rework::Result<Vec<i64>> {
    let mut tasks = Vec::new();
    for number in numbers {
        tasks.push(task.schedule("double", &number).await?);
    }
    Ok(tasks)
}
