//! The worker of rework: it claims tasks of one domain, hands each to a runner, enforces its
//! limits, captures what it writes, and records how it ended.
//!
//! One thread, the process's first, does it all: the kernel kills a runner when the thread that
//! started it ends. What goes to the database goes through the `recorder`, in order, so that a
//! slow or absent Postgres delays no limit and no abort.

pub mod code;
pub mod inspect;

mod abort;
mod active_run;
mod alarm;
mod batch_size;
mod claimed_run;
mod command;
mod context;
mod database_away;
mod ending;
mod environment;
mod keeper;
mod life;
mod lines;
mod log_budget;
mod local_queue;
mod operations;
mod recorder;
mod revision;
mod run_loop;
mod run_task;
mod runner;
mod runner_launcher;
mod runner_message;
mod runners;
mod start_run;
mod started_page;
mod stream;
mod verdict;
mod work;
mod writer;

pub use work::{WorkerError, run};
