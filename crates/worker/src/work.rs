//! The main loop of a worker process: it claims a task, runs it (`run_task.rs`), and claims again. If nothing is ready,
//! it reports itself idle to its monitor and waits until the monitor wakes it. It ends when the monitor orders it to,
//! or when its lease is lost. Claimed tasks that have not started go back to the queue first.

mod leave;
mod requested_check;

use std::{future::pending, process::ExitCode, rc::Rc, time::Duration};

use rework_core::{
    db::{dsn::Dsn, error::Error},
    task::{
        claim::{Claimant, OperationVersion},
        complete::Completion,
        fence::Fence,
    },
};
use rework_wire::worker::{FromWorker, Start, ToWorker};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{
    availability::Availability,
    claimed_run::ClaimedRun,
    context::{Context, Waited},
    database_connection::DatabaseConnection,
    environment::Secrets,
    inherited::{control_socket, inherited_started_runs},
    lease_client::LeaseClient,
    local_queue::LocalQueue,
    not_started::NotStarted,
    operations::{Operation, Operations},
    recorder::Recorder,
    recovery_check::RecoveryCheck,
    resettable_timer::ResettableTimer,
    run_result::RunResult,
    run_task::run_task,
    runner_launcher::RunnerLauncher,
    supervisor::{Event, LeaseLost, Supervisor},
    warm_runners::WarmRunners,
    writer::DbWriter,
};

/// The pause after a claim that the database refused, for example because its disk is full.
const CLAIM_RETRY: Duration = Duration::from_secs(1);

/// How often an idle worker scans the queue while a claim whose answer was lost may still take effect. Such a claim
/// assigns tasks to this worker without a notification.
const RESCAN_INTERVAL: Duration = Duration::from_secs(10);

/// How long a worker that ends waits for an unavailable database: first for the answer of a claim, then to record its
/// exit. Its monitor records the exit otherwise.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The reason why a worker process could not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The first message on standard input is not a monitor's `start`.
    #[error("a worker is started by a monitor: its standard input is the monitor's socket")]
    NoMonitor,
    /// The system refused a resource that the worker needs.
    #[error("the worker cannot start")]
    System(#[from] std::io::Error),
    /// The DSN in the `start` message is invalid.
    #[error(transparent)]
    Dsn(#[from] Error),
}

/// Runs this process as a worker until its monitor orders it to end or its lease is lost. Must be
/// called on the first thread of the process, in a current-thread runtime: the kernel kills a
/// runner when the thread that started it ends. `Err` if the worker cannot start.
pub async fn run() -> Result<ExitCode, WorkerError> {
    tokio::task::LocalSet::new().run_until(Box::pin(run_worker())).await
}

async fn run_worker() -> Result<ExitCode, WorkerError> {
    let Ok(mut control) = control_socket() else { return Err(WorkerError::NoMonitor) };
    let Ok(Some(frame)) = control.next().await else { return Err(WorkerError::NoMonitor) };
    let Ok(ToWorker::Start(start)) = frame.message() else { return Err(WorkerError::NoMonitor) };
    // Runners run as the same user. This keeps them from reading the memory of this process, which has the DSN now.
    nix::sys::prctl::set_dumpable(false).map_err(std::io::Error::from)?;
    rework_process::raise_limits();
    rework_process::become_subreaper()?;
    let dsn = Dsn::parse(&start.dsn)?.for_writing();
    dsn.add_direct_servers(start.direct_servers);
    let secrets = Secrets::new(&start.dsn, dsn.passwords());
    let started_runs = inherited_started_runs()?;
    let application_name = format!("rework worker {}", start.worker);
    let (recorder, entries, backlog) = Recorder::new();
    let connection = |purpose: &str| {
        let name = format!("{application_name}{purpose}");
        DatabaseConnection::new(dsn.clone(), name, recorder.connection_refusals())
    };
    let lease_client = LeaseClient::start(connection(" (lease)"), &start);
    let (database, overdue) = connection("").reporting_overdue();
    let check_name = format!("{application_name} (check)");
    let check = RecoveryCheck::new(dsn.clone(), check_name, recorder.clone());
    let writer = DbWriter::new(database, claimant(&start), backlog).run(entries);
    let writer = tokio::task::spawn_local(writer);
    let supervisor =
        Supervisor::new(control, &start, recorder.clone(), lease_client, check, overdue)?;
    let mut worker = Worker {
        context: Context {
            supervisor,
            recorder,
            launcher: RunnerLauncher::new(&start, started_runs, secrets)?,
            warm_runners: WarmRunners::new(&start),
            queue: LocalQueue::new(start.batch),
            availability: Availability::default(),
            start_timeout: Duration::from_millis(start.start_timeout_ms),
            timer: ResettableTimer::new(),
        },
        operations: Operations::default(),
    };
    let result = tokio::select! {
        result = worker.work() => result,
        // The writer ends early only by a panic. Without it no run could be recorded, so the worker ends, too.
        _ = writer => return Ok(ExitCode::FAILURE),
    };
    worker.clean_up().await;
    if let Err(lost) = result {
        tracing::error!("{lost}: its runs are killed, and left to other workers");
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
    /// Reports that the worker is ready, and runs tasks until it is ordered to end.
    async fn work(&mut self) -> Result<(), LeaseLost> {
        self.context.supervisor.send(&FromWorker::Started);
        loop {
            let Context { supervisor, recorder, queue, .. } = &mut self.context;
            if let Some(reason) = supervisor.retired() {
                let reason = reason.to_owned();
                self.leave(reason).await;
                return Ok(());
            }
            queue.requeue_paused(recorder);
            supervisor.confirm_pauses();
            if let Some(run) = queue.next() {
                queue.prefetch(0, recorder);
                self.handle(run).await?;
            } else if let Some(operation) = supervisor.next_check() {
                self.check(operation).await?;
            } else if !self.claim().await && self.context.supervisor.retired().is_none() {
                self.wait().await;
            }
        }
    }

    /// Claims tasks into the local queue. Returns whether the caller should claim again at once; `false` means that
    /// nothing is ready. If the worker is ordered to end meanwhile, it waits only for [`EXIT_TIMEOUT`], since the
    /// database may be unavailable.
    async fn claim(&mut self) -> bool {
        let Context { supervisor, recorder, queue, .. } = &mut self.context;
        let mut answer = queue.claim(recorder);
        let result = loop {
            tokio::select! {
                biased;
                result = &mut answer => break Ok(result),
                event = supervisor.next(None) => match event {
                    Event::Woken | Event::Abort(..) => {}
                    // The runs that the claim brings are checked before they start.
                    Event::PausesChanged => supervisor.confirm_pauses(),
                    Event::Retired | Event::LeaseLost => {
                        break timeout(EXIT_TIMEOUT, &mut answer).await;
                    }
                },
            }
        };
        match result {
            Ok(Ok(Ok(claimed))) => {
                let claim_again = queue.take_was_for_one_operation() || !claimed.is_empty();
                queue.add(claimed);
                claim_again
            }
            Ok(Ok(Err(error))) => {
                tracing::warn!("the claim failed: {error}");
                sleep(CLAIM_RETRY).await;
                true
            }
            Ok(Err(_)) => false,
            Err(_) => {
                queue.abandon_claim(answer);
                false
            }
        }
    }

    /// Runs a claimed task and records how it ended. Its runner may take up more tasks, after this one or at the same
    /// time. If the operation has to be read from the database, which may take long, the worker reports itself busy
    /// before.
    async fn handle(&mut self, run: ClaimedRun) -> Result<(), LeaseLost> {
        let ClaimedRun { claimed, .. } = &run;
        let (version, fence) = (claimed.version, claimed.fence);
        if !self.operations.is_cached(version) {
            self.context.supervisor.report_busy();
        }
        match self.operation_of(version, Some(fence)).await {
            Ok(operation) => run_task(&mut self.context, &operation, run).await,
            Err(NotStarted::RunResult(RunResult { outcome, reason })) => {
                self.context.recorder.complete(Completion::new(fence, outcome, reason));
                Ok(())
            }
            Err(NotStarted::Error(error)) => {
                let id = version.operation.to_string();
                self.context.start_failed(&run.claimed, &id, &error);
                Ok(())
            }
            Err(NotStarted::LeaseLost) => Err(LeaseLost),
        }
    }

    /// Returns the operation of a task, from the cache or from the database. `fence` is the run that waits for it;
    /// `None` if no run waits. While the database is unavailable, aborts, orders to retire and the lease are handled.
    async fn operation_of(
        &mut self,
        version: OperationVersion,
        fence: Option<Fence>,
    ) -> Result<Rc<Operation>, NotStarted> {
        let recorder = self.context.recorder.clone();
        let operation = self.operations.get(version, &recorder);
        match self.context.wait_for(fence, operation).await? {
            Waited::Ready(operation) => operation.map_err(NotStarted::from),
            Waited::Aborted(abort) => Err(NotStarted::RunResult(abort.result())),
        }
    }

    /// Waits until a task may be ready or the worker is to end.
    async fn wait(&mut self) {
        let Context { supervisor, warm_runners, recorder, .. } = &mut self.context;
        let recheck_at = recorder.has_unconfirmed_claim().then(|| Instant::now() + RESCAN_INTERVAL);
        let rescan_at = [recheck_at, recorder.take_rescan_at()].into_iter().flatten().min();
        supervisor.report_idle();
        loop {
            let idle_timeout = sleep_until_or_forever(warm_runners.expires());
            tokio::select! {
                event = supervisor.next(None) => match event {
                    Event::Woken | Event::Retired | Event::LeaseLost => return,
                    Event::PausesChanged => supervisor.confirm_pauses(),
                    Event::Abort(..) => {}
                },
                () = idle_timeout => warm_runners.expire().await,
                () = sleep_until_or_forever(rescan_at) => return,
            }
        }
    }
}

async fn sleep_until_or_forever(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
