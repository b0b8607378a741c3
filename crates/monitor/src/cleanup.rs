//! Cleaning up after a dead worker: its process trees are killed, then the ends of the worker and of
//! its runs are recorded. The order matters: an outcome is written when no process of the run is
//! left.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use rework_core::{
    db::{connect::Db, error::Result},
    fleet::worker::{self, OpenRun},
    task::{
        self,
        complete::{Completion, Outcome, complete},
        fence::Fence,
    },
};
use rework_process::{Unkillable, sweep};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    cleanup_plan::CleanupPlan, event::Event, inbox::Inbox, leftovers::Leftovers, link::Link,
    outcome_log, page::Begun,
};

/// How long a killed process may take to die, until it is reported as unkillable.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause between two attempts to kill a process that does not die.
const RETRY: Duration = Duration::from_secs(1);

/// Kills the process trees of a dead worker, and records its end.
pub(crate) async fn clean_up(
    link: Link,
    worker: i64,
    leftovers: Leftovers,
    plan: CleanupPlan,
    inbox: Inbox,
) {
    if plan.sweep {
        let mark = leftovers.mark.to_string();
        while let Err(unkillable) = sweep(&leftovers.containment, &mark, PATIENCE).await {
            tracing::error!("worker {worker} has left processes: {unkillable}");
            note_unkillable(&link, worker, &unkillable).await;
            sleep(RETRY).await;
        }
    }
    remove_folder(leftovers.mark).await;
    if !plan.silent {
        record(&link, worker, &leftovers, &plan).await;
    }
    inbox.send(Event::CleanedUp(worker));
}

/// Records the end of a dead worker, and of the runs that it still holds. Ends that were recorded
/// before stay as they are.
pub(crate) async fn record(link: &Link, worker: i64, leftovers: &Leftovers, plan: &CleanupPlan) {
    let record = async |db: &Db| -> Result<()> {
        let open = worker::open_runs(db, worker).await?;
        let ends: Vec<Completion> =
            open.iter().map(|open| completion(open, leftovers, plan)).collect();
        let recorded = complete(db, &ends, None).await?;
        outcome_log::say(ends.iter().zip(recorded).map(|(end, recorded)| {
            (end.fence.task, recorded, end.reason.as_deref().unwrap_or_default())
        }));
        worker::leave(db, worker, &plan.reason).await
    };
    link.persist("record the end of a worker", record).await;
}

/// How the end of a run is recorded. A run that the page does not name has not begun, and is not lost
/// with the worker.
fn completion(open: &OpenRun, leftovers: &Leftovers, plan: &CleanupPlan) -> Completion {
    let Fence { task, run, .. } = open.fence;
    let begun = match &leftovers.begun {
        Begun::Unknown => None,
        Begun::Runs(runs) => Some(runs.contains(&(task, run))),
    };
    if begun == Some(false) {
        let reason = format!("{}, before the code began", plan.run_reason);
        return Completion::new(open.fence, Outcome::Unbegun, Some(reason));
    }
    Completion {
        // The worker may have died before it could say when.
        began: begun.map(|_| Instant::now()),
        revision: open.revision.clone(),
        ..Completion::new(open.fence, plan.outcome, Some(plan.run_reason.clone()))
    }
}

/// Shows on the tasks of a worker that a process of them does not die: an abort that a person asked
/// for is not done yet.
async fn note_unkillable(link: &Link, worker: i64, unkillable: &Unkillable) {
    let Some(db) = link.now() else { return };
    let reason = unkillable.to_string();
    let noted = async {
        for open in worker::open_runs(&db, worker).await? {
            task::progress::unkillable(&db, open.fence, &reason).await?;
        }
        Ok(())
    };
    let noted: Result<()> = noted.await;
    if let Err(error) = noted {
        tracing::warn!("cannot note what does not die: {error}");
    }
}

/// Removes the folder of a worker's temporary files, beside the event loop since it may be large.
async fn remove_folder(mark: Uuid) {
    let folder: PathBuf = std::env::temp_dir().join(format!("rework-{mark}"));
    if folder.exists() {
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder));
        if let Ok(Err(error)) = removed.await {
            tracing::warn!("temporary files of a dead worker cannot be removed: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use rework_process::{Containment, Exit};
    use rework_wire::worker::MemoryRung;

    use super::*;

    fn open() -> OpenRun {
        let fence = Fence { task: 7, run: 2, token: Uuid::nil() };
        OpenRun { fence, asked: None, revision: Some("r1".to_owned()) }
    }

    fn end(begun: Begun) -> (Outcome, bool, Option<String>) {
        let containment = Containment::from_parts(None, MemoryRung::Sampled);
        let mut leftovers = Leftovers::of_ours(Uuid::nil(), containment);
        leftovers.begun = begun;
        let killed = Exit::Signal { signal: 9, core: false };
        let plan = CleanupPlan::of(None, None, Some(killed), "");
        let end = completion(&open(), &leftovers, &plan);
        (end.outcome, end.began.is_some(), end.revision)
    }

    #[test]
    fn only_what_began_is_lost_with_its_worker() {
        let lost = |began| (Outcome::Lost, began, Some("r1".to_owned()));
        let unbegun = (Outcome::Unbegun, false, None);
        let runs = |runs: &[(i64, i64)]| end(Begun::Runs(runs.iter().copied().collect()));
        assert_eq!(runs(&[(6, 2), (7, 2)]), lost(true), "the page names it");
        assert_eq!(runs(&[]), unbegun, "nothing began");
        assert_eq!(runs(&[(7, 1)]), unbegun, "an earlier run began");
        assert_eq!(runs(&[(6, 2)]), unbegun, "another task began");
        assert_eq!(end(Begun::Unknown), lost(false), "nobody saw the page");
    }
}
