//! The messages between a monitor and its workers. They are sent in [frames](crate::frame) over the worker's control
//! socket, its descriptor 0.

use serde::{Deserialize, Serialize};

use crate::lease::{BootTime, LeaseTerms};

/// The descriptor, in a worker, of the shared memory of started runs. Monitor, worker and runner share this memory.
pub const STARTED_RUNS_FD: i32 = 3;

/// The number of slots in the memory of started runs: the places that record which runs have
/// started, one for each run. A worker never holds more runs.
pub const STARTED_RUNS_SLOTS: u32 = 4096;

/// The size of a slot in bytes: task id and run number, eight bytes each, little-endian.
pub const SLOT_BYTES: u64 = 16;

/// The environment variable of a runner and all processes that descend from it. Its value is `TAG.NUMBER`: the worker's
/// process tag and the number of the runner.
pub const PROCESS_TAG_VAR: &str = "REWORK_PROCESS_TAG";

/// A message from a monitor to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToWorker {
    /// The first message, with the settings of the worker.
    Start(Box<Start>),
    /// The lease was renewed.
    Renewed {
        /// The time until which the lease is certain.
        until: BootTime,
    },
    /// A task may be ready: claim.
    Wake,
    /// Stop a run, if the worker still has it.
    Abort {
        task: i64,
        run: i64,
        /// The cause, which decides how the run is recorded.
        cause: AbortCause,
        /// The reason, as a text for people.
        reason: String,
    },
    /// Claim no more tasks, and exit when the open runs have ended.
    Retire {
        /// The reason, as a text for people. It is recorded as the reason of the worker's exit.
        reason: String,
    },
    /// Claim no tasks of some operations. The lists replace earlier ones.
    ExcludeOperations {
        /// The ids of the operations that this host cannot start now.
        blocked: Vec<i64>,
        /// The ids of operations that were blocked and are tried again. The worker reports if it can start one of them.
        on_trial: Vec<i64>,
        /// The operations that users have paused. Claimed runs of them that have not started go back to the queue.
        paused: Paused,
        /// How often `paused` has changed. The worker repeats it in [`FromWorker::PausesConfirmed`].
        number: u64,
    },
    /// Run the check of an operation again, without a claim: this worker has reported that it is not available, and
    /// tasks wait.
    CheckOperation {
        /// The id of the operation.
        operation: i64,
    },
    /// Close the connection to the database if it is not needed now. Others cannot connect, because the server has as
    /// many connections as it may have.
    CloseConnection,
    /// Compare the runs with the database, and reply with [`FromWorker::RunsChecked`].
    CheckRuns {
        /// The id of the recovery of the server after which this is necessary.
        recovery: i64,
    },
}

/// The operations that users have paused in the domain of a worker, on its host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Whether every operation is paused.
    pub everything: bool,
    /// The ids of the operations that are paused.
    pub operations: Vec<i64>,
}

impl Paused {
    /// Returns whether nothing is paused.
    pub fn is_empty(&self) -> bool {
        !self.everything && self.operations.is_empty()
    }

    /// Returns whether an operation is paused.
    pub fn contains(&self, operation: i64) -> bool {
        self.everything || self.operations.contains(&operation)
    }
}

/// The cause of an abort, which decides what happens to the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortCause {
    /// The abort of the task was requested: it ends as `aborted`.
    Requested,
    /// The monitor drains and its grace period has ended: the task ends as `aborted`, or is queued again with
    /// `retry_lost`.
    Drained,
}

/// The settings of a worker.
#[derive(Clone, Serialize, Deserialize)]
pub struct Start {
    /// The database, as `--db` accepts it. The worker receives it only here, not in arguments or environment, where
    /// other processes could read it.
    pub dsn: String,
    /// The id of the worker's row.
    pub worker: i64,
    /// The id of the lease that the worker's monitor renews.
    pub lease: i64,
    /// The epoch of the lease, a number that changes when the lease is taken away.
    pub epoch: i64,
    /// The length of the lease.
    pub terms: LeaseTerms,
    /// The time until which the lease is certain.
    pub lease_until: BootTime,
    /// The servers of the DSN to which connections are direct, so that a refused connection comes from the server
    /// itself and not from a pooler or a proxy: a set of bits, by the index of the server in the DSN.
    pub direct_servers: u64,
    /// The name of the host.
    pub host: String,
    /// The domain whose tasks the worker runs.
    pub domain: String,
    /// The tag of all processes of the worker's runners. It is part of the names of their cgroups,
    /// and of the value of [`PROCESS_TAG_VAR`] in their environment.
    pub process_tag: String,
    /// The capabilities that this host offers.
    pub capabilities: Vec<String>,
    /// A runner is replaced after this many runs; 0 for never.
    pub maxruns: u32,
    /// A runner is replaced after a run if its process tree uses more bytes than this; 0 for never.
    pub maxmem_bytes: u64,
    /// The most tasks of one claim.
    pub batch: u32,
    /// The longest time from the start of a runner to its `hello`, in milliseconds.
    pub start_timeout_ms: u64,
    /// The folder for the cgroups of runners; `None` to find their processes without cgroups.
    pub cgroup: Option<String>,
    /// The method that limits the memory of runs.
    pub memory_method: MemoryMethod,
}

impl std::fmt::Debug for Start {
    /// Leaves out the DSN, which may contain a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start")
            .field("worker", &self.worker)
            .field("lease", &self.lease)
            .field("host", &self.host)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// The methods to limit the memory of runs, best first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryMethod {
    /// `memory.max` in the runner's own cgroup (v2).
    CgroupV2,
    /// A cgroup of the v1 `memory` hierarchy below this folder.
    CgroupV1(String),
    /// The worker measures the memory of the process tree several times a second.
    Sampled,
}

impl MemoryMethod {
    /// Returns the name of the method, as `list-monitors` shows it.
    pub fn name(&self) -> &'static str {
        match self {
            MemoryMethod::CgroupV2 => "cgroup2",
            MemoryMethod::CgroupV1(_) => "cgroup1",
            MemoryMethod::Sampled => "sampled",
        }
    }
}

/// A message from a worker to its monitor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromWorker {
    /// The worker has started and is about to claim.
    Started,
    /// The worker found no ready task and wants to be woken.
    Idle,
    /// The worker has claimed a task since it last sent `Idle`. The message does not name the task:
    /// the database knows the claims, and the memory of started runs shows which have started.
    Busy,
    /// The worker could not start a run, through no fault of the operation. The task is queued again.
    StartFailed {
        /// The id of the operation.
        operation: i64,
        /// The name of the operation, as a text for people.
        name: String,
        /// Whether the host could not have started any other operation either. The worker then exits, because a new one
        /// may succeed. If `false`, the worker claims no more tasks of this operation.
        of_host: bool,
        /// The reason, as a text for people.
        reason: String,
    },
    /// The check of an operation has answered that this host cannot run it now. The worker claims no more tasks of it.
    OperationUnavailable {
        /// The id of the operation.
        operation: i64,
        /// The name of the operation, as a text for people.
        name: String,
        /// The reason, as a text for people.
        reason: String,
    },
    /// The worker has carried out [`ToWorker::CheckOperation`], and found no reason against a claim.
    OperationAvailable {
        /// The id of the operation.
        operation: i64,
    },
    /// The worker has started a run. It reports its first one, and the first one of each operation on trial.
    StartSucceeded {
        /// The id of the operation.
        operation: i64,
    },
    /// The worker has carried out a change of the pauses: it starts no run of what is paused, and has no such run that
    /// could still start.
    PausesConfirmed {
        /// The number in [`ToWorker::ExcludeOperations`].
        number: u64,
    },
    /// A statement of the worker has missed its deadline several times in a row.
    Overdue {
        /// The purpose of the statement, as a text for people, such as `a claim`.
        statement: String,
    },
    /// The worker has a lease of its own now. It exits when its run has ended.
    OwnLease,
    /// The worker cannot connect to the database, because the server has as many connections as it may have.
    NoConnection,
    /// The worker has compared its runs with the database.
    RunsChecked {
        /// The id of the recovery of the server, as in [`ToWorker::CheckRuns`].
        recovery: i64,
        /// Whether the database has all claims and ends that the worker knows to be committed. If not, the worker kills
        /// its runs and exits.
        is_complete: bool,
    },
    /// The worker exits by itself. Everything about its runs is recorded.
    Leaving {
        /// The reason, as a text for people.
        reason: String,
    },
}
