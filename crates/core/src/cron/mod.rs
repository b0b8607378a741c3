//! Schedules: operations with a cron rule.
//!
//! `rule` computes when a rule fires, without a database; `fields` checks how it is written. `declare` stores a
//! schedule, `manage` pauses, resumes, runs and removes one, `list` reads them. `fire` makes the tasks of schedules
//! that are due; `due` decides for which instants.

pub mod fields;
pub mod rule;
pub mod error;
pub mod declare;
pub mod manage;
pub mod due;
pub mod fire;
pub mod list;
