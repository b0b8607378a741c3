//! Schedules: the pure rule of time, and the statements that add, change and list schedules and make
//! their tasks.

pub mod rule;
pub mod error;
pub mod add;
pub mod manage;
pub mod fire;
pub mod list;
