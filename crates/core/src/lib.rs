//! The queue of rework: its types, every SQL statement, and the rules of time.
//!
//! Nothing here starts a process or speaks HTTP. What decides is pure and tested without a
//! database; what writes to Postgres is one function for one statement of `sql/`.

pub mod arguments;
pub mod claim;
pub mod complete;
pub mod connect;
pub mod control;
pub mod error;
pub mod frame;
pub mod operation;
pub mod partition;
pub mod protocol;
pub mod report;
pub mod schema;
pub mod state;
