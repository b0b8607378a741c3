//! The fleet: the rows of monitors and workers, the poll of each monitor, and the sweep after a
//! lost host, which records what the host can no longer record.

pub mod monitor;
pub mod worker;
pub mod monitor_poll;
pub mod sweep;
pub mod stop_worker;
pub mod start_fault;
pub mod list_monitors;
pub mod list_workers;
