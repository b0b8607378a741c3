//! CPU time: what the server and we use together, which says more than a clock on a machine that
//! has other things to do.

use std::{collections::HashMap, fs};

/// The processes of a server on this machine, and our own, with all that descends from them.
pub(crate) struct Cpu {
    roots: [i32; 2],
}

impl Cpu {
    /// Of the server that this backend belongs to.
    pub(crate) fn beside(backend: i32) -> Option<Cpu> {
        let server = parents().get(&backend).copied()?;
        Some(Cpu { roots: [server, i32::try_from(std::process::id()).ok()?] })
    }

    /// Seconds that those of them that live have used so far.
    pub(crate) fn seconds(&self) -> f64 {
        let parents = parents();
        let is_ours = |pid: i32| {
            let ancestors = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
            ancestors.take_while(|pid| *pid > 1).any(|pid| self.roots.contains(&pid))
        };
        parents.keys().filter(|pid| is_ours(**pid)).map(|pid| seconds_of(*pid)).sum()
    }
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
