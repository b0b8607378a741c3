//! The connection to Postgres: its address (DSN), statements, deadlines, rows and errors.
//!
//! Nothing here names a table of rework, except `row.rs`, whose error messages may contain a statement that shows a
//! row.

pub mod outage;
pub mod error;
pub mod row;
pub mod dsn;
pub mod deadline;
pub mod size_limit;
pub mod connect;
