//! The worker of rework: it claims tasks of one domain, hands each to a runner, enforces its
//! limits, captures what it writes, and records how it ended.
//!
//! One thread, the process's first, does it all: the kernel kills a runner when the thread that
//! started it ends. What goes to the database goes through the `recorder`, in order, so that a
//! slow or absent Postgres delays no limit and no abort.

pub mod code;
pub mod inspect;

mod alarm;
mod books;
mod command;
mod crowd;
mod database;
mod ending;
mod environment;
mod floors;
mod front;
mod hand;
mod holding;
mod keeper;
mod life;
mod lines;
mod open_run;
mod operations;
mod pace;
mod ready;
mod recorder;
mod revision;
mod run;
mod runner;
mod runners;
mod said;
mod stream;
mod work;

pub use work::{WorkerError, run};
