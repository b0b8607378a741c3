//! The exit of a process: an exit code, or the signal that killed it.

use rustix::process::WaitIdStatus;

/// The exit of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The process exited with this code.
    Code(i32),
    /// A signal killed the process.
    Signal {
        /// The number of the signal.
        signal: i32,
        /// Whether the kernel wrote a core file.
        core: bool,
    },
}

impl std::fmt::Display for Exit {
    /// Writes `exit code 3` or `signal 9 (killed)`, for example.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal { signal, core } => {
                let dumped = if *core { ", core dumped" } else { "" };
                match signal_name(*signal) {
                    Some(name) => write!(f, "signal {signal} ({name}{dumped})"),
                    None => write!(f, "signal {signal}"),
                }
            }
        }
    }
}

/// Returns the meaning of a signal as text. `None` for signals that do not usually end a process.
pub fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "hung up",
        2 => "interrupted",
        3 => "quit",
        4 => "illegal instruction",
        6 => "the program called abort",
        7 => "bus error",
        8 => "arithmetic error",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm",
        15 => "terminated",
        24 => "out of processor time",
        25 => "file too large",
        31 => "bad system call",
        _ => return None,
    })
}

impl From<&WaitIdStatus> for Exit {
    fn from(status: &WaitIdStatus) -> Exit {
        match status.terminating_signal() {
            Some(signal) => Exit::Signal { signal, core: status.dumped() },
            None => Exit::Code(status.exit_status().unwrap_or_default()),
        }
    }
}
