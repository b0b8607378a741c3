//! Workers: the rows that their monitor makes before it starts them, and what it does with those
//! that have died.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    fleet::monitor::Process,
    lease::{
        self,
        row::{Lease, Seen},
    },
    task::{fence::Fence, state::State},
};

/// What the rows of new workers have in common.
#[derive(Debug, Clone)]
pub struct Kin {
    pub monitor: i64,
    pub lease: i64,
    pub host: String,
    /// The boot of that host.
    pub boot_id: String,
    /// The pid namespace in which they will live.
    pub pid_ns: String,
    /// Where the cgroups of their runners are made.
    pub cgroup: Option<String>,
    /// And those of the v1 memory hierarchy.
    pub memory_cgroup: Option<String>,
}

/// A row that waits for its process.
#[derive(Debug, Clone, Copy)]
pub struct Created {
    /// The worker.
    pub id: i64,
    /// Names the process trees of its runners.
    pub mark: Uuid,
}

/// Makes rows for workers of a domain.
pub async fn create(db: &Db, kin: &Kin, domain: &str, count: u32) -> Result<Vec<Created>> {
    let count = i64::from(count);
    let params: [Param<'_>; 9] = [
        (&kin.monitor, Type::INT8),
        (&kin.lease, Type::INT8),
        (&kin.host, Type::TEXT),
        (&domain, Type::TEXT),
        (&kin.boot_id, Type::TEXT),
        (&kin.pid_ns, Type::TEXT),
        (&kin.cgroup, Type::TEXT),
        (&kin.memory_cgroup, Type::TEXT),
        (&count, Type::INT8),
    ];
    let rows = db.query(include_str!("sql/create_workers.sql"), &params).await?;
    let created = |row| {
        let row = Columns::of("worker", "id", row);
        Ok(Created { id: row.get("id")?, mark: row.get("mark")? })
    };
    rows.iter().map(created).collect()
}

/// Notes the processes of workers: (worker, pid, start). Gives the workers that it was noted of: a
/// row that waited too long for this has ended.
pub async fn place(db: &Db, born: &[(i64, i32, i64)]) -> Result<Vec<i64>> {
    let workers: Vec<i64> = born.iter().map(|(worker, ..)| *worker).collect();
    let pids: Vec<i32> = born.iter().map(|(_, pid, _)| *pid).collect();
    let starts: Vec<i64> = born.iter().map(|(.., start)| *start).collect();
    let params: [Param<'_>; 3] =
        [(&workers, Type::INT8_ARRAY), (&pids, Type::INT4_ARRAY), (&starts, Type::INT8_ARRAY)];
    let rows = db.query(include_str!("sql/place_workers.sql"), &params).await?;
    rows.iter().map(|row| Columns::new(row).get("id")).collect()
}

/// Notes that a worker is about to claim.
pub async fn up(db: &Db, worker: i64) -> Result<()> {
    db.query(include_str!("sql/worker_up.sql"), &[(&worker, Type::INT8)]).await.map(drop)
}

/// A worker whose monitor has ended, and which has not, as far as its row says.
#[derive(Debug, Clone)]
pub struct Left {
    /// The worker.
    pub id: i64,
    pub domain: String,
    /// Its process; none: it was never started.
    pub process: Option<Process>,
    /// The boot of its host and its pid namespace, also where it was never started.
    pub place: (String, String),
    /// Names the process trees of its runners.
    pub mark: Uuid,
    /// Where the cgroups of its runners are made.
    pub cgroup: Option<String>,
    /// And those of the v1 memory hierarchy.
    pub memory_cgroup: Option<String>,
    /// What it lives by.
    pub seen: Seen,
    /// That is a lease of its own.
    pub alone: bool,
}

/// The workers that earlier monitors have left behind on a host.
pub async fn left(db: &Db, host: &str) -> Result<Vec<Left>> {
    let rows = db.query(include_str!("sql/left_workers.sql"), &[(&host, Type::TEXT)]).await?;
    rows.iter().map(|row| read_left(Columns::of("worker", "id", row))).collect()
}

fn read_left(row: Columns<'_>) -> Result<Left> {
    let place: (String, String) = (row.get("boot_id")?, row.get("pid_ns")?);
    let process = match row.get("pid")? {
        Some(pid) => Some(Process {
            boot_id: place.0.clone(),
            pid_ns: place.1.clone(),
            pid,
            pid_start: row.get::<Option<i64>>("pid_start")?.unwrap_or_default(),
        }),
        None => None,
    };
    let lease = Lease { id: row.get("lease")?, epoch: row.get("epoch")? };
    Ok(Left {
        id: row.get("id")?,
        domain: row.get("domain")?,
        process,
        place,
        mark: row.get("mark")?,
        cgroup: row.get("cgroup")?,
        memory_cgroup: row.get("memory_cgroup")?,
        seen: Seen { lease, renewals: row.get("renewals")? },
        alone: row.get("alone")?,
    })
}

/// A run that a worker has claimed and nobody has ended.
#[derive(Debug, Clone)]
pub struct OpenRun {
    pub fence: Fence,
    /// Somebody asked for its end: why.
    pub asked: Option<String>,
    /// The revision of the code, where it is known to have begun.
    pub revision: Option<String>,
}

pub async fn open_runs(db: &Db, worker: i64) -> Result<Vec<OpenRun>> {
    let rows = db.query(include_str!("sql/open_runs.sql"), &[(&worker, Type::INT8)]).await?;
    rows.iter().map(|row| read_open(Columns::of("task", "id", row))).collect()
}

fn read_open(row: Columns<'_>) -> Result<OpenRun> {
    let aborting = row.word::<State>("state")? == State::Aborting;
    Ok(OpenRun {
        fence: Fence { task: row.get("id")?, run: row.get("run")?, token: row.get("token")? },
        asked: if aborting { row.get("reason")? } else { None },
        revision: row.get("revision")?,
    })
}

/// A worker's own last word: it leaves, and why.
pub async fn leave(db: &Db, worker: i64, reason: &str) -> Result<()> {
    let params: [Param<'_>; 2] = [(&worker, Type::INT8), (&reason, Type::TEXT)];
    match db.query_opt(include_str!("sql/leave.sql"), &params).await? {
        Some(row) => lease::row::close(db, Columns::new(&row).get("lease")?).await,
        None => Ok(()),
    }
}
