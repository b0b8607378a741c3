//! The memory and the processor time that the process trees of the workers use, as `list-workers`
//! shows them: measured every two seconds, sent to the database when they have changed noticeably.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rework_core::fleet::heartbeat::Measured;
use rework_process::{Sample, cpu_percent};

/// Measuring a tree costs some reads of `/proc` for each of its processes.
const EVERY: Duration = Duration::from_secs(2);

const NOTICEABLE_BYTES: i64 = 1 << 20;
const NOTICEABLE_PERCENT: i32 = 5;

/// The last measurement of each tree, and what the database was told.
#[derive(Debug, Default)]
pub(crate) struct MemoryAndCpu {
    last_at: Option<Instant>,
    trees: HashMap<i64, Tree>,
}

#[derive(Debug)]
struct Tree {
    sample: Sample,
    told: Option<Measured>,
}

impl MemoryAndCpu {
    /// Measures the trees of these workers, given as (worker, pid), if two seconds are over. Returns
    /// the measurements that the database is to be told.
    pub(crate) fn measure(&mut self, workers: &[(i64, i32)], now: Instant) -> Vec<Measured> {
        if self.last_at.is_some_and(|last| now.duration_since(last) < EVERY) {
            return Vec::new();
        }
        self.last_at = Some(now);
        self.trees.retain(|worker, _| workers.iter().any(|(known, _)| known == worker));
        workers.iter().filter_map(|(worker, pid)| self.measure_one(*worker, *pid)).collect()
    }

    /// Forgets what the database was told, since that may not have arrived: all is told again.
    pub(crate) fn forget(&mut self) {
        self.trees.values_mut().for_each(|tree| tree.told = None);
    }

    fn measure_one(&mut self, worker: i64, pid: i32) -> Option<Measured> {
        let sample = Sample::of(pid);
        let before = self.trees.get(&worker);
        let percent = before.map_or(0.0, |before| cpu_percent(&before.sample, &sample));
        let found = Measured {
            worker,
            memory_bytes: i64::try_from(sample.usage.memory_bytes).unwrap_or(i64::MAX),
            cpu_percent: percent.round() as i32,
        };
        let told = before.and_then(|before| before.told);
        let news = (sample.processes > 0 && is_news(told, found)).then_some(found);
        self.trees.insert(worker, Tree { sample, told: news.or(told) });
        news
    }
}

fn is_news(told: Option<Measured>, found: Measured) -> bool {
    let Some(told) = told else { return true };
    let bytes = (found.memory_bytes - told.memory_bytes).abs();
    let percent = (found.cpu_percent - told.cpu_percent).abs();
    bytes > NOTICEABLE_BYTES.max(told.memory_bytes / 20)
        || percent >= NOTICEABLE_PERCENT
        || (found.cpu_percent == 0 && percent > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_noticeably_is_told() {
        let measured =
            |mib: i64, cpu_percent| Measured { worker: 1, memory_bytes: mib << 20, cpu_percent };
        for (told, found, news) in [
            (None, measured(0, 0), true),
            (Some(measured(10, 0)), measured(10, 0), false),
            (Some(measured(10, 0)), measured(11, 0), false),
            (Some(measured(10, 0)), measured(12, 0), true),
            (Some(measured(1000, 0)), measured(1040, 0), false),
            (Some(measured(1000, 0)), measured(1060, 0), true),
            (Some(measured(10, 40)), measured(10, 43), false),
            (Some(measured(10, 40)), measured(10, 45), true),
            (Some(measured(10, 3)), measured(10, 0), true),
        ] {
            assert_eq!(is_news(told, found), news, "{told:?} {found:?}");
        }
    }

    #[test]
    fn a_tree_is_told_once_while_it_does_not_change() {
        let own = [(1, std::process::id() as i32)];
        let mut usage = MemoryAndCpu::default();
        let start = Instant::now();
        assert_eq!(usage.measure(&own, start).len(), 1);
        assert!(usage.measure(&own, start + EVERY / 2).is_empty(), "not yet");
        usage.forget();
        assert_eq!(usage.measure(&own, start + EVERY).len(), 1, "told again");
        assert!(usage.measure(&[], start + EVERY * 2).is_empty());
        assert!(usage.trees.is_empty(), "it has ended");
    }
}
