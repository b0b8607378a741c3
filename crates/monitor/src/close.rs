//! Closing: what a dead worker has left is ended, then recorded. Its trees die first: an outcome
//! is written when no process of the run is left.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use rework_core::{
    db::{connect::Db, error::Result},
    fleet::worker::{self, Left, OpenRun},
    task::{
        self,
        complete::{Completion, Outcome, complete},
        fence::Fence,
    },
};
use rework_process::{Containment, Unkillable, sweep};
use rework_wire::worker::MemoryRung;
use tokio::{sync::mpsc::UnboundedSender, time::sleep};
use uuid::Uuid;

use crate::{closing::Closing, event::Event, link::Link, page::Begun, run::Message, verdicts};

/// What a signal that kills may take, until it is said that it does not.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two attempts at what does not die.
const RETRY: Duration = Duration::from_secs(1);

/// What is left of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Remains {
    /// Names its trees.
    mark: Uuid,
    /// How they were held.
    containment: Containment,
    pub(crate) begun: Begun,
}

impl Remains {
    /// Of a worker that we started.
    pub(crate) fn of_ours(mark: Uuid, containment: Containment) -> Remains {
        Remains { mark, containment, begun: Begun::Unknown }
    }

    /// Of a worker that an earlier monitor has left.
    pub(crate) fn of_left(left: &Left) -> Remains {
        let memory = match &left.memory_cgroup {
            Some(folder) => MemoryRung::CgroupV1(folder.clone()),
            None => MemoryRung::Sampled,
        };
        let containment = Containment::from_parts(left.cgroup.clone(), memory);
        Remains { mark: left.mark, containment, begun: Begun::Unknown }
    }
}

/// Ends and records what a worker has left.
pub(crate) async fn close(
    link: Link,
    worker: i64,
    remains: Remains,
    closing: Closing,
    inbox: UnboundedSender<Message>,
) {
    if closing.sweep {
        let mark = remains.mark.to_string();
        while let Err(unkillable) = sweep(&remains.containment, &mark, PATIENCE).await {
            tracing::error!("worker {worker} has left processes: {unkillable}");
            note_unkillable(&link, worker, &unkillable).await;
            sleep(RETRY).await;
        }
    }
    remove_folder(remains.mark).await;
    if !closing.silent {
        record(&link, worker, &remains, &closing).await;
    }
    let _ = inbox.send(Message::Event(Event::Closed(worker)));
}

/// Records the end of a dead worker, and of whatever it still holds. What was recorded before stays
/// as it is.
pub(crate) async fn record(link: &Link, worker: i64, remains: &Remains, closing: &Closing) {
    let record = async |db: &Db| -> Result<()> {
        let open = worker::open_runs(db, worker).await?;
        let ends: Vec<Completion> =
            open.iter().map(|open| completion(open, remains, closing)).collect();
        let recorded = complete(db, &ends, None).await?;
        verdicts::say(ends.iter().zip(recorded).map(|(end, recorded)| {
            (end.fence.task, recorded, end.reason.as_deref().unwrap_or_default())
        }));
        worker::leave(db, worker, &closing.reason).await
    };
    link.persist("record the end of a worker", record).await;
}

/// What the page does not name has not begun, and is not lost with the worker.
fn completion(open: &OpenRun, remains: &Remains, closing: &Closing) -> Completion {
    let Fence { task, run, .. } = open.fence;
    let begun = match &remains.begun {
        Begun::Unknown => None,
        Begun::Runs(runs) => Some(runs.contains(&(task, run))),
    };
    if begun == Some(false) {
        let reason = format!("{}, before the code began", closing.run_reason);
        return Completion::new(open.fence, Outcome::Unbegun, Some(reason));
    }
    Completion {
        // The worker may have died before it could say when.
        began: begun.map(|_| Instant::now()),
        revision: open.revision.clone(),
        ..Completion::new(open.fence, closing.outcome, Some(closing.run_reason.clone()))
    }
}

/// What was asked for by a person stays to be read while it cannot be done.
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

/// The folder of a worker's temporary files; it may be large.
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
    use rework_process::Exit;

    use super::*;

    fn open() -> OpenRun {
        let fence = Fence { task: 7, run: 2, token: Uuid::nil() };
        OpenRun { fence, asked: None, revision: Some("r1".to_owned()) }
    }

    fn end(begun: Begun) -> (Outcome, bool, Option<String>) {
        let containment = Containment::from_parts(None, MemoryRung::Sampled);
        let mut remains = Remains::of_ours(Uuid::nil(), containment);
        remains.begun = begun;
        let killed = Exit::Signal { signal: 9, core: false };
        let closing = Closing::of(None, None, Some(killed), "");
        let end = completion(&open(), &remains, &closing);
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
