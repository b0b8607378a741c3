//! Reads the log: everything that runs wrote. `read` reads the log of one task, `follow` what all tasks write now, and
//! `lines` joins the rows that both return into lines.

pub mod lines;
pub mod read;
pub mod follow;
