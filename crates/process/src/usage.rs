//! Measuring the memory and the CPU time of process trees: of a worker with all its runners, as `list-workers` shows
//! it, and of the tree of one runner.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use crate::descendants::add_descendants;
use crate::process_set::ProcessSet;
use crate::procfs::{ProcessKey, Stat, page_bytes, ticks_per_second};

/// The memory that a tree uses now, and the CPU time that it has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The resident memory in bytes. Memory that several processes share counts once for each of them.
    pub memory_bytes: u64,
    /// The CPU time of the running processes and of their reaped children, in milliseconds.
    pub cpu_ms: u64,
}

/// One measurement of a process and all its descendants.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The time of the measurement.
    pub at: Instant,
    /// The sum over all processes.
    pub usage: Usage,
    /// The number of processes. 0 if the root has ended.
    pub processes: usize,
}

impl Sample {
    /// Measures a process and all its descendants. Reads no other process of the host.
    pub fn of(root: i32) -> Sample {
        let mut processes = ProcessSet::new();
        add_descendants(root, &mut processes);
        let stats: Vec<Stat> = std::iter::once(root)
            .chain(processes.keys().iter().map(|key| key.pid))
            .filter_map(Stat::read)
            .filter(|stat| !stat.is_dead())
            .collect();
        Sample { at: Instant::now(), usage: total(&stats), processes: stats.len() }
    }
}

/// Returns the CPU time that a tree used between two samples, in percent of one CPU.
pub fn cpu_percent(earlier: &Sample, later: &Sample) -> f64 {
    let wall_ms = later.at.saturating_duration_since(earlier.at).as_secs_f64() * 1000.0;
    let cpu_ms = later.usage.cpu_ms.saturating_sub(earlier.usage.cpu_ms) as f64;
    if wall_ms > 0.0 { 100.0 * cpu_ms / wall_ms } else { 0.0 }
}

/// Measures these processes.
pub(crate) fn usage_of(processes: &BTreeSet<ProcessKey>) -> Usage {
    let stats: Vec<Stat> = processes.iter().filter_map(|key| Stat::read(key.pid)).collect();
    total(&stats)
}

/// Returns the resident memory of these processes in bytes. Memory that several processes share is divided among them.
/// This is costly, because the kernel walks their page tables.
pub(crate) fn proportional_bytes(processes: &BTreeSet<ProcessKey>) -> u64 {
    processes.iter().map(|key| proportional(key.pid).unwrap_or(0)).sum()
}

fn total(stats: &[Stat]) -> Usage {
    let ticks: u64 = stats.iter().map(|stat| stat.ticks).sum();
    Usage {
        memory_bytes: stats.iter().map(|stat| stat.rss_bytes).sum(),
        cpu_ms: ticks * 1000 / ticks_per_second(),
    }
}

/// Returns the proportional memory of one process in bytes. A kernel without `smaps_rollup` gives
/// the resident memory. `None` if the process has ended.
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
    fn half_of_the_time_is_fifty_percent_and_a_decrease_is_zero_percent() {
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
