//! The memory of one tree: its limit, what it took at most, and whether it died of it, on each
//! rung of the ladder.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What counts and limits the memory of a tree.
#[derive(Debug)]
pub(crate) struct Memory {
    meter: Meter,
    limit: Option<u64>,
    /// The count of kills when the limit was set.
    kills_before: u64,
    /// The highest sample since the last reset.
    high: AtomicU64,
    /// Whether the kernel's own high mark is of the time since the last reset.
    kernel_peak: bool,
}

#[derive(Debug)]
enum Meter {
    /// Its folder, and `memory.peak`: a reset holds for the file that is open.
    V2(PathBuf, Option<File>),
    V1(PathBuf),
    Sampled,
}

impl Memory {
    /// By the tree's own cgroup v2 folder. What passes the limit dies as a whole.
    pub(crate) fn v2(folder: &Path) -> io::Result<Memory> {
        fs::read_to_string(folder.join("memory.max"))?;
        drop(fs::write(folder.join("memory.oom.group"), "1"));
        let peak = folder.join("memory.peak");
        let peak = File::options().read(true).write(true).open(&peak).or_else(|_| File::open(peak));
        Ok(Memory::by(Meter::V2(folder.to_owned(), peak.ok())))
    }

    /// By the tree's own folder in the v1 `memory` hierarchy. The kernel kills one process of it.
    pub(crate) fn v1(folder: &Path) -> Memory {
        Memory::by(Meter::V1(folder.to_owned()))
    }

    pub(crate) fn sampled() -> Memory {
        Memory::by(Meter::Sampled)
    }

    /// Asked before every task: what is set already is not set again.
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

    /// Whether the limit is kept by looking.
    pub(crate) fn is_sampled(&self) -> bool {
        matches!(self.meter, Meter::Sampled)
    }

    /// How many processes the kernel has killed for the limit since the tree was made.
    pub(crate) fn kills(&self) -> u64 {
        let text = match &self.meter {
            Meter::V2(folder, _) => fs::read_to_string(folder.join("memory.events")),
            Meter::V1(folder) => fs::read_to_string(folder.join("memory.oom_control")),
            Meter::Sampled => return 0,
        };
        let value = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
        text.ok().and_then(|text| text.lines().find_map(value)).unwrap_or(0)
    }

    /// Whether the kernel has killed for the limit since it was set.
    pub(crate) fn has_killed(&self) -> bool {
        self.kills() > self.kills_before
    }

    pub(crate) fn reset_peak(&mut self) {
        self.high.store(0, Ordering::Relaxed);
        self.kernel_peak = match &self.meter {
            Meter::V2(_, Some(peak)) => peak.write_at(b"reset", 0).is_ok(),
            Meter::V1(folder) => fs::write(folder.join("memory.max_usage_in_bytes"), "0").is_ok(),
            Meter::V2(_, None) | Meter::Sampled => false,
        };
    }

    /// Bytes at most since the last reset, as far as anybody looked.
    pub(crate) fn peak(&self) -> u64 {
        let sampled = self.high.load(Ordering::Relaxed);
        if self.kernel_peak { self.read_peak().unwrap_or(sampled).max(sampled) } else { sampled }
    }

    /// Takes note of what a look at the tree found.
    pub(crate) fn note(&self, bytes: u64) {
        self.high.fetch_max(bytes, Ordering::Relaxed);
    }

    fn by(meter: Meter) -> Memory {
        let kernel_peak = !matches!(meter, Meter::Sampled);
        Memory { meter, limit: None, kills_before: 0, high: AtomicU64::new(0), kernel_peak }
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
    // Without swap accounting the file is missing, and there is nothing to forbid.
    let swap = folder.join("memory.swap.max");
    if swap.exists() {
        fs::write(swap, if limit.is_some() { "0" } else { "max" })?;
    }
    Ok(())
}

/// The limit on memory and swap together must never be below the one on memory, so it is lifted
/// first and set last.
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
