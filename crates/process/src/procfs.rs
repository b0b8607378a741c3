//! Reading the files of one process in `/proc`. A process may end while it is read, and some processes may not be read:
//! both cases are normal, and the result is `None`.

use std::fs;
use std::io;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use rework_wire::worker::PROCESS_TAG_VAR;

/// The start of the name of a tree's cgroup directory, which is `rework-TAG-NUMBER`.
pub(crate) const TREE_FOLDER_PREFIX: &str = "rework-";

/// How often the environment of a process inside `execve` is read again. With [`EXEC_RETRY_PAUSE`] this makes 5 ms,
/// more than the kernel usually needs to load a program.
const EXEC_RETRIES: u32 = 50;

/// The pause between two such reads.
const EXEC_RETRY_PAUSE: Duration = Duration::from_micros(100);

/// How many empty reads of an environment are repeated. One empty read may fall into an `execve` that has just finished
/// when it is checked.
const EMPTY_READS: u32 = 2;

/// A pid with the start time of its process, which distinguishes it from a later process with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProcessKey {
    pub(crate) pid: i32,
    /// The start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub(crate) start: i64,
}

/// The fields of `/proc/PID/stat` that this crate uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) key: ProcessKey,
    pub(crate) parent: i32,
    /// The CPU time of the process and of its reaped children, in clock ticks.
    pub(crate) ticks: u64,
    /// The resident memory in bytes.
    pub(crate) rss_bytes: u64,
    /// Whether the process is inside `execve`: its new program is loaded, and its new environment is not yet.
    is_executing: bool,
    /// The state of the process as one letter, such as `R` or `Z`.
    state: u8,
    /// The number of threads.
    threads: i64,
}

impl Stat {
    pub(crate) fn read(pid: i32) -> Option<Stat> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Stat::parse(pid, &text)
    }

    /// Parses the text of `/proc/PID/stat`. The numbers of the fields are those of proc(5). The
    /// name of the program (field 2) may contain spaces and brackets, so the fields are counted
    /// from its end. `None` if the text has another form.
    fn parse(pid: i32, text: &[u8]) -> Option<Stat> {
        let name_end = text.iter().rposition(|byte| *byte == b')')?;
        let after_name = std::str::from_utf8(text.get(name_end + 1..)?).ok()?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<i64>().ok();
        // The flag `PF_KTHREAD`.
        let is_kernel_thread = field(9)? & 0x0020_0000 != 0;
        Some(Stat {
            // The process has memory (field 23), but the end of its environment (field 51) is not set.
            is_executing: !is_kernel_thread && field(23)? != 0 && field(51) == Some(0),
            key: ProcessKey { pid, start: field(22)? },
            parent: i32::try_from(field(4)?).ok()?,
            ticks: (field(14)? + field(15)? + field(16)? + field(17)?) as u64,
            rss_bytes: field(24)?.max(0) as u64 * page_bytes(),
            state: *fields.first()?.as_bytes().first()?,
            threads: field(20)?,
        })
    }

    /// Returns whether the process cannot fork, because it is stopped or dead.
    pub(crate) fn cannot_fork(&self) -> bool {
        self.is_dead() || matches!(self.state, b'T' | b't')
    }

    /// Returns whether no thread of the process runs any more. The kernel also shows a process as a zombie if only its
    /// first thread has ended; such a process still runs.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'X' | b'x') || (self.state == b'Z' && self.threads <= 1)
    }
}

/// Returns the process with this pid. `None` if it does not run; a zombie does not run.
pub(crate) fn running_process(pid: i32) -> Option<ProcessKey> {
    Stat::read(pid).filter(|stat| !stat.is_dead()).map(|stat| stat.key)
}

/// Returns the process with this pid, which may be a zombie. Fails with `NotFound` if there is none.
pub(crate) fn process_with_pid(pid: i32) -> io::Result<ProcessKey> {
    Stat::read(pid).map(|stat| stat.key).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Returns whether exactly this process still runs.
pub(crate) fn is_alive(key: ProcessKey) -> bool {
    running_process(key.pid) == Some(key)
}

/// Returns the pids of all processes that `/proc` shows to us.
pub(crate) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Returns the tree to which a process belongs, as (process tag, number). Reads it from the environment with which the
/// process was started. If that has no tag, reads it from the name of the process's cgroup. `None` if neither names a
/// tree.
pub(crate) fn tree_of(pid: i32) -> Option<(String, u32)> {
    tag_from_environment(pid).or_else(|| tag_from_cgroup(pid))
}

/// Returns the size of a memory page in bytes.
pub(crate) fn page_bytes() -> u64 {
    static PAGE: OnceLock<u64> = OnceLock::new();
    *PAGE.get_or_init(|| system_value(SysconfVar::PAGE_SIZE, 4096))
}

/// Returns the number of clock ticks in a second.
pub(crate) fn ticks_per_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| system_value(SysconfVar::CLK_TCK, 100))
}

/// Parses the name of a tree's cgroup directory into the process tag and the number. `None` for other directories.
pub(crate) fn parse_tree_folder(name: &str) -> Option<(String, u32)> {
    let (process_tag, number) = name.strip_prefix(TREE_FOLDER_PREFIX)?.rsplit_once('-')?;
    Some((process_tag.to_owned(), number.parse().ok()?))
}

fn tag_from_cgroup(pid: i32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().flat_map(|line| line.split('/').skip(1)).find_map(parse_tree_folder)
}

fn tag_from_environment(pid: i32) -> Option<(String, u32)> {
    let environment = environment(pid)?;
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(PROCESS_TAG_VAR.as_bytes())?.strip_prefix(b"="))?;
    let (process_tag, number) = std::str::from_utf8(value).ok()?.rsplit_once('.')?;
    Some((process_tag.to_owned(), number.parse().ok()?))
}

/// Returns the environment with which a process was started. `None` if it cannot be read.
///
/// Inside `execve` a process has no environment for a moment. Without waiting for the end of the `execve`, it would be
/// mistaken for a process that has removed its tag.
fn environment(pid: i32) -> Option<Vec<u8>> {
    let mut empty_reads = 0;
    for _ in 0..EXEC_RETRIES {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        if !environment.is_empty() || empty_reads == EMPTY_READS {
            return Some(environment);
        }
        if Stat::read(pid)?.is_executing {
            thread::sleep(EXEC_RETRY_PAUSE);
        } else {
            // The `execve` may have finished between the two reads.
            empty_reads += 1;
        }
    }
    None
}

fn system_value(name: SysconfVar, default: u64) -> u64 {
    sysconf(name).ok().flatten().map_or(default, |value| value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = b"7 (a) R 1 (b)) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 5 0 999 8 2 0";
        let stat = Stat::parse(7, text).unwrap();
        assert_eq!(stat.key, ProcessKey { pid: 7, start: 999 });
        assert_eq!((stat.parent, stat.ticks, stat.threads), (3, 100, 5));
        assert_eq!(stat.rss_bytes, 2 * page_bytes());
    }

    #[test]
    fn a_zombie_with_living_threads_is_not_dead() {
        let line = |state: &str, threads: u32| {
            format!("7 (x) {state} 3 7 7 0 -1 0 1 2 3 4 1 1 1 1 20 0 {threads} 0 9 8 2 0")
        };
        assert!(Stat::parse(7, line("Z", 1).as_bytes()).unwrap().is_dead());
        assert!(!Stat::parse(7, line("Z", 2).as_bytes()).unwrap().is_dead());
        assert!(!Stat::parse(7, line("D", 1).as_bytes()).unwrap().is_dead());
    }

    #[test]
    fn a_process_tag_with_dashes_is_not_mistaken_for_a_shorter_one() {
        assert_eq!(parse_tree_folder("rework-a-1-5"), Some(("a-1".to_owned(), 5)));
        assert_eq!(parse_tree_folder("rework-monitor"), None);
        assert_eq!(parse_tree_folder("rework-a-b"), None);
    }
}
