//! One worker as its monitor knows it: what it does, and whether it could take a task.

use std::time::Instant;

use crate::cleanup_plan::Sentence;

/// A worker, from its birth to the end of its process.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) domain: String,
    pub(crate) born: Instant,
    pub(crate) doing: Doing,
    pub(crate) origin: Origin,
    /// It was told to leave.
    pub(crate) retired: bool,
    /// It lives by a lease of its own.
    pub(crate) alone: bool,
    /// It was killed, for this.
    pub(crate) sentence: Option<Sentence>,
    /// It could have taken a task at some time since the last look began: what waited then may be
    /// running now.
    pub(crate) was_spare: bool,
}

/// Who started a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This monitor.
    Ours,
    /// An earlier monitor: it finishes its task and leaves, and cannot be told anything. It can be
    /// killed.
    Left,
}

/// What a worker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It was started and has not said anything.
    Starting,
    /// It looks for a task: because it was woken, or because it has just come up.
    Looking { woken: bool },
    /// It looked and found nothing.
    Idle,
    /// It has a task, or one after the other.
    Busy,
    /// It leaves, and said why.
    Leaving(String),
}

impl Worker {
    pub(crate) fn new(domain: String, now: Instant, origin: Origin) -> Worker {
        let orphan = origin != Origin::Ours;
        Worker {
            domain,
            born: now,
            doing: if orphan { Doing::Busy } else { Doing::Starting },
            origin,
            retired: orphan,
            alone: orphan,
            sentence: None,
            was_spare: !orphan,
        }
    }

    /// An earlier monitor has left it behind.
    pub(crate) fn is_orphan(&self) -> bool {
        self.origin != Origin::Ours
    }

    /// It stays, and could take a task now or in a moment.
    pub(crate) fn is_spare(&self) -> bool {
        let free = matches!(self.doing, Doing::Starting | Doing::Looking { .. } | Doing::Idle);
        free && !self.retired && self.sentence.is_none()
    }

    /// It waits to be woken.
    pub(crate) fn is_idle(&self) -> bool {
        self.doing == Doing::Idle && self.is_spare()
    }
}
