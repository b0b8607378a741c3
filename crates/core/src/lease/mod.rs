//! Leases: the row, and three state machines that decide what follows from it. The state machines
//! are pure functions of events and times. The monitor and the worker carry out what they decide.

pub mod row;
pub mod holder;
pub mod observer;
pub mod lifeline;
pub mod recovery;
