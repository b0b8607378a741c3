//! CPU time: what the server and we use together, which says more than a clock on a machine that
//! has other things to do.

use std::{collections::HashMap, fs, time::Instant};

/// The processes of a server on this machine, and our own, with all that descends from them.
pub(crate) struct Cpu {
    roots: Vec<i32>,
}

impl Cpu {
    /// Of the server that this backend belongs to.
    pub(crate) fn beside(backend: i32) -> Option<Cpu> {
        let mut cpu = Cpu::of_server(backend)?;
        cpu.roots.push(i32::try_from(std::process::id()).ok()?);
        Some(cpu)
    }

    /// Of that server alone.
    pub(crate) fn of_server(backend: i32) -> Option<Cpu> {
        Some(Cpu { roots: vec![parents().get(&backend).copied()?] })
    }

    /// Seconds that those of them that live have used so far.
    fn seconds(&self) -> f64 {
        let parents = parents();
        let is_ours = |pid: i32| {
            let ancestors = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
            ancestors.take_while(|pid| *pid > 1).any(|pid| self.roots.contains(&pid))
        };
        parents.keys().filter(|pid| is_ours(**pid)).map(|pid| seconds_of(*pid)).sum()
    }
}

/// A stretch of time, and who used the CPUs in it.
pub(crate) struct Stopwatch<'a> {
    cpu: &'a Cpu,
    began: Instant,
    ours: f64,
    all: f64,
}

/// What a stretch of time cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// Seconds of CPU that the server and we used.
    pub(crate) seconds: f64,
    /// The share of the machine that anybody else took, from 0 to 1.
    pub(crate) others: f64,
}

impl Cpu {
    /// From now.
    pub(crate) fn start(&self) -> Stopwatch<'_> {
        Stopwatch { cpu: self, began: Instant::now(), ours: self.seconds(), all: all_seconds() }
    }
}

impl Stopwatch<'_> {
    /// Until now.
    pub(crate) fn stop(self) -> Used {
        let seconds = self.cpu.seconds() - self.ours;
        let cpus = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let machine = self.began.elapsed().as_secs_f64() * cpus;
        let others = (all_seconds() - self.all - seconds) / machine;
        Used { seconds, others: others.clamp(0.0, 1.0) }
    }
}

/// Seconds that the CPUs of this machine were busy: all of `/proc/stat` but idle and waiting for a
/// disk, in hundredths on every Linux.
fn all_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).take(8).enumerate();
    let busy = ticks.filter(|(column, _)| ![3, 4].contains(column));
    busy.filter_map(|(_, ticks)| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The parent of each process.
fn parents() -> HashMap<i32, i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name, in brackets, may hold anything.
            let (_, rest) = stat.rsplit_once(')')?;
            Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}

/// The time that its threads were on a CPU, in seconds: the first number of `schedstat`, in
/// nanoseconds.
fn seconds_of(pid: i32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}
