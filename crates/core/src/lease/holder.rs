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
    /// A renewal was answered.
    Renewed {
        /// When the renewal was sent.
        sent_at: BootTime,
        /// The number of renewals after it.
        renewals: i64,
    },
    /// The lease was read without a renewal.
    Observed {
        /// The number of renewals.
        renewals: i64,
    },
    /// An attempt to connect proved that no client can change the database. So no observer can take
    /// the lease away, and each observer starts its observation again afterwards. So the lease
    /// lasts longer.
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
    /// Kill every process that depends on the lease, now, for this reason.
    Die(LeaseEnd),
}

/// The reason why a lease has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// The lease was not renewed in time.
    Expired,
    /// The lease was taken away.
    Taken,
    /// The database has gone back to an earlier state, as after the failover to a standby that had not received the
    /// last transactions. Claims of the workers may be among the lost transactions, and then others may claim the same
    /// tasks.
    WentBack,
}

/// The holder of a lease.
#[derive(Debug, Clone)]
pub struct LeaseHolder {
    terms: LeaseTerms,
    until: BootTime,
    /// The number of renewals that the database is known to have stored.
    renewals: i64,
}

impl LeaseHolder {
    /// Starts with a lease that was created by a statement sent at `sent_at`.
    pub fn new(terms: LeaseTerms, sent_at: BootTime) -> LeaseHolder {
        LeaseHolder { terms, until: sent_at + terms.self_kill_after(), renewals: 0 }
    }

    /// Returns the number of renewals that the database is known to have stored. The next renewal must not take effect
    /// if the database has fewer. Otherwise a renewal whose answer is lost would hide that it has gone back.
    pub fn renewals(&self) -> i64 {
        self.renewals
    }

    /// Returns the moment until which the lease is certain: no observer can take it away before.
    pub fn until(&self) -> BootTime {
        self.until
    }

    /// Handles an event, and returns what has to be done.
    pub fn step(&mut self, event: HolderEvent, now: BootTime) -> Vec<HolderAction> {
        match event {
            // A renewal that is answered too late proves nothing: an observer may have decided already.
            _ if now >= self.until => vec![HolderAction::Die(LeaseEnd::Expired)],
            HolderEvent::Taken => vec![HolderAction::Die(LeaseEnd::Taken)],
            HolderEvent::Renewed { renewals, .. } if renewals <= self.renewals => {
                vec![HolderAction::Die(LeaseEnd::WentBack)]
            }
            HolderEvent::Observed { renewals } if renewals < self.renewals => {
                vec![HolderAction::Die(LeaseEnd::WentBack)]
            }
            HolderEvent::Renewed { sent_at, renewals } => {
                self.renewals = renewals;
                self.extend(sent_at)
            }
            HolderEvent::ServerDown { attempted_at } => self.extend(attempted_at),
            HolderEvent::Observed { renewals } => {
                self.renewals = renewals;
                Vec::new()
            }
            HolderEvent::TimePassed => Vec::new(),
        }
    }

    /// Extends the lease, which is certain from `from` on.
    fn extend(&mut self, from: BootTime) -> Vec<HolderAction> {
        let until = from + self.terms.self_kill_after();
        if until <= self.until {
            return Vec::new();
        }
        self.until = until;
        vec![HolderAction::ArmKillTimer(until)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: BootTime = BootTime::from_secs(1);

    #[test]
    fn a_number_of_renewals_that_goes_back_ends_the_lease() {
        let went_back = [HolderAction::Die(LeaseEnd::WentBack)];
        for (event, expected) in [
            (HolderEvent::Renewed { sent_at: SECOND, renewals: 9 }, None),
            (HolderEvent::Renewed { sent_at: SECOND, renewals: 8 }, Some(went_back)),
            (HolderEvent::Renewed { sent_at: SECOND, renewals: 3 }, Some(went_back)),
            (HolderEvent::Observed { renewals: 9 }, None),
            (HolderEvent::Observed { renewals: 8 }, None),
            (HolderEvent::Observed { renewals: 7 }, Some(went_back)),
        ] {
            let mut holder = LeaseHolder::new(LeaseTerms::default(), BootTime::ZERO);
            holder.step(HolderEvent::Renewed { sent_at: BootTime::ZERO, renewals: 8 }, SECOND);
            let actions = holder.step(event, SECOND * 2);
            match expected {
                Some(expected) => assert_eq!(actions, expected, "{event:?}"),
                None => assert!(!actions.contains(&went_back[0]), "{event:?}: {actions:?}"),
            }
        }
    }
}
