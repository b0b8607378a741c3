//! Shared helpers of the tests: a database and a host name for each test, real `rework` commands and
//! monitors, and functions that wait for a condition.
//!
//! Most tests start with `Installation::with_fixture()` of `installation.rs`. Functions that wait are in
//! `wait.rs` and, for tasks, in `task_waits.rs`.

pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod containment_modes;
pub(crate) mod database;
mod diagnostics;
pub(crate) mod fleet_rows;
pub(crate) mod flow;
pub(crate) mod http;
pub(crate) mod installation;
pub(crate) mod invariants;
pub(crate) mod leftovers;
pub(crate) mod monitor;
pub(crate) mod monitored_host;
mod password_leaks;
pub(crate) mod pooler;
pub(crate) mod processes;
pub(crate) mod proxy;
pub(crate) mod repository;
pub(crate) mod scale;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod source_text;
pub(crate) mod task;
mod task_waits;
pub(crate) mod wait;

pub(crate) use self::installation::Installation;
