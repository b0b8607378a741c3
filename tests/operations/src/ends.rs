//! Operations by how they end: errors, requests for another attempt, exits, panics, and too much
//! memory.

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rework::{Error, Task, operation};

/// Fails after it has saved something.
#[operation]
fn boom(task: &Task) -> rework::Result<()> {
    println!("before");
    task.save_output(&"partial")?;
    Err("oops".into())
}

/// Ends its process at once, without cleaning up.
#[operation]
fn die() {
    println!("dying");
    kill_self_with(3);
}

/// Asks for the end of its process.
#[operation]
#[expect(clippy::exit, reason = "the exit is what this operation is for")]
fn exit7() {
    std::process::exit(7);
}

/// Sends its own process a signal.
#[operation]
fn signals_itself(signal: i32) -> rework::Result<()> {
    let signal = nix::sys::signal::Signal::try_from(signal).map_err(std::io::Error::from)?;
    nix::sys::signal::kill(nix::unistd::Pid::this(), signal).map_err(std::io::Error::from)?;
    Ok(())
}

/// Panics.
#[operation]
fn panics(about: String) {
    panic!("about {about}");
}

/// Fails until its third attempt; the first two ask for the next one soon.
#[operation(attempts = 3)]
fn third_time(task: &Task) -> rework::Result<i32> {
    println!("attempt {}", task.attempt());
    match task.attempt() {
        3 => Ok(3),
        attempt => Err(Error::retry_in(Duration::from_millis(50), format!("attempt {attempt}"))),
    }
}

/// Fails at every attempt, and leaves it to the queue when to try again.
#[operation(attempts = 2)]
fn never_works(task: &Task) -> rework::Result<()> {
    Err(format!("attempt {} failed", task.attempt()).into())
}

/// Knows that no attempt will help.
#[operation(attempts = 5)]
fn gives_up() -> rework::Result<()> {
    Err(Error::give_up("no use"))
}

/// Takes so many MiB and keeps them for as long as its process lives.
#[operation]
fn leak(mebibytes: usize) -> usize {
    static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.push(vec![1; mebibytes << 20]);
    kept.iter().map(Vec::len).sum()
}

/// Without destructors, exit handlers or a flush: the process is replaced by one that exits.
fn kill_self_with(code: i32) {
    use std::os::unix::process::CommandExt as _;
    let error = Command::new("/bin/sh").arg("-c").arg(format!("exit {code}")).exec();
    println!("still here: {error}");
}
