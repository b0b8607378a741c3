//! Logs: the lines that runs wrote, read once or followed.

pub mod read;
pub mod follow;
