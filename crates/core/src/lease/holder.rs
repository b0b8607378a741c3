//! The holder of a lease, the process that renews it: a pure state machine that decides until when
//! a monitor may rely on its lease.
//!
//! A holder must die before an observer, a monitor on another host that watches the lease
//! (`observer.rs`), can take the lease away. So the holder counts from the moment when the last
//! successful renewal was *sent*. The monitor carries out the decisions in
//! `monitor/src/state/own_lease.rs`.

use rework_wire::lease::{BootTime, LeaseTerms};

/// An event for the holder of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderEvent {
    /// A renewal succeeded.
    Renewed {
        /// When the renewal was sent.
        sent_at: BootTime,
    },
    /// An attempt to connect proved that the server is down for everyone. No observer can read the
    /// lease either, and each observer starts its observation again afterwards. So the lease lasts
    /// longer.
    ServerDown {
        /// When the attempt started.
        attempted_at: BootTime,
    },
    /// The lease was taken away.
    Taken,
    /// Time has passed.
    TimePassed,
}

/// An action that the holder of a lease has to carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderAction {
    /// Set the kernel's timer that kills this process to this moment. This replaces the former
    /// setting.
    ArmKillTimer(BootTime),
    /// Kill every process that depends on the lease, now.
    Die,
}

/// The holder of a lease.
#[derive(Debug, Clone)]
pub struct LeaseHolder {
    terms: LeaseTerms,
    until: BootTime,
}

impl LeaseHolder {
    /// Starts with a lease that was created by a statement sent at `sent_at`.
    pub fn new(terms: LeaseTerms, sent_at: BootTime) -> LeaseHolder {
        LeaseHolder { terms, until: sent_at + terms.self_kill_after() }
    }

    /// Returns the moment until which the lease is certain: no observer can take it away before.
    pub fn until(&self) -> BootTime {
        self.until
    }

    /// Handles an event, and returns what has to be done.
    pub fn step(&mut self, event: HolderEvent, now: BootTime) -> Vec<HolderAction> {
        match event {
            // A renewal that is answered too late proves nothing: an observer may have decided already.
            _ if now >= self.until => vec![HolderAction::Die],
            HolderEvent::Taken => vec![HolderAction::Die],
            HolderEvent::Renewed { sent_at: at } | HolderEvent::ServerDown { attempted_at: at } => {
                let until = at + self.terms.self_kill_after();
                if until <= self.until {
                    return Vec::new();
                }
                self.until = until;
                vec![HolderAction::ArmKillTimer(until)]
            }
            HolderEvent::TimePassed => Vec::new(),
        }
    }
}
