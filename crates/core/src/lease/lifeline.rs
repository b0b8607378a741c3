//! A worker's life line: its monitor's lease, and, when that monitor is silent or gone and a task is
//! in hand, a lease of its own.

use rework_wire::lease::{Moment, Terms};

/// What happens to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its monitor said until when the lease is certain.
    Told { until: Moment },
    /// Its monitor is gone.
    Deserted,
    /// A lease of its own was made by a statement that was sent then.
    Adopted { sent_at: Moment },
    /// Its own lease was renewed by a statement that was sent then.
    Renewed { sent_at: Moment },
    /// What it asked came to nothing.
    Failed,
    /// The server answered, to an attempt of then, that it is not there for anybody.
    Away {
        /// When the attempt began.
        asked_at: Moment,
    },
    /// What it lives by was taken away: its runs are somebody else's.
    Taken,
    /// Time goes by.
    Time,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let the kernel kill this process at that moment, unless it is told another one.
    Arm(Moment),
    /// Ask for a lease of its own, guarded by the one that it lives by.
    Adopt,
    /// Renew its own lease.
    Renew,
    /// Kill the run in hand, and leave.
    Die,
}

/// A life line.
#[derive(Debug, Clone)]
pub struct Line {
    terms: Terms,
    until: Moment,
    heard_at: Moment,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Its monitor renews.
    Led,
    /// It asked for a lease of its own: which of the two it lives by, others may know before it does.
    /// What the monitor renews says nothing any more.
    Asking,
    /// It renews its own.
    Alone,
}

impl Line {
    /// Of a worker that is told, now, until when its monitor's lease is certain.
    pub fn new(terms: Terms, until: Moment, now: Moment) -> Line {
        Line { terms, until, heard_at: now, mode: Mode::Led }
    }

    /// Until when what it lives by certainly is its own.
    pub fn until(&self) -> Moment {
        self.until
    }

    /// It lives by a lease of its own.
    pub fn is_alone(&self) -> bool {
        self.mode == Mode::Alone
    }

    /// When time itself has something to say next. `asks` says that an answer is awaited.
    pub fn next_at(&self, busy: bool, asks: bool) -> Moment {
        if asks || (self.mode != Mode::Alone && !busy) {
            return self.until;
        }
        self.until.min(self.heard_at + self.patience())
    }

    /// What follows from an event. Only with a task in hand is a lease made.
    pub fn step(&mut self, event: Event, now: Moment, busy: bool, asks: bool) -> Vec<Action> {
        if now >= self.until {
            return vec![Action::Die];
        }
        match event {
            Event::Told { until } if self.mode == Mode::Led => {
                self.heard_at = now;
                self.extend(until)
            }
            Event::Told { .. } => Vec::new(),
            Event::Deserted => {
                self.heard_at = now.saturating_sub(self.patience());
                self.on_time(now, busy, asks)
            }
            Event::Adopted { sent_at } => {
                self.mode = Mode::Alone;
                self.heard_at = now;
                self.extend(sent_at + self.terms.self_kill())
            }
            Event::Renewed { sent_at } => {
                self.heard_at = now;
                self.extend(sent_at + self.terms.self_kill())
            }
            Event::Failed => {
                self.heard_at = now;
                Vec::new()
            }
            Event::Away { asked_at } => {
                self.heard_at = now;
                self.extend(asked_at + self.terms.self_kill())
            }
            Event::Time => self.on_time(now, busy, asks),
            Event::Taken => vec![Action::Die],
        }
    }

    fn on_time(&mut self, now: Moment, busy: bool, asks: bool) -> Vec<Action> {
        if asks || now < self.heard_at + self.patience() {
            return Vec::new();
        }
        match self.mode {
            Mode::Alone => vec![Action::Renew],
            Mode::Led | Mode::Asking if busy => {
                self.mode = Mode::Asking;
                vec![Action::Adopt]
            }
            Mode::Led | Mode::Asking => Vec::new(),
        }
    }

    /// A worker alone looks for the end of its task as often as it renews.
    fn patience(&self) -> Moment {
        match self.mode {
            Mode::Led => self.terms.silence(),
            Mode::Asking | Mode::Alone => self.terms.look_every(),
        }
    }

    fn extend(&mut self, until: Moment) -> Vec<Action> {
        if until <= self.until {
            return Vec::new();
        }
        self.until = until;
        vec![Action::Arm(until)]
    }
}
