//! The worker's loop: claim, run, record; wait when there is nothing, leave when told to.

use std::{fs::File, future::pending, os::fd::AsFd, process::ExitCode, rc::Rc, time::Duration};

use rework_core::{
    db::{dsn::Dsn, error::Error},
    task::{
        claim::{Claimant, OperationVersion},
        complete::Completion,
        fence::Fence,
    },
};
use rework_wire::{
    connection::Frames,
    worker::{FromWorker, PAGE_FD, Start, ToWorker},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{
    alarm::Alarm,
    claimed_run::ClaimedRun,
    context::{Context, Waited},
    database_away::Database,
    environment::Secrets,
    keeper::Keeper,
    life::{Event, LeaseLost, Life},
    local_queue::LocalQueue,
    operations::{Operation, Operations},
    recorder::Recorder,
    run_task::run_task,
    runner_launcher::RunnerLauncher,
    runners::Runners,
    verdict::Verdict,
    writer::DbWriter,
};

/// After a claim that was refused for a reason that may pass.
const CLAIM_RETRY: Duration = Duration::from_secs(1);

/// An idle worker looks again so often while a claim of its own may still come to light.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long a worker that leaves waits for the database.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why a worker could not begin.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It was not started by a monitor.
    #[error("a worker is started by a monitor: its standard input is the monitor's socket")]
    NoMonitor,
    /// The machine refused something that it cannot do without.
    #[error("the worker could not begin")]
    System(#[from] std::io::Error),
    /// The DSN that the monitor gave.
    #[error(transparent)]
    Dsn(#[from] Error),
}

/// Runs this process as a worker, until its monitor or its own limits let it go. On the first
/// thread of a process, in a current-thread runtime.
pub async fn run() -> Result<ExitCode, WorkerError> {
    tokio::task::LocalSet::new().run_until(Box::pin(live())).await
}

async fn live() -> Result<ExitCode, WorkerError> {
    let Ok(mut control) = control_socket() else { return Err(WorkerError::NoMonitor) };
    let Ok(Some(frame)) = control.next().await else { return Err(WorkerError::NoMonitor) };
    let Ok(ToWorker::Start(start)) = frame.message() else { return Err(WorkerError::NoMonitor) };
    rework_process::become_subreaper()?;
    let dsn = Dsn::parse(&start.dsn)?;
    let secrets = Secrets::new(&start.dsn, dsn.password());
    let page = inherited_page()?;
    // Its memory and environment are no business of what its runners run as the same user.
    nix::sys::prctl::set_dumpable(false).map_err(std::io::Error::from)?;
    let who = format!("rework worker {}", start.worker);
    let keeper = Keeper::start(Database::new(dsn.clone(), format!("{who} (lease)")), &start);
    let database = Database::new(dsn, who);
    let (recorder, entries, backlog) = Recorder::new();
    let writer = DbWriter::new(database, claimant(&start), backlog).run(entries);
    let writer = tokio::task::spawn_local(writer);
    let mut worker = Worker {
        context: Context {
            life: Life::new(control, &start, recorder.clone(), keeper)?,
            recorder,
            launcher: RunnerLauncher::new(&start, page, secrets)?,
            runners: Runners::new(&start),
            queue: LocalQueue::new(start.batch),
            start_timeout: Duration::from_millis(start.start_timeout_ms),
            alarm: Alarm::new(),
        },
        operations: Operations::default(),
    };
    worker.context.life.tell(&FromWorker::Up);
    let ended = tokio::select! {
        ended = worker.work() => ended,
        // Only a panic ends it. Without a writer nothing that runs would ever be recorded.
        _ = writer => return Ok(ExitCode::FAILURE),
    };
    worker.context.runners.end_all().await;
    drop(std::fs::remove_dir_all(worker.context.launcher.folder()));
    if let Err(lost) = ended {
        tracing::error!("{lost}: its run is somebody else's now");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn claimant(start: &Start) -> Claimant {
    Claimant {
        worker: start.worker,
        lease: start.lease,
        epoch: start.epoch,
        host: start.host.clone(),
        domain: start.domain.clone(),
        capabilities: start.capabilities.clone(),
    }
}

struct Worker {
    context: Context,
    operations: Operations,
}

impl Worker {
    async fn work(&mut self) -> Result<(), LeaseLost> {
        loop {
            let Context { life, recorder, queue, .. } = &mut self.context;
            if let Some(reason) = life.retired() {
                let reason = reason.to_owned();
                self.leave(reason).await;
                return Ok(());
            }
            if let Some(held) = queue.next() {
                queue.look_ahead(0, recorder);
                self.handle(held).await?;
            } else if !self.claim().await && self.context.life.retired().is_none() {
                self.wait().await;
            }
        }
    }

    /// False: there is nothing. A worker that is told to leave meanwhile does not wait for a
    /// database that is away.
    async fn claim(&mut self) -> bool {
        let Context { life, recorder, queue, .. } = &mut self.context;
        let mut answer = queue.claim(recorder);
        let answered = loop {
            tokio::select! {
                biased;
                answered = &mut answer => break Ok(answered),
                event = life.next(None) => match event {
                    Event::Woken | Event::Abort(..) => {}
                    Event::Retired | Event::LeaseLost => {
                        break timeout(LAST_WORDS, &mut answer).await;
                    }
                },
            }
        };
        match answered {
            Ok(Ok(Ok(claimed))) => {
                let again = queue.was_asked_for_one() || !claimed.is_empty();
                queue.add(claimed);
                again
            }
            Ok(Ok(Err(error))) => {
                tracing::warn!("nothing can be claimed: {error}");
                sleep(CLAIM_RETRY).await;
                true
            }
            Ok(Err(_)) => false,
            Err(_) => {
                queue.forgo(answer);
                false
            }
        }
    }

    /// Runs a task, and those that may follow it at once, and sees to it that their ends are recorded.
    async fn handle(&mut self, held: ClaimedRun) -> Result<(), LeaseLost> {
        let ClaimedRun { claimed, .. } = &held;
        let (version, fence) = (claimed.version, claimed.fence);
        if !self.operations.has(version) {
            self.context.life.set_to_work();
        }
        match self.known(version, fence).await? {
            Ok(operation) => run_task(&mut self.context, &operation, held).await,
            Err(Verdict { outcome, reason }) => {
                self.context.recorder.complete(Completion::new(fence, outcome, reason));
                Ok(())
            }
        }
    }

    /// The operation of a task. The database may be away: the life line is listened to meanwhile.
    async fn known(
        &mut self,
        version: OperationVersion,
        fence: Fence,
    ) -> Result<Result<Rc<Operation>, Verdict>, LeaseLost> {
        let recorder = self.context.recorder.clone();
        let operation = self.operations.get(version, &recorder);
        match self.context.wait_for(Some(fence), operation).await? {
            Waited::Ready(operation) => Ok(operation),
            Waited::Aborted(abort) => Ok(Err(abort.verdict())),
        }
    }

    /// Until something may be ready, or it is time to leave.
    async fn wait(&mut self) {
        let Context { life, runners, recorder, .. } = &mut self.context;
        let doubt = recorder.has_unconfirmed_claim().then(|| Instant::now() + LOOK_AGAIN);
        let again = [doubt, recorder.take_rescan_at()].into_iter().flatten().min();
        life.rest();
        loop {
            let too_long = until(runners.expires());
            tokio::select! {
                event = life.next(None) => match event {
                    Event::Woken | Event::Retired | Event::LeaseLost => return,
                    Event::Abort(..) => {}
                },
                () = too_long => runners.expire().await,
                () = until(again) => return,
            }
        }
    }

    /// What was claimed and not begun goes back. The monitor records the end of its workers; without
    /// one, or not heard, the worker itself.
    async fn leave(&mut self, reason: String) {
        let Context { life, recorder, queue, .. } = &mut self.context;
        queue.give_back(&format!("its worker was leaving: {reason}"), recorder);
        // What ran exists only here: there is no hurry that could be worth it.
        if recorder.has_unsaved() {
            settle(life, recorder).await;
        }
        life.tell(&FromWorker::Leaving { reason: reason.clone() });
        if let Ok(Ok(Err(error))) = timeout(LAST_WORDS, recorder.leave(reason)).await {
            tracing::warn!("the worker's end could not be recorded: {error}");
        }
    }
}

/// Lives on until what ran is recorded, unless it is somebody else's by now.
async fn settle(life: &mut Life, recorder: &Recorder) {
    let mut settled = recorder.settled();
    loop {
        tokio::select! {
            _ = &mut settled => return,
            event = life.next(None) => match event {
                Event::LeaseLost => return,
                Event::Woken | Event::Abort(..) | Event::Retired => {}
            },
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// Standard input, which is the monitor's end of a socket pair.
fn control_socket() -> std::io::Result<Frames> {
    let fd = std::io::stdin().as_fd().try_clone_to_owned()?;
    Frames::over(fd.into())
}

/// The page that the monitor passed: opened again by its number, so that no fd is made of thin air.
fn inherited_page() -> std::io::Result<File> {
    File::options().read(true).write(true).open(format!("/proc/self/fd/{PAGE_FD}"))
}
