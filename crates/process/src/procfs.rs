//! What `/proc` says of one process. A process that vanishes while it is read is normal, and so is
//! one that may not be read: both are `None`.

use std::fs;
use std::io;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use rework_wire::worker::MARK_VAR;

/// The folder of a tree's cgroup is `rework-MARK-NUMBER`.
pub(crate) const FOLDER_PREFIX: &str = "rework-";

/// How often, and after what pause, a process that is about to execute is looked at again.
const EXECUTING_LOOKS: u32 = 50;
const EXECUTING_PAUSE: Duration = Duration::from_micros(100);

/// How often in a row an environment must be found empty to be believed.
const EMPTY_LOOKS: u32 = 2;

/// A process, told from a later one with the same pid by when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) pid: i32,
    /// Field 22 of its `stat`: clock ticks since boot.
    pub(crate) start: i64,
}

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) seen: Seen,
    pub(crate) parent: i32,
    /// Of the process and of its children that were waited for, in clock ticks.
    pub(crate) ticks: u64,
    pub(crate) rss_bytes: u64,
    /// Its new program has been loaded, and its environment not yet.
    is_executing: bool,
    state: u8,
    threads: i64,
}

impl Stat {
    pub(crate) fn read(pid: i32) -> Option<Stat> {
        let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Stat::parse(pid, &text)
    }

    /// The name (field 2) may hold spaces and brackets, so the fields are counted from its end.
    fn parse(pid: i32, text: &[u8]) -> Option<Stat> {
        let name_end = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(text.get(name_end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<i64>().ok();
        let is_kernel_thread = field(9)? & 0x0020_0000 != 0;
        Some(Stat {
            is_executing: !is_kernel_thread && field(23)? != 0 && field(51) == Some(0),
            seen: Seen { pid, start: field(22)? },
            parent: i32::try_from(field(4)?).ok()?,
            ticks: (field(14)? + field(15)? + field(16)? + field(17)?) as u64,
            rss_bytes: field(24)?.max(0) as u64 * page_bytes(),
            state: *fields.first()?.as_bytes().first()?,
            threads: field(20)?,
        })
    }

    /// Whether it executes nothing any more: stopped, or dead.
    pub(crate) fn is_still(&self) -> bool {
        self.is_dead() || matches!(self.state, b'T' | b't')
    }

    /// Whether nothing of it runs any more. A process whose first thread has ended is shown as a
    /// zombie too, and lives on in its others.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'X' | b'x') || (self.state == b'Z' && self.threads <= 1)
    }
}

/// The process of this pid, if it runs.
pub(crate) fn seen_alive(pid: i32) -> Option<Seen> {
    Stat::read(pid).filter(|stat| !stat.is_dead()).map(|stat| stat.seen)
}

/// The process of this pid, a zombie too.
pub(crate) fn seen_now(pid: i32) -> io::Result<Seen> {
    Stat::read(pid).map(|stat| stat.seen).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Whether this very process still runs.
pub(crate) fn is_alive(seen: Seen) -> bool {
    seen_alive(seen.pid) == Some(seen)
}

/// The pids that `/proc` shows us.
pub(crate) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The tree that a process belongs to, as `(MARK, NUMBER)`: by the mark in the environment that
/// it was started with, else (it was started with another one) by the name of its cgroup.
pub(crate) fn tree_of(pid: i32) -> Option<(String, u32)> {
    environment_mark(pid).or_else(|| cgroup_mark(pid))
}

/// Bytes of a page of memory.
pub(crate) fn page_bytes() -> u64 {
    static PAGE: OnceLock<u64> = OnceLock::new();
    *PAGE.get_or_init(|| system_value(SysconfVar::PAGE_SIZE, 4096))
}

/// Clock ticks in a second.
pub(crate) fn ticks_per_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| system_value(SysconfVar::CLK_TCK, 100))
}

/// The mark and number in the name of a tree's cgroup folder.
pub(crate) fn parse_folder(name: &str) -> Option<(String, u32)> {
    let (mark, number) = name.strip_prefix(FOLDER_PREFIX)?.rsplit_once('-')?;
    Some((mark.to_owned(), number.parse().ok()?))
}

fn cgroup_mark(pid: i32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().flat_map(|line| line.split('/').skip(1)).find_map(parse_folder)
}

fn environment_mark(pid: i32) -> Option<(String, u32)> {
    let environment = environment(pid)?;
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(MARK_VAR.as_bytes())?.strip_prefix(b"="))?;
    let (mark, number) = std::str::from_utf8(value).ok()?.rsplit_once('.')?;
    Some((mark.to_owned(), number.parse().ok()?))
}

/// The environment that a process was started with. One that is about to execute has none for a
/// moment, and is waited for: it would pass for one that threw the mark off.
fn environment(pid: i32) -> Option<Vec<u8>> {
    let mut empty = 0;
    for _ in 0..EXECUTING_LOOKS {
        let found = fs::read(format!("/proc/{pid}/environ")).ok()?;
        if !found.is_empty() || empty == EMPTY_LOOKS {
            return Some(found);
        }
        if Stat::read(pid)?.is_executing {
            thread::sleep(EXECUTING_PAUSE);
        } else {
            // It may have been executing a moment ago.
            empty += 1;
        }
    }
    None
}

fn system_value(name: SysconfVar, usual: u64) -> u64 {
    sysconf(name).ok().flatten().map_or(usual, |value| value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = b"7 (a) R 1 (b)) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 5 0 999 8 2 0";
        let stat = Stat::parse(7, text).unwrap();
        assert_eq!(stat.seen, Seen { pid: 7, start: 999 });
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
    fn a_mark_with_dashes_is_not_mistaken_for_a_shorter_one() {
        assert_eq!(parse_folder("rework-a-1-5"), Some(("a-1".to_owned(), 5)));
        assert_eq!(parse_folder("rework-monitor"), None);
        assert_eq!(parse_folder("rework-a-b"), None);
    }
}
