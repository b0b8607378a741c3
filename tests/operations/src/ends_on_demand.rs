//! Operations that end when a test decides it: when a file exists, when the test sends a signal, when they exceed
//! their timeout or their memory limit.
//!
//! Most of them print `pid <pid>` and then `half`, a line without a newline. So a test can find the process, and can
//! check that the unfinished line is kept. `tests/manifests/ends_on_demand.toml` has similar operations as commands.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rework::{Bytes, Task, operation};

use crate::waits::wait_for;

/// Sleeps until something ends its process.
#[operation(grace = "0s")]
fn sleeps_until_killed() {
    print_pid_and_half_line();
    sleep_forever();
}

/// Sleeps until something ends its process. A lost run is repeated.
#[operation(grace = "0s", retry_lost)]
fn sleeps_until_killed_retry_lost() {
    print_pid_and_half_line();
    sleep_forever();
}

/// Waits until the file `gate` exists and exits with exit code 3.
#[operation]
#[expect(clippy::exit, reason = "the exit is what this operation is for")]
fn exits_3(gate: PathBuf) {
    print_pid_and_half_line();
    wait_for(&gate);
    std::process::exit(3);
}

/// Waits until the file `gate` exists and allocates memory without end.
#[operation(memory = "64MiB")]
fn fills_memory(gate: PathBuf) {
    print_pid_and_half_line();
    wait_for(&gate);
    let mut allocated = Vec::new();
    loop {
        allocated.push(vec![1_u8; 1 << 20]);
        // 1 MiB per millisecond: slow enough for a monitor that measures the memory by polling.
        sleep(Duration::from_millis(1));
    }
}

/// Exceeds its timeout and does not react when it should stop.
#[operation(timeout = "500ms", grace = "200ms")]
fn exceeds_timeout() {
    print_pid_and_half_line();
    sleep_forever();
}

/// Exceeds its timeout and sends progress messages all the time, without a pause.
#[operation(timeout = "500ms", grace = "200ms")]
fn sends_progress_past_timeout(task: &Task) {
    print_pid_and_half_line();
    loop {
        task.progress(1, None, "still running");
    }
}

/// Checks once whether it is aborted, and then does not react to an abort.
#[operation(grace = "200ms")]
fn ignores_abort(task: &Task) {
    // An operation that never checks gets no grace, so the check makes the worker wait for the grace.
    let _ = task.is_aborted();
    print_pid_and_half_line();
    sleep_forever();
}

/// Returns a map whose keys are not strings, which cannot be written as JSON.
#[operation]
fn returns_tuple_keys() -> BTreeMap<(i32, i32), i32> {
    BTreeMap::from([((1, 2), 3)])
}

/// Returns `mebibytes` MiB of zero bytes.
#[operation]
fn returns_mebibytes(mebibytes: usize) -> Bytes {
    Bytes(vec![0; mebibytes << 20])
}

/// Prints the line `pid <pid>` and then `half` without a newline.
fn print_pid_and_half_line() {
    println!("pid {}", std::process::id());
    print!("half");
    // An error means that nobody reads stdout. Then the text is not needed.
    let _ = std::io::stdout().flush();
}

fn sleep_forever() {
    loop {
        sleep(Duration::from_secs(3600));
    }
}
