//! Starting workers. For each worker the monitor creates a row, starts the process, records its pid in the row, and
//! only then sends the first message with everything that the worker needs.
//!
//! A worker that does not receive the first message exits. So no worker can claim a task before its process is
//! recorded, whichever step fails.

use std::{
    cell::Cell,
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::PathBuf,
    rc::Rc,
};

use rework_core::{
    db::{connect::Db, dsn::Dsn},
    fleet::worker::{self, CreatedWorker, WorkerTemplate},
};
use rework_process::{Containment, Identity, Launch, LaunchError, launch};
use rework_wire::{
    frame_socket::FrameSocket,
    lease::BootTime,
    worker::{STARTED_RUNS_FD, Start, ToWorker},
};
use tokio::{net::unix::pipe, task::spawn_local};

use crate::{
    event::Event,
    inbox::{Inbox, Message},
    leftovers::Leftovers,
    link::Link,
    options::{Options, PoolOptions},
    per_domain::PerDomain,
    registration::Registration,
    started_runs::StartedRuns,
    systemd,
    worker_handle::WorkerHandle,
    worker_io::{self, StartedWorker, send_message},
};

/// Starts workers. Holds everything that the workers of this monitor have in common.
#[derive(Debug)]
pub(crate) struct WorkerSpawner {
    dsn: Dsn,
    /// The columns that the rows of all workers have in common.
    template: WorkerTemplate,
    /// The first message to a worker, without the fields that differ between workers.
    start: Start,
    pool_options: PerDomain<PoolOptions>,
    /// The time until which the lease is certain.
    lease_until: Cell<BootTime>,
    containment: Containment,
    /// The environment of the workers.
    env: Vec<(OsString, OsString)>,
}

impl WorkerSpawner {
    pub(crate) fn new(
        options: &Options,
        registration: &Registration,
        own: &Identity,
        containment: Containment,
    ) -> WorkerSpawner {
        let (cgroup, memory) = containment.parts();
        let memory_cgroup = match &memory {
            rework_wire::worker::MemoryMethod::CgroupV1(folder) => Some(folder.clone()),
            _ => None,
        };
        WorkerSpawner {
            dsn: options.dsn.clone(),
            template: WorkerTemplate {
                monitor: registration.monitor,
                lease: registration.lease.id,
                host: options.host.clone(),
                boot_id: own.boot_id.clone(),
                pid_ns: own.pid_ns.clone(),
                cgroup: cgroup.clone(),
                memory_cgroup,
            },
            start: Start {
                dsn: options.dsn.text().to_owned(),
                worker: 0,
                lease: registration.lease.id,
                epoch: registration.lease.epoch,
                direct_servers: 0,
                terms: options.lease,
                lease_until: BootTime::ZERO,
                host: options.host.clone(),
                domain: String::new(),
                process_tag: String::new(),
                capabilities: options.capabilities.clone(),
                maxruns: 0,
                maxmem_bytes: 0,
                batch: options.batch,
                start_timeout_ms: options.start_timeout.as_millis() as u64,
                cgroup,
                memory_method: memory,
            },
            pool_options: options.pool_options.clone(),
            lease_until: Cell::new(BootTime::ZERO),
            containment,
            env: environment(std::env::vars_os(), options.dsn.text()),
        }
    }

    /// Sets the time until which the lease is certain. New workers receive it.
    pub(crate) fn set_lease_until(&self, until: BootTime) {
        self.lease_until.set(until);
    }

    /// Builds the first message to a worker.
    fn first_message(&self, created: CreatedWorker, domain: &str) -> ToWorker {
        let pool_options = self.pool_options.of(domain);
        ToWorker::Start(Box::new(Start {
            worker: created.id,
            direct_servers: self.dsn.direct_servers(),
            lease_until: self.lease_until.get(),
            domain: domain.to_owned(),
            process_tag: created.process_tag.to_string(),
            maxruns: pool_options.maxruns,
            maxmem_bytes: pool_options.maxmem_bytes,
            ..self.start.clone()
        }))
    }

    /// Starts the process of a worker.
    fn launch_worker(
        &self,
        created: CreatedWorker,
        domain: &str,
    ) -> Result<StartedWorker, LaunchError> {
        let system = LaunchError::System;
        let (control, stdin) = FrameSocket::pair().map_err(system)?;
        let (started_runs, for_worker) = StartedRuns::new().map_err(system)?;
        let (reader, writer) = io::pipe().map_err(system)?;
        let output = pipe::Receiver::from_owned_fd(reader.into()).map_err(system)?;
        let stderr = OwnedFd::from(writer.try_clone().map_err(system)?);
        let child = launch(Launch {
            program: program(),
            args: vec!["worker".into(), domain.into()],
            env: self.env.clone(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            stdin,
            stdout: writer.into(),
            stderr,
            fds: vec![(for_worker, STARTED_RUNS_FD)],
        })?;
        let leftovers = Leftovers::of_own(created.process_tag, self.containment.clone());
        Ok(StartedWorker { worker: created.id, child, control, output, started_runs, leftovers })
    }
}

/// Starts workers of a domain, and sends the result of each start to the inbox.
pub(crate) async fn spawn(
    spawner: Rc<WorkerSpawner>,
    link: Link,
    domain: String,
    count: u32,
    inbox: Inbox,
) {
    let spawn_failed = |count, refusal| {
        inbox.send(Event::SpawnFailed { domain: domain.clone(), count, refusal });
    };
    let Some(db) = link.current() else { return spawn_failed(count, None) };
    let created = match worker::create(&db, &spawner.template, &domain, count).await {
        Ok(created) => created,
        Err(error) => {
            tracing::warn!("cannot start workers of domain {domain}: {error}");
            return spawn_failed(count, (!error.is_connection()).then(|| error.to_string()));
        }
    };
    let mut launched = Vec::new();
    for created in created {
        match spawner.launch_worker(created, &domain) {
            Ok(started) => launched.push((created, started)),
            Err(error) => {
                let reason = format!("cannot be started: {}", error_chain(&error));
                spawn_failed(1, Some(reason.clone()));
                spawn_local(record_spawn_failure(link.clone(), created.id, reason));
            }
        }
    }
    let processes: Vec<(i64, i32, i64)> =
        launched.iter().map(|(_, started)| process_columns(started)).collect();
    let record = async |db: &Db| worker::record_processes(db, &processes).await;
    let recorded = link.retry_until_done("record the processes of new workers", record).await;
    for (created, mut started) in launched {
        if !recorded.contains(&created.id) {
            // The row has ended meanwhile. The worker does not receive its first message, so it exits.
            spawn_failed(1, None);
            continue;
        }
        let message = spawner.first_message(created, &domain);
        send_message(created.id, &mut started.control, &message);
        let pid = started.child.pid();
        tracing::info!("worker {} of domain {domain} started, pid {pid}", created.id);
        let (handle, commands) = WorkerHandle::new(Some(pid));
        let domain = domain.clone();
        inbox.send(Message::Started { worker: created.id, domain, handle });
        spawn_local(worker_io::serve(started, commands, inbox.clone()));
    }
}

/// Records the end of a worker whose process could not be started.
async fn record_spawn_failure(link: Link, worker: i64, reason: String) {
    tracing::error!("worker {worker} {reason}");
    let record = async |db: &Db| worker::finish(db, worker, &reason).await;
    link.retry_until_done("record the end of a worker", record).await;
}

/// Returns the worker id, the pid, and the start of the process in clock ticks since boot.
fn process_columns(started: &StartedWorker) -> (i64, i32, i64) {
    let identity = started.child.identity();
    (started.worker, identity.pid, identity.start)
}

/// Returns the program of a worker, which is the program of this process.
///
/// A worker must have the version of its monitor. So the path of the program is used only if it still leads to the file
/// of this process; then `ps` shows that path. Otherwise `/proc/self/exe` is used.
fn program() -> OsString {
    const RUNNING: &str = "/proc/self/exe";
    let file = |path: &PathBuf| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let named = std::env::current_exe().ok();
    named
        .filter(|path| file(path).is_some() && file(path) == file(&RUNNING.into()))
        .map_or_else(|| RUNNING.into(), OsString::from)
}

/// Returns the environment of a worker: the one of this process, without the variables that contain the DSN and without
/// the socket of the service manager. Variables that only complete a DSN stay, such as `PGSSLMODE`: the worker
/// completes its DSN in the same manner.
fn environment(
    all: impl Iterator<Item = (OsString, OsString)>,
    dsn: &str,
) -> Vec<(OsString, OsString)> {
    let is_removed = |name: &OsString, value: &OsString| {
        ["REWORK_DSN", "REWORK_LISTEN_DSN", "DATABASE_URL", systemd::VARIABLE]
            .iter()
            .any(|known| name == known)
            || value == dsn
    };
    all.filter(|(name, value)| !is_removed(name, value)).collect()
}

/// Returns the messages of an error and of all its sources.
fn error_chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", error_chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_a_worker_does_not_contain_the_dsn() {
        let all = [
            ("PATH", "/bin"),
            ("REWORK_DSN", "postgres://me@db/x"),
            ("DATABASE_URL", "postgres://other"),
            ("MY_DB", "postgres://me:s3cret@db/jobs"),
            ("PGSSLMODE", "disable"),
        ];
        let all = all.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let left = environment(all.into_iter(), "postgres://me:s3cret@db/jobs");
        let names: Vec<_> = left.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["PATH", "PGSSLMODE"]);
    }
}
