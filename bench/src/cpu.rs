//! CPU time of the server and of this program with all its children. On a machine that also runs other programs it says
//! more than the time that passes.

use std::{collections::HashMap, fs, time::Instant};

/// A set of processes whose CPU time is measured: some root processes and all their descendants.
pub(crate) struct Cpu {
    roots: Vec<i32>,
}

impl Cpu {
    /// Returns the processes of the server whose backend has this pid, and those of this program.
    /// `None` if this machine has no process with this pid, because the server runs on another
    /// machine.
    pub(crate) fn of_server_and_self(backend: i32) -> Option<Cpu> {
        let mut cpu = Cpu::of_server(backend)?;
        cpu.roots.push(i32::try_from(std::process::id()).ok()?);
        Some(cpu)
    }

    /// Returns the processes of the server whose backend has this pid. `None` if this machine has
    /// no process with this pid, because the server runs on another machine.
    pub(crate) fn of_server(backend: i32) -> Option<Cpu> {
        Some(Cpu { roots: vec![parents().get(&backend).copied()?] })
    }

    /// Returns the CPU time that the living processes have used so far, in seconds.
    fn seconds(&self) -> f64 {
        let parents = parents();
        let is_measured = |pid: i32| {
            let ancestors = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
            ancestors.take_while(|pid| *pid > 1).any(|pid| self.roots.contains(&pid))
        };
        parents.keys().filter(|pid| is_measured(**pid)).map(|pid| seconds_of(*pid)).sum()
    }
}

/// A running measurement of CPU time.
pub(crate) struct Stopwatch<'a> {
    cpu: &'a Cpu,
    started: Instant,
    /// CPU time of the measured processes at the start, in seconds.
    measured_seconds: f64,
    /// CPU time of all processes of the machine at the start, in seconds.
    machine_seconds: f64,
}

/// The CPU time that was used during a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// CPU time of the measured processes, in seconds.
    pub(crate) seconds: f64,
    /// The share of the machine that all other processes used, from 0 to 1.
    pub(crate) others: f64,
}

impl Cpu {
    /// Starts a measurement.
    pub(crate) fn start(&self) -> Stopwatch<'_> {
        Stopwatch {
            cpu: self,
            started: Instant::now(),
            measured_seconds: self.seconds(),
            machine_seconds: machine_seconds(),
        }
    }
}

impl Stopwatch<'_> {
    /// Ends the measurement.
    pub(crate) fn stop(self) -> Used {
        let seconds = self.cpu.seconds() - self.measured_seconds;
        let cpus = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let available = self.started.elapsed().as_secs_f64() * cpus;
        let others = (machine_seconds() - self.machine_seconds - seconds) / available;
        Used { seconds, others: others.clamp(0.0, 1.0) }
    }
}

/// Returns for how long the CPUs of this machine were busy since its start, in seconds.
///
/// This is the sum of the columns of `/proc/stat`, except `idle` and `iowait`. Their unit is 1/100 s on every Linux.
fn machine_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let columns = line.split_whitespace().skip(1).take(8).enumerate();
    let busy = columns.filter(|(index, _)| ![3, 4].contains(index));
    busy.filter_map(|(_, hundredths)| hundredths.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Returns the parent of each process of this machine.
fn parents() -> HashMap<i32, i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The second field is the name in parentheses, which may contain anything, also parentheses.
            let (_, fields) = stat.rsplit_once(')')?;
            Some((pid, fields.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}

/// Returns the CPU time of a process, in seconds: the sum of the first number in the `schedstat` of its threads, which
/// is in nanoseconds.
fn seconds_of(pid: i32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}
