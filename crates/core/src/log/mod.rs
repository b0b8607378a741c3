//! Reads the log: the lines that runs wrote. `read` reads the log of one task, `follow` the new lines of all tasks.

pub mod read;
pub mod follow;
