//! The processes of one test, found in `/proc` by a mark in their environment. Every process that a
//! test starts has it, and so has whatever those start.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable that holds the mark.
pub(crate) const VARIABLE: &str = "TEST_MARK";

/// What a SIGKILL does not end in this time, it does not end.
const STUBBORN: Duration = Duration::from_secs(10);

/// A process that lives.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// Its pid.
    pub(crate) pid: i32,
    /// Its arguments, with spaces between them.
    pub(crate) command: String,
}

/// The processes that carry a mark.
pub(crate) fn marked(mark: &str) -> Vec<Process> {
    let wanted = format!("{VARIABLE}={mark}").into_bytes();
    all().filter(|pid| has_variable(*pid, &wanted)).filter_map(describe).collect()
}

/// Whether a process lives: it exists and is no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    !matches!(after_name.trim_start().chars().next(), Some('Z' | 'X') | None)
}

/// Sends a signal; the process may be gone.
pub(crate) fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Has a process crash. A program in Rust takes the first signal for an overflow of its stack, and
/// dies of the second, as it does of what is neither.
pub(crate) fn crash(pid: i32) {
    super::wait::until("it has crashed", String::new, || {
        signal(pid, Signal::SIGSEGV);
        !is_alive(pid)
    });
}

/// Kills what carries a mark, until nothing does; gives what will not go.
pub(crate) fn kill_marked(mark: &str) -> Vec<Process> {
    let begun = Instant::now();
    loop {
        let left = marked(mark);
        if left.is_empty() || begun.elapsed() > STUBBORN {
            return left;
        }
        for process in &left {
            signal(process.pid, Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}

/// The arguments of every process on the machine, one string each.
pub(crate) fn all_arguments() -> Vec<(i32, Vec<u8>)> {
    all().filter_map(|pid| Some((pid, fs::read(format!("/proc/{pid}/cmdline")).ok()?))).collect()
}

/// The environment that a process was started with.
pub(crate) fn environment(pid: i32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn has_variable(pid: i32, wanted: &[u8]) -> bool {
    environment(pid).split(|byte| *byte == 0).any(|variable| variable == wanted)
}

fn describe(pid: i32) -> Option<Process> {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = arguments
        .split(|byte| *byte == 0)
        .map(|word| OsStr::from_bytes(word).to_string_lossy().into_owned())
        .collect();
    is_alive(pid).then(|| Process { pid, command: words.join(" ").trim_end().to_owned() })
}
