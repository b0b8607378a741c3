//! A process inherits ignored and blocked signals and open descriptors from the process that starts it, and must not
//! depend on them. For example, a parent that ignores SIGCHLD would make it impossible to wait for a child.

use std::fs;
use std::io;

use nix::libc;
use nix::sys::signal::SigSet;

use crate::launch::{close_descriptors_on_exec, reset_signals};

/// Makes this process independent of the one that started it: no signal is blocked or ignored, and programs that it
/// executes inherit none of its descriptors but stdin, stdout and stderr. For processes that run long; call it at their
/// start.
///
/// SIGPIPE stays ignored. So writing to a closed pipe is an error, as everywhere in Rust.
pub fn reset_inheritance() -> io::Result<()> {
    SigSet::empty().thread_set_mask()?;
    reset_signals(ignored_signals().filter(|signal| *signal != libc::SIGPIPE));
    close_descriptors_on_exec();
    Ok(())
}

/// Makes it possible to wait for children, even if the process that started this one ignores SIGCHLD. Other signals
/// stay as they are: a command under `nohup` continues to ignore SIGHUP.
pub fn reset_child_signal() {
    reset_signals([libc::SIGCHLD]);
}

/// Returns the signals that this process ignores. Returns none if `/proc` is not mounted.
fn ignored_signals() -> impl Iterator<Item = i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = parse_ignored(&status).unwrap_or_default();
    (1..=64).filter(move |signal| (mask >> (signal - 1)) & 1 == 1)
}

/// Returns the signals that are ignored according to a file `/proc/PID/status`: bit n-1 stands for signal n.
fn parse_ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status_of_a_process() {
        let status = "Name:\tx\nSigBlk:\t0000000000010000\nSigIgn:\t0000000000011001\n";
        // SIGHUP (1), SIGPIPE (13) and SIGCHLD (17)
        assert_eq!(parse_ignored(status), Some(1 | (1 << 12) | (1 << 16)));
        assert_eq!(parse_ignored("Name:\tx\n"), None);
    }
}
