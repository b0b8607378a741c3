//! The rows of workers: a monitor creates them before it starts the processes, and uses them to clean up after workers
//! that have died.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    fleet::monitor::ProcessRecord,
    lease::{
        self,
        row::{Lease, LeaseSnapshot},
    },
    task::{fence::Fence, state::State},
};

/// The columns that all new workers of a monitor have in common.
#[derive(Debug, Clone)]
pub struct WorkerTemplate {
    pub monitor: i64,
    /// The lease of the monitor.
    pub lease: i64,
    pub host: String,
    /// The random name of the current boot of the host.
    pub boot_id: String,
    /// The pid namespace of the workers.
    pub pid_ns: String,
    /// The directory in which the cgroups of the workers' runners are created. `None` without
    /// cgroups.
    pub cgroup: Option<String>,
    /// The directory in the `memory` hierarchy of cgroup v1 in which further cgroups of the
    /// workers' runners are created. `None` if that hierarchy is not used.
    pub memory_cgroup: Option<String>,
}

/// A row of a worker whose process is not started yet.
#[derive(Debug, Clone, Copy)]
pub struct CreatedWorker {
    pub id: i64,
    /// The tag that all processes of the worker's runners carry in their environment.
    pub process_tag: Uuid,
}

/// Creates the rows of `count` workers of a domain.
pub async fn create(
    db: &Db,
    template: &WorkerTemplate,
    domain: &str,
    count: u32,
) -> Result<Vec<CreatedWorker>> {
    let count = i64::from(count);
    let params: [Param<'_>; 9] = [
        (&template.monitor, Type::INT8),
        (&template.lease, Type::INT8),
        (&template.host, Type::TEXT),
        (&domain, Type::TEXT),
        (&template.boot_id, Type::TEXT),
        (&template.pid_ns, Type::TEXT),
        (&template.cgroup, Type::TEXT),
        (&template.memory_cgroup, Type::TEXT),
        (&count, Type::INT8),
    ];
    let rows = db.query(include_str!("sql/create_workers.sql"), &params).await?;
    let created = |row| {
        let row = Columns::of("worker", "id", row);
        Ok(CreatedWorker { id: row.get("id")?, process_tag: row.get("process_tag")? })
    };
    rows.iter().map(created).collect()
}

/// Records the processes that were started for workers: the id of the worker, the pid, and the start of the process in
/// clock ticks since the boot. Returns the workers that were found. A row that had no process for too long has ended
/// meanwhile, and its worker is left out.
pub async fn record_processes(db: &Db, processes: &[(i64, i32, i64)]) -> Result<Vec<i64>> {
    let workers: Vec<i64> = processes.iter().map(|(worker, ..)| *worker).collect();
    let pids: Vec<i32> = processes.iter().map(|(_, pid, _)| *pid).collect();
    let starts: Vec<i64> = processes.iter().map(|(.., start)| *start).collect();
    let params: [Param<'_>; 3] =
        [(&workers, Type::INT8_ARRAY), (&pids, Type::INT4_ARRAY), (&starts, Type::INT8_ARRAY)];
    let rows = db.query(include_str!("sql/record_processes.sql"), &params).await?;
    rows.iter().map(|row| Columns::new(row).get("id")).collect()
}

/// Records that a worker is ready to claim.
pub async fn record_ready(db: &Db, worker: i64) -> Result<()> {
    db.query(include_str!("sql/worker_ready.sql"), &[(&worker, Type::INT8)]).await.map(drop)
}

/// A worker that an earlier monitor left behind: the monitor has ended, and the end of the worker is not recorded. Its
/// process may be dead.
#[derive(Debug, Clone)]
pub struct AbandonedWorker {
    pub id: i64,
    pub domain: String,
    /// The process. `None` if it was not started.
    pub process: Option<ProcessRecord>,
    /// The boot of the worker's host and the worker's pid namespace. Both are known even if the
    /// process was not started.
    pub boot_and_pid_ns: (String, String),
    /// The tag that all processes of the worker's runners carry in their environment.
    pub process_tag: Uuid,
    /// The directory in which the cgroups of the worker's runners are created. `None` without
    /// cgroups.
    pub cgroup: Option<String>,
    /// The directory in the `memory` hierarchy of cgroup v1 in which further cgroups of the
    /// worker's runners are created. `None` if that hierarchy is not used.
    pub memory_cgroup: Option<String>,
    /// The lease that the worker depends on.
    pub lease: LeaseSnapshot,
    /// Whether `lease` is the worker's own, not that of its monitor.
    pub has_own_lease: bool,
}

/// Returns the workers that earlier monitors of a host left behind.
pub async fn abandoned(db: &Db, host: &str) -> Result<Vec<AbandonedWorker>> {
    let sql = include_str!("sql/abandoned_workers.sql");
    let rows = db.query(sql, &[(&host, Type::TEXT)]).await?;
    rows.iter().map(|row| abandoned_worker(Columns::of("worker", "id", row))).collect()
}

fn abandoned_worker(row: Columns<'_>) -> Result<AbandonedWorker> {
    let boot_and_pid_ns: (String, String) = (row.get("boot_id")?, row.get("pid_ns")?);
    let process = match row.get("pid")? {
        Some(pid) => Some(ProcessRecord {
            boot_id: boot_and_pid_ns.0.clone(),
            pid_ns: boot_and_pid_ns.1.clone(),
            pid,
            pid_start: row.get::<Option<i64>>("pid_start")?.unwrap_or_default(),
        }),
        None => None,
    };
    let lease = Lease { id: row.get("lease")?, epoch: row.get("epoch")? };
    Ok(AbandonedWorker {
        id: row.get("id")?,
        domain: row.get("domain")?,
        process,
        boot_and_pid_ns,
        process_tag: row.get("process_tag")?,
        cgroup: row.get("cgroup")?,
        memory_cgroup: row.get("memory_cgroup")?,
        lease: LeaseSnapshot { lease, renewals: row.get("renewals")? },
        has_own_lease: row.get("has_own_lease")?,
    })
}

/// A run that was claimed and whose end is not recorded.
#[derive(Debug, Clone)]
pub struct OpenRun {
    pub fence: Fence,
    /// Why the abort of the run was requested. `None` if it was not requested.
    pub abort_reason: Option<String>,
    /// The revision of the code. `None` if no start of the code was recorded.
    pub revision: Option<String>,
}

/// Returns the runs that a worker has claimed and whose ends are not recorded.
pub async fn open_runs(db: &Db, worker: i64) -> Result<Vec<OpenRun>> {
    let rows = db.query(include_str!("sql/open_runs.sql"), &[(&worker, Type::INT8)]).await?;
    rows.iter().map(|row| open_run(Columns::of("task", "id", row))).collect()
}

fn open_run(row: Columns<'_>) -> Result<OpenRun> {
    let is_aborting = row.parsed::<State>("state")? == State::Aborting;
    Ok(OpenRun {
        fence: Fence { task: row.get("id")?, run: row.get("run")?, token: row.get("token")? },
        abort_reason: if is_aborting { row.get("reason")? } else { None },
        revision: row.get("revision")?,
    })
}

/// Records the end of a worker, and closes its lease if no other process depends on it.
pub async fn finish(db: &Db, worker: i64, reason: &str) -> Result<()> {
    let params: [Param<'_>; 2] = [(&worker, Type::INT8), (&reason, Type::TEXT)];
    match db.query_opt(include_str!("sql/finish_worker.sql"), &params).await? {
        Some(row) => lease::row::close(db, Columns::new(&row).get("lease")?).await,
        None => Ok(()),
    }
}
