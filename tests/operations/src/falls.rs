//! Operations that come to a bad end when a test wants it: when a file is there, when a signal
//! comes, when their time or their memory is over. They say who they are, and each has begun a line
//! that it never ends.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use rework::{Bytes, Task, operation};

use crate::holds::wait_for;

/// Waits for whatever ends it.
#[operation(grace = "0s")]
fn stands() {
    introduce();
    sleep_for_ever();
}

/// As `stands`, where a run that was lost may be repeated.
#[operation(grace = "0s", retry_lost)]
fn stands_again() {
    introduce();
    sleep_for_ever();
}

/// Exits with 3 when there is such a file.
#[operation]
#[expect(clippy::exit, reason = "the exit is what this operation is for")]
fn exits_3(gate: PathBuf) {
    introduce();
    wait_for(&gate);
    std::process::exit(3);
}

/// Takes more and more memory when there is such a file.
#[operation(memory = "64MiB")]
fn gorges(gate: PathBuf) {
    introduce();
    wait_for(&gate);
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 1 << 20]);
        // At a pace at which somebody who only looks can follow.
        sleep(Duration::from_millis(1));
    }
}

/// Needs more time than it has.
#[operation(timeout = "500ms", grace = "200ms")]
fn overstays() {
    introduce();
    sleep_for_ever();
}

/// The same, and says so without a pause.
#[operation(timeout = "500ms", grace = "200ms")]
fn babbles(task: &Task) {
    introduce();
    loop {
        task.progress(1, None, "and on");
    }
}

/// Asks whether it is to end, and does not.
#[operation(grace = "200ms")]
fn heedless(task: &Task) {
    let _ = task.is_aborted();
    introduce();
    sleep_for_ever();
}

/// Gives what is no JSON: names that are no texts.
#[operation]
fn nameless() -> BTreeMap<(i32, i32), i32> {
    BTreeMap::from([((1, 2), 3)])
}

/// Gives so many MiB.
#[operation]
fn gives(mebibytes: usize) -> Bytes {
    Bytes(vec![0; mebibytes << 20])
}

/// A whole line and a part of one.
fn introduce() {
    println!("pid {}", std::process::id());
    print!("half");
    // Nobody reads: then nobody misses it.
    let _ = std::io::stdout().flush();
}

fn sleep_for_ever() {
    loop {
        sleep(Duration::from_secs(3600));
    }
}
