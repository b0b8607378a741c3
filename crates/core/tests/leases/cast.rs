//! Who and what appears in the simulated world.

use rework_wire::lease::Moment;

use crate::{
    database::{Answer, Ask},
    machine::Time,
    process::{Monitor, Worker},
};

#[derive(Debug)]
pub(crate) enum Event {
    Wake(usize),
    Arrive { from: usize, id: u64, ask: Ask, sent: Time },
    Answered { to: usize, id: u64, ask: Ask, answer: Answer },
    Told { to: usize, until: Moment },
    Alarm { whom: usize, armed: Moment },
    Kill(usize),
    Replace(usize),
    Fault,
}

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) machine: usize,
    pub(crate) alive: bool,
    pub(crate) stopped_until: Time,
    pub(crate) armed: Moment,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    Monitor(Monitor),
    /// Of the monitor of this number.
    Worker(Worker, usize),
    /// Waits for its row.
    Unborn(usize),
}
