//! A worker as its monitor knows it: what it does, and whether it could take a task.

use std::time::Instant;

use crate::cleanup_plan::Sentence;

/// A worker, from its start to the end of its process.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) domain: String,
    pub(crate) born: Instant,
    pub(crate) doing: Doing,
    pub(crate) origin: Origin,
    /// Whether it was told to leave.
    pub(crate) retired: bool,
    /// Whether it lives by a lease of its own.
    pub(crate) alone: bool,
    /// Why it was killed; `None` if it was not.
    pub(crate) sentence: Option<Sentence>,
    /// Whether it could have taken a task at some time since the last poll began: a task that waited
    /// then may be running now.
    pub(crate) was_spare: bool,
}

/// Who started a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This monitor started it.
    Ours,
    /// An earlier monitor started it. It finishes its task and leaves; it can be killed, but receives
    /// no messages.
    Left,
}

/// What a worker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It was started and has not sent a message yet.
    Starting,
    /// It looks for a task, because it was woken or has just come up.
    Looking { woken: bool },
    /// It looked for a task and found none.
    Idle,
    /// It runs a task, or one after the other.
    Busy,
    /// It leaves, for this reason.
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

    /// Whether an earlier monitor has left it behind.
    pub(crate) fn is_orphan(&self) -> bool {
        self.origin != Origin::Ours
    }

    /// Whether it stays, and could take a task now or in a moment.
    pub(crate) fn is_spare(&self) -> bool {
        let free = matches!(self.doing, Doing::Starting | Doing::Looking { .. } | Doing::Idle);
        free && !self.retired && self.sentence.is_none()
    }

    /// Whether it waits to be woken.
    pub(crate) fn is_idle(&self) -> bool {
        self.doing == Doing::Idle && self.is_spare()
    }
}
