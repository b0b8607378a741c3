//! The history of a chaos test: everything that the judge compares. All times are those of `clock.rs`.

use rework_core::task::state::State;

use super::lines::Line;
use super::plan::Fault;

/// The reason with which the test aborts tasks. It completes the phrase `aborted …`.
pub(crate) const ABORT_REASON: &str = "by the chaos test";

/// The events of a test, and the state at its end.
#[derive(Debug, Default, Clone)]
pub(crate) struct History {
    /// The ids that `rework.schedule` has returned.
    pub(crate) acknowledged: Vec<i64>,
    /// The lines that the runs have written, outside Postgres.
    pub(crate) lines: Vec<Line>,
    /// The tasks as Postgres has recorded them.
    pub(crate) tasks: Vec<RecordedTask>,
    /// Every change of the state of a task, in the order in which Postgres has recorded them.
    pub(crate) transitions: Vec<Transition>,
    /// The runs that are recorded as not started, each by its task and its number.
    pub(crate) not_started: Vec<(i64, i64)>,
    /// The faults, in the order of their starts.
    pub(crate) faults: Vec<AppliedFault>,
    /// The names of the hosts. A fault has the position of its host in this list.
    pub(crate) hosts: Vec<String>,
    /// How many microseconds a time of Postgres may differ from one that a run has written at the same moment.
    pub(crate) clock_error: u64,
    /// How often a monitor was started.
    pub(crate) monitor_starts: usize,
    /// The monitors that exited although nothing had ended them, one description each.
    pub(crate) monitor_exits: Vec<String>,
    /// How many workers Postgres has recorded.
    pub(crate) workers: usize,
    /// How many of these workers were recorded as lost with their host.
    pub(crate) lost_workers: usize,
    /// Processes, files, cgroups and rows that were left when all monitors had ended, one description each. Those of
    /// workers that were lost with their host are not among them: only a monitor that starts later removes them.
    pub(crate) leftovers: Vec<String>,
}

/// A task as Postgres has recorded it.
#[derive(Debug, Clone)]
pub(crate) struct RecordedTask {
    pub(crate) id: i64,
    pub(crate) state: State,
    /// Why it ended. Empty if nothing is recorded.
    pub(crate) reason: String,
    /// The number of its latest run.
    pub(crate) run: i64,
    /// The host of its latest run.
    pub(crate) host: Option<String>,
    /// The pid of the worker of its latest run.
    pub(crate) worker_pid: Option<i32>,
    /// Whether its operation declares that it may run more than once.
    pub(crate) may_repeat: bool,
    /// The number in its input, which is different for each request.
    pub(crate) number: i64,
    /// The output, which must be the number.
    pub(crate) output: Option<String>,
}

/// A change of the state of a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transition {
    pub(crate) task: i64,
    /// The number of the latest run at that time.
    pub(crate) run: i64,
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) at: u64,
}

/// A fault that has happened.
#[derive(Debug, Clone)]
pub(crate) struct AppliedFault {
    pub(crate) fault: Fault,
    /// The position of its host. It has no meaning for a fault of Postgres.
    pub(crate) host: usize,
    /// A time shortly before its start.
    pub(crate) at: u64,
    /// The processes that were killed or stopped.
    pub(crate) pids: Vec<i32>,
    /// The tasks whose abort was requested.
    pub(crate) tasks: Vec<i64>,
}
