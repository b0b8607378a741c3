//! Finds and signals the processes of one test.
//!
//! Each process that a test starts has the environment variable `TEST_PROCESS_TAG` with the test's host name. Child
//! processes inherit it, so `/proc` shows which processes belong to the test.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The environment variable that has the tag.
pub(crate) const TAG_VARIABLE: &str = "TEST_PROCESS_TAG";

/// How long `kill_tagged` tries. SIGKILL ends a process in milliseconds, unless the kernel cannot interrupt it.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// A process that exists.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// The arguments, with spaces between them.
    pub(crate) command: String,
}

/// Returns the processes whose environment has the tag. Zombies have no environment and are not among them.
pub(crate) fn tagged(tag: &str) -> Vec<Process> {
    let variable = format!("{TAG_VARIABLE}={tag}").into_bytes();
    all().filter(|pid| has_variable(*pid, &variable)).filter_map(describe).collect()
}

/// Returns the processes that the main thread of a process has started. Zombies are not among them.
pub(crate) fn children(pid: i32) -> Vec<Process> {
    let pids = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    pids.split_whitespace().filter_map(|pid| describe(pid.parse().ok()?)).collect()
}

/// Whether a process exists and is not a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state follows the name, which is in parentheses and may contain spaces and parentheses itself.
    let after_name = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    !matches!(after_name.trim_start().chars().next(), Some('Z' | 'X') | None)
}

/// Sends a signal to a process. Does nothing if the process does not exist.
pub(crate) fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Sends SIGSEGV to a process until it has ended.
///
/// One signal is not enough for a program in Rust. Its handler for stack overflows receives the first signal,
/// restores the default action and returns. The second signal ends the process.
pub(crate) fn crash(pid: i32) {
    super::wait::until("the process has crashed", String::new, || {
        signal(pid, Signal::SIGSEGV);
        !is_alive(pid)
    });
}

/// Sends SIGKILL to the processes with a tag until none is left. Returns those that still exist after `KILL_TIMEOUT`.
pub(crate) fn kill_tagged(tag: &str) -> Vec<Process> {
    let started = Instant::now();
    loop {
        let left = tagged(tag);
        if left.is_empty() || started.elapsed() > KILL_TIMEOUT {
            return left;
        }
        for process in &left {
            signal(process.pid, Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}

/// Returns the pid and the arguments of every process on the machine. A zero byte ends each argument.
pub(crate) fn all_arguments() -> Vec<(i32, Vec<u8>)> {
    all().filter_map(|pid| Some((pid, fs::read(format!("/proc/{pid}/cmdline")).ok()?))).collect()
}

/// Returns the environment with which a process was started. A zero byte ends each variable. Empty if the process does
/// not exist.
pub(crate) fn environment(pid: i32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

/// The pids of all processes on the machine.
fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn has_variable(pid: i32, expected: &[u8]) -> bool {
    environment(pid).split(|byte| *byte == 0).any(|variable| variable == expected)
}

/// `None` if the process does not exist or is a zombie.
fn describe(pid: i32) -> Option<Process> {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let texts: Vec<_> = arguments
        .split(|byte| *byte == 0)
        .map(|argument| OsStr::from_bytes(argument).to_string_lossy().into_owned())
        .collect();
    is_alive(pid).then(|| Process { pid, command: texts.join(" ").trim_end().to_owned() })
}
