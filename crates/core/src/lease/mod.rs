//! Leases: the row, and three pure machines that decide what follows from it. Nothing here starts or kills
//! a process.

pub mod row;
pub mod holder;
pub mod observer;
pub mod lifeline;
