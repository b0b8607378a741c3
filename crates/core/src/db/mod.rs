//! The database: its address, the connection, and what can go wrong with it. Nothing here knows a table of
//! ours.

pub mod error;
pub mod row;
pub mod dsn;
pub mod deadline;
pub mod connect;
mod availability;
