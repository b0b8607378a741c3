//! Tasks: the states of a task, and one file for each step from its scheduling to its end.

pub mod state;
pub mod payload;
pub mod fence;
pub mod unique;
pub mod schedule;
pub mod schedule_many;
pub mod schedule_many_once;
pub mod connection_pool;
pub mod claim;
pub mod exchange;
pub mod progress;
pub mod complete;
pub mod abort;
pub mod retry;
pub mod retry_pause;
pub mod wait;
pub mod show;
pub mod list;
pub mod unserved;
pub mod wait_reasons;
