//! Workers: the rows that their monitor makes before it starts them, and what it does with those
//! that have died.

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
    },
    fleet::monitor::Process,
    lease::{
        self,
        row::{Lease, Seen},
    },
    task::fence::Fence,
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
    Ok(rows.iter().map(|row| Created { id: row.get(0), mark: row.get(1) }).collect())
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
    Ok(rows.iter().map(|row| row.get(0)).collect())
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
    let read = |row: &tokio_postgres::Row| {
        let place: (String, String) = (row.get(2), row.get(3));
        let process = row.get::<_, Option<i32>>(4).map(|pid| Process {
            boot_id: place.0.clone(),
            pid_ns: place.1.clone(),
            pid,
            pid_start: row.get::<_, Option<i64>>(5).unwrap_or_default(),
        });
        Left {
            id: row.get(0),
            domain: row.get(1),
            process,
            place,
            mark: row.get(6),
            cgroup: row.get(7),
            memory_cgroup: row.get(8),
            seen: Seen {
                lease: Lease { id: row.get(9), epoch: row.get(10) },
                renewals: row.get(11),
            },
            alone: row.get(12),
        }
    };
    Ok(rows.iter().map(read).collect())
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
    let read = |row: &tokio_postgres::Row| OpenRun {
        fence: Fence { task: row.get(0), run: row.get(1), token: row.get(2) },
        asked: (row.get::<_, &str>(3) == "aborting").then(|| row.get(4)).flatten(),
        revision: row.get(5),
    };
    Ok(rows.iter().map(read).collect())
}

/// A worker's own last word: it leaves, and why.
pub async fn leave(db: &Db, worker: i64, reason: &str) -> Result<()> {
    let params: [Param<'_>; 2] = [(&worker, Type::INT8), (&reason, Type::TEXT)];
    match db.query_opt(include_str!("sql/leave.sql"), &params).await? {
        Some(row) => lease::row::close(db, row.get(0)).await,
        None => Ok(()),
    }
}
