//! Schedules: operations with a cron rule.
//!
//! `rule` computes when a rule fires, without a database. `declare` stores a schedule, `manage` pauses, resumes, runs
//! and removes one, `fire` makes the tasks of schedules that are due, `list` reads them.

pub mod rule;
pub mod error;
pub mod declare;
pub mod manage;
pub mod fire;
pub mod list;
