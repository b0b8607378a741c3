//! The monitor of rework: it keeps the workers of its host, as many as each domain needs, wakes
//! them, passes aborts on to them, and cleans up after those that die.
//!
//! `state` decides: events go in, actions come out, and nothing waits there. Around it,
//! `event_loop` passes events and actions on, `effects` carries the actions out, and `worker_io`
//! talks to one worker.

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
mod page;
mod per_domain;
mod poll_timer;
mod registration;
mod run;
mod signals;
mod spawn;
mod startup;
mod state;
mod stderr_tail;
mod sweep_lost_hosts;
mod systemd;
mod worker_handle;
mod worker_io;

pub use error::Error;
pub use options::{Ended, Keep, Options};
pub use per_domain::PerDomain;
pub use run::run;
