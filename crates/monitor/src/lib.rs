//! The monitor of rework. It keeps as many workers on its host as each domain needs, wakes them, passes abort requests
//! on to them, and cleans up after those that die.
//!
//! The module `state` makes all decisions: it turns events into actions and never waits. `event_loop` connects it with
//! the others: `effects` carries the actions out, and `worker_io` exchanges messages with one worker.

mod adopt;
mod background;
mod cleanup;
mod cleanup_plan;
mod effects;
mod error;
mod event;
mod event_loop;
mod exit;
mod fire_schedules;
mod health;
mod hourly;
mod inbox;
mod leftovers;
mod link;
mod memory_and_cpu;
mod options;
mod outcome_log;
mod output_tail;
mod per_domain;
mod poll_timer;
mod registration;
mod repeated_errors;
mod run;
mod send_poll;
mod signals;
mod spawn;
mod started_runs;
mod startup;
mod state;
mod sweep_lost_hosts;
mod sweep_own_host;
mod systemd;
mod worker_handle;
mod worker_io;

pub use error::Error;
pub use options::{MonitorEnd, Options, PoolOptions};
pub use per_domain::PerDomain;
pub use run::run;
