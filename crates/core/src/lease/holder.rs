//! Holding a lease: who renews it lives for as long as it is certain that nobody took it away.

use rework_wire::lease::{Moment, Terms};

/// What happens to a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A renewal that was sent then was answered.
    Renewed { sent_at: Moment },
    /// The server answered, to an attempt of then, that it is not there for anybody: whoever observes
    /// this lease has lost sight of it too, and begins anew.
    Away {
        /// When the attempt began.
        asked_at: Moment,
    },
    /// It was taken away.
    Taken,
    /// Time goes by.
    Time,
}

/// What a holder does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let the kernel kill this process at that moment, unless it is told another one.
    Arm(Moment),
    /// End whatever lives by this lease, now.
    Die,
}

/// A holder.
#[derive(Debug, Clone)]
pub struct Hold {
    terms: Terms,
    until: Moment,
}

impl Hold {
    /// Of a lease that was made by a statement sent at this moment.
    pub fn new(terms: Terms, sent_at: Moment) -> Hold {
        Hold { terms, until: sent_at + terms.self_kill() }
    }

    /// Until when it certainly is ours.
    pub fn until(&self) -> Moment {
        self.until
    }

    /// What follows from an event.
    pub fn step(&mut self, event: Event, now: Moment) -> Vec<Action> {
        match event {
            // An answer that came too late is none: others may have judged already.
            _ if now >= self.until => vec![Action::Die],
            Event::Taken => vec![Action::Die],
            Event::Renewed { sent_at: at } | Event::Away { asked_at: at } => {
                let until = at + self.terms.self_kill();
                if until <= self.until {
                    return Vec::new();
                }
                self.until = until;
                vec![Action::Arm(until)]
            }
            Event::Time => Vec::new(),
        }
    }
}
