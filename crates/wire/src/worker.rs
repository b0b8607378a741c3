//! What a monitor and its worker say to each other on the worker's control socket (its fd 0),
//! in [frames](crate::frame).

use serde::{Deserialize, Serialize};

use crate::lease::{Moment, Terms};

/// The page that monitor, worker and runner share, as the worker inherits it.
pub const PAGE_FD: i32 = 3;

/// How many runs the page has room for: of so many that a worker holds it tells which have begun.
pub const PAGE_SLOTS: u32 = 4096;

/// What a run takes in the page: task and run, eight bytes each, little-endian.
pub const SLOT_BYTES: u64 = 16;

/// The variable that a runner and all that descends from it carry: `MARK.NUMBER`.
pub const MARK_VAR: &str = "REWORK_MARK";

/// What a monitor says to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToWorker {
    /// The first message: what the worker lives by.
    Start(Box<Start>),
    /// The lease is certain until this moment.
    Renewed {
        /// By the boot time of this machine.
        until: Moment,
    },
    /// A task may be ready: claim.
    Wake,
    /// End this run, if it is still the one in hand.
    Abort {
        /// The task.
        task: i64,
        /// Its run.
        run: i64,
        /// How the run is to be recorded, and why.
        cause: AbortCause,
        /// Why, in words.
        reason: String,
    },
    /// Leave when the task in hand has ended, and claim nothing more.
    Retire {
        /// Why, in words: it becomes the worker's own end.
        reason: String,
    },
}

/// Who wants a run to end, which decides what becomes of its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortCause {
    /// Somebody asked: the task ends `aborted`.
    Asked,
    /// The monitor's grace is over: as asked, or queued again with `retry_lost`.
    Drained,
}

/// What a worker lives by.
#[derive(Clone, Serialize, Deserialize)]
pub struct Start {
    /// The database, as `--db` takes it. Only here does it reach the worker.
    pub dsn: String,
    /// The worker's own row.
    pub worker: i64,
    /// The lease that its monitor renews.
    pub lease: i64,
    /// The lease's epoch: no longer this one, no longer ours.
    pub epoch: i64,
    /// How long that is.
    pub terms: Terms,
    /// Until when it is certain.
    pub until: Moment,
    /// The way to the database leads through nothing that could refuse in its place.
    pub direct: bool,
    /// The host's name.
    pub host: String,
    /// The one domain that it serves.
    pub domain: String,
    /// The mark of the trees of its runners: the start of their cgroups' names, and of the value
    /// of [`MARK_VAR`] in their environment.
    pub mark: String,
    /// What this host offers.
    pub capabilities: Vec<String>,
    /// A runner is renewed after so many runs; 0: never.
    pub maxruns: u32,
    /// A runner whose tree is past so many bytes is renewed after the run; 0: never.
    pub maxmem_bytes: u64,
    /// Most tasks of one claim.
    pub batch: u32,
    /// From the start of a runner to its `hello`.
    pub start_timeout_ms: u64,
    /// Where the cgroups of runners are made; none: their trees are swept.
    pub cgroup: Option<String>,
    /// How the memory limits of runs are kept.
    pub memory: MemoryRung,
}

impl std::fmt::Debug for Start {
    /// Without the DSN: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start")
            .field("worker", &self.worker)
            .field("lease", &self.lease)
            .field("host", &self.host)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// The ladder of memory limits, best first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryRung {
    /// `memory.max` of the runner's own cgroup v2.
    CgroupV2,
    /// A cgroup of the v1 `memory` hierarchy under this folder.
    CgroupV1(String),
    /// The tree's memory, looked at several times a second.
    Sampled,
}

impl MemoryRung {
    /// The rung's name, as `list-monitors` shows it.
    pub fn name(&self) -> &'static str {
        match self {
            MemoryRung::CgroupV2 => "cgroup2",
            MemoryRung::CgroupV1(_) => "cgroup1",
            MemoryRung::Sampled => "sampled",
        }
    }
}

/// What a worker says to its monitor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromWorker {
    /// It is up and about to claim.
    Up,
    /// It looked and found nothing: wake it.
    Idle,
    /// It claimed something since it last said `Idle`. What it holds, the database knows; what of
    /// that has begun, the page.
    Busy,
    /// It lives by a lease of its own from now on, and leaves when its task has ended.
    Alone,
    /// It leaves of its own accord; its rows are written.
    Leaving {
        /// Why, in words.
        reason: String,
    },
}
