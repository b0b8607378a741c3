//! The worker's loop: claim, run, record; wait when there is nothing, leave when told to.

use std::{fs::File, future::pending, os::fd::AsFd, process::ExitCode, time::Duration};

use rework_core::{
    claim::{Claimant, Claimed},
    complete::Recorded,
    connect::Dsn,
    control::{FromWorker, PAGE_FD, Start, ToWorker},
    error::Error,
};
use tokio::time::{sleep, sleep_until};

use crate::{
    database::Database,
    environment::Secrets,
    frames::Frames,
    life::{Event, Life},
    operations::Operations,
    recorder::Recorder,
    run::{self, LeaseLost, Workshop},
    runner::Nursery,
    runners::Runners,
};

/// After a claim that was refused for a reason that may pass.
const CLAIM_RETRY: Duration = Duration::from_secs(1);

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
    let mut control = control_socket()?;
    let Ok(Some(frame)) = control.next().await else { return Err(WorkerError::NoMonitor) };
    let Ok(ToWorker::Start(start)) = frame.message() else { return Err(WorkerError::NoMonitor) };
    rework_process::become_subreaper()?;
    let dsn = Dsn::parse(&start.dsn)?;
    let secrets = Secrets::new(&start.dsn, dsn.password());
    let page = inherited_page()?;
    let database = Database::new(dsn, format!("rework worker {}", start.worker));
    let recorder = Recorder::start(database, claimant(&start));
    let mut worker = Worker {
        workshop: Workshop {
            life: Life::new(control, recorder.clone())?,
            recorder,
            nursery: Nursery::new(&start, page, secrets),
            runners: Runners::new(&start),
            start_timeout: Duration::from_millis(start.start_timeout_ms),
        },
        operations: Operations::default(),
        idle: true,
    };
    worker.workshop.life.tell(&FromWorker::Up);
    let ended = worker.work().await;
    worker.workshop.runners.end_all().await;
    drop(std::fs::remove_dir_all(worker.workshop.nursery.folder()));
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
    workshop: Workshop,
    operations: Operations,
    idle: bool,
}

impl Worker {
    async fn work(&mut self) -> Result<(), LeaseLost> {
        let mut next = None;
        loop {
            if let Some(reason) = self.workshop.life.retired() {
                let reason = reason.to_owned();
                self.leave(reason).await;
                return Ok(());
            }
            let claimed = match next.take() {
                Some(claimed) => Some(claimed),
                None => self.claim().await,
            };
            match claimed {
                Some(claimed) => next = self.handle(claimed).await?,
                None => self.wait().await,
            }
        }
    }

    async fn claim(&mut self) -> Option<Claimed> {
        match self.workshop.recorder.claim().await {
            Ok(Ok(claimed)) => claimed,
            Ok(Err(error)) => {
                tracing::warn!("nothing can be claimed: {error}");
                sleep(CLAIM_RETRY).await;
                None
            }
            Err(_) => None,
        }
    }

    /// Runs a task and records its end; gives the next one.
    async fn handle(&mut self, claimed: Claimed) -> Result<Option<Claimed>, LeaseLost> {
        if std::mem::take(&mut self.idle) {
            self.workshop.life.tell(&FromWorker::Busy);
        }
        let fence = claimed.fence;
        let operation = self.operations.get(claimed.version, &self.workshop.recorder).await;
        let completion = match operation {
            Ok(operation) => run::run(&mut self.workshop, &operation, claimed).await?,
            Err(verdict) => {
                rework_core::complete::Completion::new(fence, verdict.outcome, verdict.reason)
            }
        };
        let books = &self.workshop.recorder;
        let (recorded, next) = if self.workshop.life.retired().is_some() {
            books.complete(completion).await.map(|answer| answer.map(|r| (r, None))).flat()
        } else {
            books.complete_and_claim(completion).await.flat()
        };
        match recorded {
            Some(Recorded::Stale) => {
                tracing::warn!("run {} of task {} was not current any more", fence.run, fence.task);
            }
            Some(_) => {}
            None => tracing::error!("the end of task {} could not be recorded", fence.task),
        }
        Ok(next)
    }

    /// Until something may be ready, or it is time to leave.
    async fn wait(&mut self) {
        let Workshop { life, runners, .. } = &mut self.workshop;
        self.idle = true;
        life.tell(&FromWorker::Idle);
        loop {
            let expires = runners.expires();
            let too_long = async {
                match expires {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                event = life.next(None) => match event {
                    Event::Woken | Event::Retired | Event::LeaseLost => return,
                    Event::Abort(..) => {}
                },
                () = too_long => runners.expire().await,
            }
        }
    }

    /// The monitor records the end of its workers; without one, or not heard, the worker itself.
    async fn leave(&mut self, reason: String) {
        let Workshop { life, recorder, .. } = &mut self.workshop;
        life.tell(&FromWorker::Leaving { reason: reason.clone() });
        if let Ok(Err(error)) = recorder.leave(reason).await {
            tracing::warn!("the worker's end could not be recorded: {error}");
        }
    }
}

/// An answer of the recorder, in two parts; what failed is logged here.
trait Flat {
    fn flat(self) -> (Option<Recorded>, Option<Claimed>);
}

impl<E: std::fmt::Display> Flat for Result<Result<(Recorded, Option<Claimed>), Error>, E> {
    fn flat(self) -> (Option<Recorded>, Option<Claimed>) {
        match self {
            Ok(Ok((recorded, next))) => (Some(recorded), next),
            Ok(Err(error)) => {
                tracing::error!("{error}");
                (None, None)
            }
            Err(stopped) => {
                tracing::error!("{stopped}");
                (None, None)
            }
        }
    }
}

/// Standard input, which is the monitor's end of a socket pair.
fn control_socket() -> Result<Frames, WorkerError> {
    let fd = std::io::stdin().as_fd().try_clone_to_owned()?;
    Ok(Frames::over(fd.into())?)
}

/// The page that the monitor passed: opened again by its number, so that no fd is made of thin air.
fn inherited_page() -> std::io::Result<File> {
    File::options().read(true).write(true).open(format!("/proc/self/fd/{PAGE_FD}"))
}
