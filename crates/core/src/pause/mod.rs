//! Pauses: users pause operations, domains and hosts, so that no task of them is claimed, and resume them.

pub mod row;
pub mod manage;
pub mod progress;
