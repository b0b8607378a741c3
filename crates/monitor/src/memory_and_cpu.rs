//! Measuring the memory and the CPU time of each worker with all its processes, for `list-workers`. Measurements are
//! taken every two seconds, and sent to the database only if they have changed noticeably.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rework_core::fleet::monitor_poll::WorkerUsage;
use rework_process::{Sample, cpu_percent};

/// The time between two measurements. Each one reads some files of `/proc` for every process, so it should not run with
/// every poll.
const INTERVAL: Duration = Duration::from_secs(2);

/// The smallest change of memory that is sent, in bytes (1 MiB). A change below 5 % is not sent either.
const NOTICEABLE_BYTES: i64 = 1 << 20;

/// The smallest change of CPU time that is sent, in percent of one CPU.
const NOTICEABLE_PERCENT: i32 = 5;

/// The last measurement of each worker, and the value that the database has.
#[derive(Debug, Default)]
pub(crate) struct MemoryAndCpu {
    last_at: Option<Instant>,
    /// The process trees of the workers, by worker id.
    trees: HashMap<i64, MeasuredTree>,
}

#[derive(Debug)]
struct MeasuredTree {
    sample: Sample,
    /// The last value that was sent to the database. `None` if none was, or if it may not have arrived.
    sent: Option<WorkerUsage>,
}

impl MemoryAndCpu {
    /// Measures these workers, given as (worker id, pid), unless the last measurement is younger than two seconds.
    /// Returns the values to send to the database.
    pub(crate) fn measure(&mut self, workers: &[(i64, i32)], now: Instant) -> Vec<WorkerUsage> {
        if self.last_at.is_some_and(|last| now.duration_since(last) < INTERVAL) {
            return Vec::new();
        }
        self.last_at = Some(now);
        self.trees.retain(|worker, _| workers.iter().any(|(known, _)| known == worker));
        workers.iter().filter_map(|(worker, pid)| self.measure_one(*worker, *pid)).collect()
    }

    /// Makes the next measurement return all values, because the last ones may not have reached the database.
    pub(crate) fn resend_all(&mut self) {
        self.trees.values_mut().for_each(|tree| tree.sent = None);
    }

    fn measure_one(&mut self, worker: i64, pid: i32) -> Option<WorkerUsage> {
        let sample = Sample::of(pid);
        let before = self.trees.get(&worker);
        let percent = before.map_or(0.0, |before| cpu_percent(&before.sample, &sample));
        let usage = WorkerUsage {
            worker,
            memory_bytes: i64::try_from(sample.usage.memory_bytes).unwrap_or(i64::MAX),
            cpu_percent: percent.round() as i32,
        };
        let sent = before.and_then(|before| before.sent);
        let to_send = (sample.processes > 0 && is_noticeable(sent, usage)).then_some(usage);
        self.trees.insert(worker, MeasuredTree { sample, sent: to_send.or(sent) });
        to_send
    }
}

/// Returns whether a value differs enough from the one that was sent. The fall to 0 % is always sent, so that an idle
/// worker does not seem to work.
fn is_noticeable(sent: Option<WorkerUsage>, usage: WorkerUsage) -> bool {
    let Some(sent) = sent else { return true };
    let bytes = (usage.memory_bytes - sent.memory_bytes).abs();
    let percent = (usage.cpu_percent - sent.cpu_percent).abs();
    bytes > NOTICEABLE_BYTES.max(sent.memory_bytes / 20)
        || percent >= NOTICEABLE_PERCENT
        || (usage.cpu_percent == 0 && percent > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_noticeable_changes_are_sent() {
        let usage =
            |mib: i64, cpu_percent| WorkerUsage { worker: 1, memory_bytes: mib << 20, cpu_percent };
        for (sent, measured, expected) in [
            (None, usage(0, 0), true),
            (Some(usage(10, 0)), usage(10, 0), false),
            (Some(usage(10, 0)), usage(11, 0), false),
            (Some(usage(10, 0)), usage(12, 0), true),
            (Some(usage(1000, 0)), usage(1040, 0), false),
            (Some(usage(1000, 0)), usage(1060, 0), true),
            (Some(usage(10, 40)), usage(10, 43), false),
            (Some(usage(10, 40)), usage(10, 45), true),
            (Some(usage(10, 3)), usage(10, 0), true),
        ] {
            assert_eq!(is_noticeable(sent, measured), expected, "{sent:?} {measured:?}");
        }
    }

    #[test]
    fn an_unchanged_tree_is_sent_once() {
        let own = [(1, std::process::id() as i32)];
        let mut usage = MemoryAndCpu::default();
        let start = Instant::now();
        assert_eq!(usage.measure(&own, start).len(), 1);
        assert!(usage.measure(&own, start + INTERVAL / 2).is_empty(), "too early");
        usage.resend_all();
        assert_eq!(usage.measure(&own, start + INTERVAL).len(), 1, "sent again");
        assert!(usage.measure(&[], start + INTERVAL * 2).is_empty());
        assert!(usage.trees.is_empty(), "the worker has ended");
    }
}
