//! Reads the log: everything that runs wrote. `read` reads the log of one task, `merge` those of several tasks, and
//! `follow` what all tasks write now. `lines` joins the rows that they return into lines.

pub mod lines;
pub mod read;
pub mod merge;
pub mod follow;
