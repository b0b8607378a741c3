//! The worker of rework: a process that claims tasks of one domain, gives each to a runner, enforces its limits,
//! captures its output, and records how it ended. `work.rs` has its main loop.
//!
//! Everything happens on the first thread of the process, because the kernel kills a runner when the thread that
//! started it ends. Writes to the database go through `recorder.rs` to a task of their own, so that a slow or
//! unavailable Postgres delays no time limit and no abort.

mod work; // the main loop: claim, run, wait, exit
mod inherited; // the descriptors from the monitor
mod context; // the values that all parts of a worker use
mod supervisor; // the monitor's messages, and the lease
mod lease_client; // the worker's own lease in the database
mod recovery_check; // whether the database still has the claims of the runs
mod local_queue; // runs that are claimed and wait for a runner
mod batch_size; // how many tasks one claim takes
mod claimed_run; // a run as it was claimed
mod exclusions; // operations of which nothing is claimed
mod run_task; // one task from its claim to its end
mod start_run; // a run is sent to a runner
mod not_started; // why a run ended before its code started
mod check; // runs the check of an operation
mod recheck; // runs a check again, without a task
mod availability; // which operations the host can run now
mod start_error; // why a run cannot start, and whose fault that is
mod start_failure; // what follows if a run cannot start
mod run_loop; // drives the runs of one runner
mod active_run; // an open run
mod runner_message; // messages of a runner about an open run
mod abort; // the request that a run should stop
mod ending; // what is recorded of a run that ended
mod run_result; // outcomes and reasons
mod operations; // operations that the worker has used
pub mod code; // the program or module of an operation
mod revision; // which version of a file runs
mod runner; // the process that executes operations
mod runner_launcher; // starts runners
mod warm_runners; // runners that wait for their next run
mod command; // programs that do not know rework
mod environment; // what runners see of the environment
mod input_variables; // inputs of commands as environment variables
mod started_runs; // shared memory: which runs have started
mod output_stream; // stdout or stderr of a runner
mod line_splitter; // bytes become log lines of runs
mod log_budget; // the limit on the log of one run
mod recorder; // sends records and claims to the writer
mod writer; // writes to the database
mod database_connection; // opened, closed and repaired as needed
mod resettable_timer; // a timer for many deadlines
pub mod inspect; // which operations a program contains

pub use work::{WorkerError, run};
