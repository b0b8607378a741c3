//! What process trees use: memory and CPU time, of a worker with all its runners for
//! `list-workers`, and of one runner's tree.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use crate::descendants::add_below;
use crate::found::Found;
use crate::procfs::{Seen, Stat, page_bytes, ticks_per_second};

/// What a tree uses now, and has used of the CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident bytes; what processes share is counted once for each.
    pub memory_bytes: u64,
    /// CPU time in milliseconds, of what runs and of what its parents waited for.
    pub cpu_ms: u64,
}

/// What the tree below a process, itself included, used at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it was taken.
    pub at: Instant,
    /// What was found.
    pub usage: Usage,
    /// How many processes there were; 0 when the root has ended.
    pub processes: usize,
}

impl Sample {
    /// Looks at a process and everything below it. Only these are read, however many others the
    /// host has.
    pub fn of(root: i32) -> Sample {
        let mut found = Found::new();
        add_below(root, &mut found);
        let stats: Vec<Stat> = std::iter::once(root)
            .chain(found.all().iter().map(|seen| seen.pid))
            .filter_map(Stat::read)
            .filter(|stat| !stat.is_dead())
            .collect();
        Sample { at: Instant::now(), usage: total(&stats), processes: stats.len() }
    }
}

/// The part of one CPU, in percent, that a tree used from one sample to a later one.
pub fn cpu_percent(earlier: &Sample, later: &Sample) -> f64 {
    let wall_ms = later.at.saturating_duration_since(earlier.at).as_secs_f64() * 1000.0;
    let cpu_ms = later.usage.cpu_ms.saturating_sub(earlier.usage.cpu_ms) as f64;
    if wall_ms > 0.0 { 100.0 * cpu_ms / wall_ms } else { 0.0 }
}

/// What these processes use.
pub(crate) fn usage_of(processes: &BTreeSet<Seen>) -> Usage {
    let stats: Vec<Stat> = processes.iter().filter_map(|seen| Stat::read(seen.pid)).collect();
    total(&stats)
}

/// Resident bytes of these processes, with what several of them share divided among them. Costly:
/// the kernel walks their page tables.
pub(crate) fn proportional_bytes(processes: &BTreeSet<Seen>) -> u64 {
    processes.iter().map(|seen| proportional(seen.pid).unwrap_or(0)).sum()
}

fn total(stats: &[Stat]) -> Usage {
    let ticks: u64 = stats.iter().map(|stat| stat.ticks).sum();
    Usage {
        memory_bytes: stats.iter().map(|stat| stat.rss_bytes).sum(),
        cpu_ms: ticks * 1000 / ticks_per_second(),
    }
}

fn proportional(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).or_else(|_| {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        Ok::<_, std::io::Error>(format!("Pss: {}", pages.unwrap_or(0) * page_bytes() / 1024))
    });
    let text = text.ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(kib.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn half_of_the_time_is_fifty_percent_and_time_that_went_backwards_is_none() {
        let at = Instant::now();
        let sample =
            |at, cpu_ms| Sample { at, usage: Usage { memory_bytes: 0, cpu_ms }, processes: 1 };
        let later = at + Duration::from_secs(2);
        let percent = cpu_percent(&sample(at, 500), &sample(later, 1500));
        assert!((percent - 50.0).abs() < 0.001, "{percent}");
        assert!(cpu_percent(&sample(at, 500), &sample(later, 100)).abs() < 0.001);
        assert!(cpu_percent(&sample(at, 0), &sample(at, 100)).abs() < 0.001);
    }
}
