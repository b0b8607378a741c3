//! Renders why a queued task waits. `commands/show_task.rs` prints this.

use rework_core::task::wait_reasons::{BusyWorkers, WaitReason};

use crate::escape;

/// The largest number of tasks of busy workers that are shown.
const SHOWN_TASKS: usize = 5;

/// Returns why a host leaves the task in the queue, for example `not available on alpha: no display`.
pub(crate) fn wait_reason(reason: &WaitReason) -> String {
    let WaitReason { host, unavailable, reason } = reason;
    let what = if *unavailable { "not available" } else { "cannot be started" };
    escape::line(&format!("{what} on {host}: {reason}")).into_owned()
}

/// Returns that a task waits because all workers are busy.
pub(crate) fn all_are_busy(busy: &BusyWorkers) -> String {
    let BusyWorkers { domain, workers, tasks } = busy;
    let workers = match workers {
        1 => format!("the only worker of domain {domain} is busy"),
        2 => format!("both workers of domain {domain} are busy"),
        _ => format!("all {workers} workers of domain {domain} are busy"),
    };
    let ids: Vec<String> = tasks.iter().take(SHOWN_TASKS).map(i64::to_string).collect();
    let word = if ids.len() == 1 { "task" } else { "tasks" };
    let more = if tasks.len() > SHOWN_TASKS { ", …" } else { "" };
    escape::line(&format!("waits for a worker: {workers}, with {word} {}{more}", ids.join(", ")))
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queued_task_shows_that_all_workers_are_busy() {
        let busy =
            |workers, tasks| all_are_busy(&BusyWorkers { domain: "images".into(), workers, tasks });
        assert_eq!(
            busy(1, vec![3]),
            "waits for a worker: the only worker of domain images is busy, with task 3"
        );
        assert_eq!(
            busy(2, vec![3, 4]),
            "waits for a worker: both workers of domain images are busy, with tasks 3, 4"
        );
        assert_eq!(
            busy(9, (1..=9).collect()),
            "waits for a worker: all 9 workers of domain images are busy, with tasks 1, 2, 3, 4, 5, …"
        );
    }
}
