//! Starting workers: first a row, then a process, then the pid in the row, and only then the message
//! with what the worker needs to begin. A worker that never receives this message ends by itself, so
//! that no worker claims whose process is not recorded, whatever breaks in between.

use std::{
    cell::Cell,
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::PathBuf,
    rc::Rc,
};

use rework_core::fleet::worker::{self, Created, Kin};
use rework_process::{Containment, Identity, Launch, LaunchError, launch};
use rework_wire::{
    connection::Frames,
    lease::Moment,
    worker::{Start, ToWorker},
};
use tokio::{net::unix::pipe, task::spawn_local};

use crate::{
    event::Event,
    inbox::{Inbox, Message},
    leftovers::Leftovers,
    link::Link,
    options::{Keep, Options},
    page::Page,
    per_domain::PerDomain,
    registration::Registration,
    systemd,
    worker_handle::WorkerHandle,
    worker_io::{self, StartedWorker, tell},
};

/// The descriptor of the page in a worker.
const PAGE: i32 = rework_wire::worker::PAGE_FD;

/// Starts workers: everything that they have in common.
#[derive(Debug)]
pub(crate) struct Nursery {
    kin: Kin,
    /// The first message to a worker, without its id, domain and mark.
    start: Start,
    keep: PerDomain<Keep>,
    /// Until when the lease is certain.
    until: Cell<Moment>,
    containment: Containment,
    env: Vec<(OsString, OsString)>,
}

impl Nursery {
    pub(crate) fn new(
        options: &Options,
        registration: &Registration,
        own: &Identity,
        containment: Containment,
    ) -> Nursery {
        let (cgroup, memory) = containment.parts();
        let memory_cgroup = match &memory {
            rework_wire::worker::MemoryRung::CgroupV1(folder) => Some(folder.clone()),
            _ => None,
        };
        Nursery {
            kin: Kin {
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
                direct: false,
                terms: options.lease,
                until: Moment::ZERO,
                host: options.host.clone(),
                domain: String::new(),
                mark: String::new(),
                capabilities: options.capabilities.clone(),
                maxruns: 0,
                maxmem_bytes: 0,
                batch: options.batch,
                start_timeout_ms: options.start_timeout.as_millis() as u64,
                cgroup,
                memory,
            },
            keep: options.keep.clone(),
            until: Cell::new(Moment::ZERO),
            containment,
            env: environment(std::env::vars_os(), options.dsn.text()),
        }
    }

    /// Notes until when the lease is certain.
    pub(crate) fn lease_until(&self, until: Moment) {
        self.until.set(until);
    }

    fn start(&self, created: Created, domain: &str, direct: bool) -> ToWorker {
        let keep = self.keep.of(domain);
        ToWorker::Start(Box::new(Start {
            worker: created.id,
            direct,
            until: self.until.get(),
            domain: domain.to_owned(),
            mark: created.mark.to_string(),
            maxruns: keep.maxruns,
            maxmem_bytes: keep.maxmem_bytes,
            ..self.start.clone()
        }))
    }

    fn bear(&self, created: Created, domain: &str) -> Result<StartedWorker, LaunchError> {
        let system = LaunchError::System;
        let (control, stdin) = Frames::pair().map_err(system)?;
        let (page, theirs) = Page::new().map_err(system)?;
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
            fds: vec![(theirs, PAGE)],
        })?;
        let leftovers = Leftovers::of_ours(created.mark, self.containment.clone());
        Ok(StartedWorker { worker: created.id, child, control, output, page, leftovers })
    }
}

/// Starts workers of a domain, and reports to the inbox what came of it.
pub(crate) async fn spawn(
    nursery: Rc<Nursery>,
    link: Link,
    domain: String,
    count: u32,
    inbox: Inbox,
) {
    let unborn = |count, refused| {
        inbox.send(Event::Unborn { domain: domain.clone(), count, refused });
    };
    let Some(db) = link.now() else { return unborn(count, false) };
    let created = match worker::create(&db, &nursery.kin, &domain, count).await {
        Ok(created) => created,
        Err(error) => {
            tracing::warn!("workers of domain {domain} cannot be started: {error}");
            return unborn(count, !error.is_connection());
        }
    };
    let mut launched = Vec::new();
    for one in created {
        match nursery.bear(one, &domain) {
            Ok(started) => launched.push((one, started)),
            Err(error) => {
                unborn(1, true);
                spawn_local(record_unborn(link.clone(), one.id, error));
            }
        }
    }
    let places: Vec<(i64, i32, i64)> = launched.iter().map(|(_, started)| place(started)).collect();
    let noted =
        link.persist("record new workers", async |db| worker::place(db, &places).await).await;
    for (created, mut started) in launched {
        if !noted.contains(&created.id) {
            // It never hears what it needs to begin, and ends.
            unborn(1, false);
            continue;
        }
        tell(created.id, &mut started.control, &nursery.start(created, &domain, link.is_direct()));
        let pid = started.child.pid();
        tracing::info!("worker {} of domain {domain} started, pid {pid}", created.id);
        let (handle, commands) = WorkerHandle::new(Some(pid));
        let domain = domain.clone();
        inbox.send(Message::Born { worker: created.id, domain, handle });
        spawn_local(worker_io::serve(started, commands, inbox.clone()));
    }
}

async fn record_unborn(link: Link, worker: i64, error: LaunchError) {
    let reason = format!("cannot be started: {}", chain(&error));
    tracing::error!("worker {worker} {reason}");
    link.persist("record it", async |db| worker::leave(db, worker, &reason).await).await;
}

fn place(started: &StartedWorker) -> (i64, i32, i64) {
    let identity = started.child.identity();
    (started.worker, identity.pid, identity.start)
}

/// The program of a worker, which is this one: by its name, which `ps` shows, if the name still leads to
/// this very file; else by `/proc/self/exe`, since a worker must have the version of its monitor.
fn program() -> OsString {
    const RUNNING: &str = "/proc/self/exe";
    let file = |path: &PathBuf| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    let named = std::env::current_exe().ok();
    named
        .filter(|path| file(path).is_some() && file(path) == file(&RUNNING.into()))
        .map_or_else(|| RUNNING.into(), OsString::from)
}

/// The environment of a worker: ours without the variables that name the database or reach our service
/// manager. Variables that only complete a DSN stay, since the worker completes it in the same way.
fn environment(
    all: impl Iterator<Item = (OsString, OsString)>,
    dsn: &str,
) -> Vec<(OsString, OsString)> {
    let names_it = |name: &OsString, value: &OsString| {
        ["REWORK_DSN", "REWORK_LISTEN_DSN", "DATABASE_URL", systemd::VARIABLE]
            .iter()
            .any(|known| name == known)
            || value == dsn
    };
    all.filter(|(name, value)| !names_it(name, value)).collect()
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variable_of_a_worker_names_the_database() {
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
