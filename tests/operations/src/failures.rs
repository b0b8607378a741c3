//! Operations that fail: with an error, with a request for another attempt, with an exit, a signal or a panic. One
//! operation leaks memory.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rework::{Error, Task, operation};

/// Saves an output and then returns an error.
#[operation]
fn boom(task: &Task) -> rework::Result<()> {
    println!("before");
    task.save_output(&"partial")?;
    Err("oops".into())
}

/// Ends its process at once with exit code 3, without destructors, exit handlers or a flush.
#[operation]
fn die() {
    println!("dying");
    replace_process_by_exit(3);
}

/// Calls `exit` with exit code 7. Exit handlers run.
#[operation]
#[expect(clippy::exit, reason = "the exit is what this operation is for")]
fn exit7() {
    std::process::exit(7);
}

/// Sends a signal to its own process.
#[operation]
fn signals_itself(signal: i32) -> rework::Result<()> {
    let signal = nix::sys::signal::Signal::try_from(signal).map_err(std::io::Error::from)?;
    nix::sys::signal::kill(nix::unistd::Pid::this(), signal).map_err(std::io::Error::from)?;
    Ok(())
}

/// Panics with a message that contains the input.
#[operation]
fn panics(about: String) {
    panic!("about {about}");
}

/// Fails twice and requests the next attempt after 50 ms. The third attempt succeeds and returns 3.
#[operation(attempts = 3)]
fn succeeds_third_time(task: &Task) -> rework::Result<i32> {
    println!("attempt {}", task.attempt());
    match task.attempt() {
        3 => Ok(3),
        attempt => Err(Error::retry_in(Duration::from_millis(50), format!("attempt {attempt}"))),
    }
}

/// Fails in both attempts. The queue decides how long it waits before the second one.
#[operation(attempts = 2)]
fn always_fails(task: &Task) -> rework::Result<()> {
    Err(format!("attempt {} failed", task.attempt()).into())
}

/// Fails with an error that forbids further attempts.
#[operation(attempts = 5)]
fn gives_up() -> rework::Result<()> {
    Err(Error::give_up("no use"))
}

/// Fails in each of its 3 attempts, with an error of this kind.
#[operation(retry(attempts = 3, backoff = "fixed", first = "10ms", jitter = 0))]
fn fails_with_kind(kind: String) -> rework::Result<()> {
    Err(Error::new(kind, "on purpose"))
}

/// Puts its run off for 10 ms while the file `gate` does not exist. Then returns the number of its attempt.
#[operation]
fn is_put_off(task: &Task, gate: PathBuf) -> rework::Result<i32> {
    if gate.exists() {
        return Ok(task.attempt());
    }
    Err(Error::put_off(Duration::from_millis(10), "there is no gate"))
}

/// Allocates `mebibytes` MiB and does not free them. Returns how many bytes its process has allocated in all calls.
#[operation]
fn leak(mebibytes: usize) -> usize {
    static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.push(vec![1; mebibytes << 20]);
    kept.iter().map(Vec::len).sum()
}

/// Replaces this process by a shell that exits with `code`. So no destructor or exit handler of this process runs.
fn replace_process_by_exit(code: i32) {
    use std::os::unix::process::CommandExt as _;
    let error = Command::new("/bin/sh").arg("-c").arg(format!("exit {code}")).exec();
    println!("the shell cannot be executed: {error}");
}
