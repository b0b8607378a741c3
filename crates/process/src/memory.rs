//! The memory of one process tree: its limit, its peak, and whether the kernel killed a process because of the limit.
//!
//! There are three methods: the tree's cgroup v2, its cgroup in the v1 `memory` hierarchy, or samples taken by the
//! worker. The measuring of samples is in `usage.rs`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The memory limit and the memory counters of a tree.
#[derive(Debug)]
pub(crate) struct Memory {
    meter: Meter,
    /// The limit in bytes. `None` if there is none.
    limit: Option<u64>,
    /// The kernel's count of kills at the time when the limit was set.
    kills_before: u64,
    /// The highest sample since the last reset, in bytes.
    highest_sample: AtomicU64,
    /// Whether the kernel's own peak counts from the last reset. `false` if the kernel could not reset it.
    kernel_peak_is_current: bool,
}

#[derive(Debug)]
enum Meter {
    /// The cgroup v2 directory, and its open file `memory.peak`. A reset affects only the descriptor through which it
    /// was written, so the file stays open. `None` if the kernel has no such file.
    V2(PathBuf, Option<File>),
    /// The directory in the v1 `memory` hierarchy.
    V1(PathBuf),
    Sampled,
}

impl Memory {
    /// Uses the cgroup v2 of the tree. If the tree exceeds its limit, the kernel kills all its processes.
    pub(crate) fn v2(folder: &Path) -> io::Result<Memory> {
        // This fails if the `memory` controller is not enabled.
        fs::read_to_string(folder.join("memory.max"))?;
        drop(fs::write(folder.join("memory.oom.group"), "1"));
        let peak = folder.join("memory.peak");
        // Older kernels have the file for reading only.
        let peak = File::options().read(true).write(true).open(&peak).or_else(|_| File::open(peak));
        Ok(Memory::new(Meter::V2(folder.to_owned(), peak.ok())))
    }

    /// Uses the directory of the tree in the v1 `memory` hierarchy. If the tree exceeds its limit, the kernel kills one
    /// of its processes.
    pub(crate) fn v1(folder: &Path) -> Memory {
        Memory::new(Meter::V1(folder.to_owned()))
    }

    /// Uses samples. The kernel enforces no limit.
    pub(crate) fn sampled() -> Memory {
        Memory::new(Meter::Sampled)
    }

    /// Sets the limit in bytes. Called before every task, so it writes nothing if the limit stays the same.
    pub(crate) fn set_limit(&mut self, limit: Option<u64>) -> io::Result<()> {
        if limit != self.limit {
            match &self.meter {
                Meter::V2(folder, _) => limit_v2(folder, limit)?,
                Meter::V1(folder) => limit_v1(folder, limit)?,
                Meter::Sampled => {}
            }
            self.limit = limit;
        }
        if limit.is_some() {
            self.kills_before = self.kills();
        }
        Ok(())
    }

    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Returns whether the limit is enforced by samples, not by the kernel.
    pub(crate) fn is_sampled(&self) -> bool {
        matches!(self.meter, Meter::Sampled)
    }

    /// Returns how many processes the kernel has killed because of the limit, since the tree was created.
    pub(crate) fn kills(&self) -> u64 {
        let text = match &self.meter {
            Meter::V2(folder, _) => fs::read_to_string(folder.join("memory.events")),
            Meter::V1(folder) => fs::read_to_string(folder.join("memory.oom_control")),
            Meter::Sampled => return 0,
        };
        let value = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
        text.ok().and_then(|text| text.lines().find_map(value)).unwrap_or(0)
    }

    /// Returns whether the kernel has killed a process since the limit was set.
    pub(crate) fn has_killed(&self) -> bool {
        self.kills() > self.kills_before
    }

    pub(crate) fn reset_peak(&mut self) {
        self.highest_sample.store(0, Ordering::Relaxed);
        self.kernel_peak_is_current = match &self.meter {
            Meter::V2(_, Some(peak)) => peak.write_at(b"reset", 0).is_ok(),
            Meter::V1(folder) => fs::write(folder.join("memory.max_usage_in_bytes"), "0").is_ok(),
            Meter::V2(_, None) | Meter::Sampled => false,
        };
    }

    /// Returns the most bytes used since the last reset. Without a current peak of the kernel, this is the highest
    /// sample.
    pub(crate) fn peak(&self) -> u64 {
        let sampled = self.highest_sample.load(Ordering::Relaxed);
        if self.kernel_peak_is_current {
            self.read_peak().unwrap_or(sampled).max(sampled)
        } else {
            sampled
        }
    }

    /// Records a sample of the tree's memory, in bytes.
    pub(crate) fn record_sample(&self, bytes: u64) {
        self.highest_sample.fetch_max(bytes, Ordering::Relaxed);
    }

    fn new(meter: Meter) -> Memory {
        let kernel_peak_is_current = !matches!(meter, Meter::Sampled);
        let highest_sample = AtomicU64::new(0);
        Memory { meter, limit: None, kills_before: 0, highest_sample, kernel_peak_is_current }
    }

    fn read_peak(&self) -> Option<u64> {
        match &self.meter {
            Meter::V2(_, Some(peak)) => {
                let mut text = [0; 32];
                let length = peak.read_at(&mut text, 0).ok()?;
                std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok()
            }
            Meter::V1(folder) => {
                let text = fs::read_to_string(folder.join("memory.max_usage_in_bytes")).ok()?;
                text.trim().parse().ok()
            }
            Meter::V2(_, None) | Meter::Sampled => None,
        }
    }
}

fn limit_v2(folder: &Path, limit: Option<u64>) -> io::Result<()> {
    let text = limit.map_or_else(|| "max".to_owned(), |bytes| bytes.to_string());
    fs::write(folder.join("memory.max"), text)?;
    // A kernel without swap accounting has no such file. A limited tree gets no swap: otherwise it would swap instead
    // of reaching its limit.
    let swap = folder.join("memory.swap.max");
    if swap.exists() {
        fs::write(swap, if limit.is_some() { "0" } else { "max" })?;
    }
    Ok(())
}

/// Sets the limit of a v1 cgroup. The kernel refuses a limit on memory and swap together that is below the limit on
/// memory, so the former is removed first and set last.
fn limit_v1(folder: &Path, limit: Option<u64>) -> io::Result<()> {
    let both = Some(folder.join("memory.memsw.limit_in_bytes")).filter(|file| file.exists());
    let text = limit.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
    if let Some(both) = &both {
        fs::write(both, "-1")?;
    }
    fs::write(folder.join("memory.limit_in_bytes"), &text)?;
    if let Some(both) = &both {
        fs::write(both, &text)?;
    }
    Ok(())
}
