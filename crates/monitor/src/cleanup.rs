//! Cleaning up after a dead worker: killing its process trees, and then recording the ends of the worker and of its
//! runs.
//!
//! The order matters: the end of a run may be recorded only when no process of the run is left. Which reason and which
//! outcome are recorded is decided in `cleanup_plan.rs`.

use std::time::{Duration, Instant};

use rework_core::{
    db::{connect::Db, error::Result},
    fleet::worker::{self, OpenRun},
    task::{
        self,
        complete::{Completion, Outcome, complete},
        fence::Fence,
    },
};
use rework_process::{Unkillable, remove_worker_folder, sweep};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    cleanup_plan::CleanupPlan, event::Event, inbox::Inbox, leftovers::Leftovers, link::Link,
    outcome_log, started_runs::KnownStarts,
};

/// How long killed processes may take to die before they are reported as unkillable. A process usually dies within
/// milliseconds; two seconds leave room for a busy host.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause before unkillable processes are killed again.
const KILL_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Kills the process trees of a dead worker, records its end, and sends [`Event::CleanedUp`].
pub(crate) async fn clean_up(
    link: Link,
    worker: i64,
    leftovers: Leftovers,
    plan: CleanupPlan,
    inbox: Inbox,
) {
    if plan.sweep {
        let process_tag = leftovers.process_tag.to_string();
        let containment = &leftovers.containment;
        while let Err(unkillable) = sweep(containment, &process_tag, KILL_TIMEOUT).await {
            tracing::error!("processes of dead worker {worker} cannot be killed: {unkillable}");
            show_unkillable(&link, worker, &unkillable).await;
            sleep(KILL_RETRY_PAUSE).await;
        }
    }
    inbox.send(Event::ProcessesGone(worker));
    remove_temporary_files(leftovers.process_tag).await;
    if !plan.recorded_by_others {
        record(&link, worker, &leftovers, &plan).await;
    }
    inbox.send(Event::CleanedUp(worker));
}

/// Records the end of a dead worker and of the runs that it still has. Ends that were recorded before do not change.
pub(crate) async fn record(link: &Link, worker: i64, leftovers: &Leftovers, plan: &CleanupPlan) {
    let record = async |db: &Db| -> Result<()> {
        let open = worker::open_runs(db, worker).await?;
        let ends: Vec<Completion> =
            open.iter().map(|open| completion(open, leftovers, plan)).collect();
        let recorded = complete(db, &ends, None).await?;
        outcome_log::log_outcomes(ends.iter().zip(recorded).map(|(end, recorded)| {
            (end.fence.task, recorded, end.reason.as_deref().unwrap_or_default())
        }));
        worker::finish(db, worker, &plan.reason).await
    };
    link.retry_until_done("record the end of a worker", record).await;
}

/// Builds the end of a run of a dead worker. The plan decides the outcome. But if it is known that
/// the run had not started, its task is queued again.
fn completion(open: &OpenRun, leftovers: &Leftovers, plan: &CleanupPlan) -> Completion {
    let Fence { task, run, .. } = open.fence;
    let has_started = match &leftovers.started {
        KnownStarts::Runs(runs) if plan.trusts_started_runs => Some(runs.contains(&(task, run))),
        KnownStarts::Runs(_) | KnownStarts::Unknown => None,
    };
    if has_started == Some(false) {
        let reason = format!("{}, before the code started", plan.run_reason);
        return Completion::new(open.fence, Outcome::NotStarted, Some(reason));
    }
    Completion {
        // The worker may have died before it recorded the start. A run that may have started counts as started.
        started: Some(Instant::now()),
        revision: open.revision.clone(),
        ..Completion::new(open.fence, plan.outcome, Some(plan.run_reason.clone()))
    }
}

/// Shows on the open tasks of a worker that one of their processes does not die. A user who requested an abort sees
/// then why it is not finished.
async fn show_unkillable(link: &Link, worker: i64, unkillable: &Unkillable) {
    let Some(db) = link.current() else { return };
    let reason = unkillable.to_string();
    let recorded = async {
        for open in worker::open_runs(&db, worker).await? {
            task::progress::record_unkillable(&db, open.fence, &reason).await?;
        }
        Ok(())
    };
    let recorded: Result<()> = recorded.await;
    if let Err(error) = recorded {
        tracing::warn!("cannot record the unkillable processes of worker {worker}: {error}");
    }
}

/// Removes the folder with the temporary files of a worker. Another thread does it, because the folder may be large.
async fn remove_temporary_files(process_tag: Uuid) {
    let process_tag = process_tag.to_string();
    let removed = tokio::task::spawn_blocking(move || remove_worker_folder(&process_tag));
    if let Ok(Err(error)) = removed.await {
        tracing::warn!("cannot remove the temporary files of a dead worker: {error}");
    }
}

#[cfg(test)]
mod tests {
    use rework_process::{Containment, Exit};
    use rework_wire::worker::MemoryMethod;

    use super::*;
    use crate::cleanup_plan::KillReason;

    fn open() -> OpenRun {
        let fence = Fence { task: 7, run: 2, token: Uuid::nil() };
        OpenRun { fence, abort_reason: None, revision: Some("r1".to_owned()) }
    }

    fn end(started: KnownStarts) -> (Outcome, bool, Option<String>) {
        let containment = Containment::from_parts(None, MemoryMethod::Sampled);
        let mut leftovers = Leftovers::of_own(Uuid::nil(), containment);
        leftovers.started = started;
        let killed = Exit::Signal { signal: 9, core: false };
        let plan = CleanupPlan::of(None, None, Some(killed), "");
        let end = completion(&open(), &leftovers, &plan);
        (end.outcome, end.started.is_some(), end.revision)
    }

    #[test]
    fn only_a_started_run_is_lost_with_its_worker() {
        let lost = (Outcome::Lost, true, Some("r1".to_owned()));
        let not_started = (Outcome::NotStarted, false, None);
        let runs = |runs: &[(i64, i64)]| end(KnownStarts::Runs(runs.iter().copied().collect()));
        assert_eq!(runs(&[(6, 2), (7, 2)]), lost, "the run is among the started runs");
        assert_eq!(runs(&[]), not_started, "no run started");
        assert_eq!(runs(&[(7, 1)]), not_started, "an earlier run of the task started");
        assert_eq!(runs(&[(6, 2)]), not_started, "a run of another task started");
        assert_eq!(end(KnownStarts::Unknown), lost, "the run may have started");
    }

    #[test]
    fn a_run_that_is_open_again_after_a_failover_is_not_taken_for_one_that_did_not_start() {
        let containment = Containment::from_parts(None, MemoryMethod::Sampled);
        let mut leftovers = Leftovers::of_own(Uuid::nil(), containment);
        leftovers.started = KnownStarts::Runs([(8, 1)].into());
        let plan = CleanupPlan::of(Some(KillReason::WentBack), None, None, "");
        assert_eq!(completion(&open(), &leftovers, &plan).outcome, Outcome::Lost);
    }
}
