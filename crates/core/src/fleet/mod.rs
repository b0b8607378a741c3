//! The fleet: the rows of monitors and workers, their heartbeat, and the sweep after those that were lost.

pub mod monitor;
pub mod worker;
pub mod heartbeat;
pub mod sweep;
pub mod ask_worker;
pub mod list_monitors;
pub mod list_workers;
