//! Counts of the actions of drivers.

use std::fmt;

/// Counts of the actions of a driver.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Figures {
    pub(super) flows: usize,
    pub(super) simple: usize,
    pub(super) steps: usize,
    pub(super) done: usize,
    pub(super) reverted: usize,
    pub(super) stopped: usize,
    pub(super) rounds: u32,
    pub(super) ends: usize,
    pub(super) aborts: usize,
    pub(super) retries: usize,
    pub(super) locks: usize,
    pub(super) rollbacks: usize,
    pub(super) comparisons: usize,
}

impl Figures {
    pub(super) fn add(&mut self, other: Figures) {
        self.flows += other.flows;
        self.simple += other.simple;
        self.steps += other.steps;
        self.done += other.done;
        self.reverted += other.reverted;
        self.stopped += other.stopped;
        self.rounds += other.rounds;
        self.ends += other.ends;
        self.aborts += other.aborts;
        self.retries += other.retries;
        self.locks += other.locks;
        self.rollbacks += other.rollbacks;
        self.comparisons += other.comparisons;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { flows, simple, steps, done, reverted, stopped, rounds, ends, .. } = self;
        let Figures { aborts, retries, locks, rollbacks, comparisons, .. } = self;
        write!(
            f,
            "{flows} flows with {steps} steps, {simple} of them simple: {done} done, {reverted} reverted, {stopped} stopped; \
             {rounds} further rounds; {ends} ends of tasks, {aborts} aborts, {retries} retries, \
             {locks} locks, {rollbacks} rollbacks; {comparisons} comparisons"
        )
    }
}
