//! Runs that follow one another in a runner without a pause: sent ahead while they are short, each
//! recorded when it is over and no process of it is left, taken back when one of them takes long.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use rework_core::{task::complete::Completion, wire::runner::ToRunner};
use tokio::time::Instant;

use super::{End, OpenRun};
use crate::{
    front::Front,
    hand::{Hand, aborted, unbegun},
    life::{Abort, Life},
    lines::Key,
    ready,
    recorder::{Held, Recorder},
    revision::Revision,
    run,
};

/// Most runs that wait in a runner.
const AHEAD: usize = 512;

/// With so many, the runner is looked at now and then, and wakes nobody.
const MANY: usize = 8;

/// How often that is.
const LOOK: Duration = Duration::from_millis(1);

/// A run that takes so long is listened to again.
const LISTEN: Duration = Duration::from_millis(5);

/// A runner is looked over at least so often: its size, and whether its code has changed.
const LONGEST: Duration = Duration::from_secs(1);

/// What follows a run.
pub(crate) struct Series {
    /// When the first run began, or was to.
    pub began: Instant,
    /// How many more runs may follow.
    allowed: u32,
    /// Handed over, and not begun as far as we know.
    waiting: VecDeque<Held>,
    /// What is to become of runs that were asked to end while they waited.
    doomed: HashMap<Key, Abort>,
    /// Why what waits is being taken back.
    revoked: Option<String>,
    /// What the runner gave back by itself.
    pub returned: Vec<Held>,
    /// Runs that are over, and not recorded yet.
    pub ended: Vec<(Front, End)>,
    /// The operation's runs leave processes: they are not to follow one another.
    pub alone: bool,
    /// A run was made to end in the runner, which serves no others after these.
    pub is_worn: bool,
    /// When the runner is looked at next, where it wakes nobody.
    pub look_at: Option<Instant>,
    /// Nothing more follows after this moment.
    until: Option<Instant>,
}

impl Series {
    /// So many may follow.
    pub(crate) fn new(allowed: u32) -> Series {
        let began = Instant::now();
        Series {
            began,
            allowed,
            waiting: VecDeque::new(),
            doomed: HashMap::new(),
            revoked: None,
            returned: Vec::new(),
            ended: Vec::new(),
            alone: false,
            is_worn: false,
            look_at: None,
            until: Some(began + LONGEST),
        }
    }

    /// Whether a run waits.
    pub(super) fn has_more(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether more may be handed over.
    pub(super) fn is_hungry(&self) -> bool {
        self.revoked.is_none()
            && !self.alone
            && self.waiting.len() < AHEAD / 2
            && self.waiting.len() < self.allowed as usize
            && self.until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether what waits was taken back.
    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.is_some()
    }

    /// The aborts that did not meet their runs.
    pub(crate) fn take_doomed(&mut self) -> Vec<Abort> {
        self.doomed.drain().map(|(_, abort)| abort).collect()
    }

    /// What was handed over and did not begin, in its order.
    pub(crate) fn left(&mut self) -> Vec<Held> {
        self.returned.drain(..).chain(self.waiting.drain(..)).collect()
    }
}

impl OpenRun<'_> {
    /// Hands over what waits behind the run in front, and listens as closely as that needs.
    pub(super) fn feed(&mut self, life: &Life, recorder: &Recorder, behind: &mut Hand) {
        let free = self.front.sentence.is_none() && !self.front.is_long && life.retired().is_none();
        if free && self.series.is_hungry() {
            self.hand_over(recorder, behind);
            behind.look_ahead(self.series.waiting.len(), recorder);
        }
        let now = Instant::now();
        let quiet = self.series.waiting.len() >= MANY && now < self.front.began + LISTEN;
        if quiet == self.series.look_at.is_some() {
            return;
        }
        self.series.look_at = quiet.then_some(now + LOOK);
        if let Err(error) = self.runner.listen(!quiet) {
            self.pass(crate::ending::Sentence::Broken(error.to_string()));
        }
    }

    fn hand_over(&mut self, recorder: &Recorder, behind: &mut Hand) {
        let version = self.front.held.claimed.version;
        let mut changed = None;
        while self.series.waiting.len() < AHEAD.min(self.series.allowed as usize) {
            let Some(mut held) = behind.next_of(version) else { break };
            let same = || Revision::of(&self.operation.code, version.revision);
            if !*changed.get_or_insert_with(|| same().ok().as_ref() == Some(&self.runner.revision))
            {
                behind.put_back(vec![held]);
                self.series.until = None;
                break;
            }
            let claimed = &mut held.claimed;
            match self.operation.fitting(std::mem::take(&mut claimed.input)) {
                Ok(input) => claimed.input = input,
                Err(verdict) => {
                    recorder.complete(Completion::new(
                        claimed.fence,
                        verdict.outcome,
                        verdict.reason,
                    ));
                    continue;
                }
            }
            if ready::send(self.runner, self.operation, &held, true).is_err() {
                behind.put_back(vec![held]);
                self.series.until = None;
                break;
            }
            self.series.waiting.push_back(held);
        }
        if let Some(frames) = &mut self.runner.frames {
            frames.push();
        }
    }

    /// Looks at a runner that wakes nobody.
    pub(super) fn look(&mut self, recorder: &Recorder, behind: &mut Hand) -> Option<End> {
        self.series.look_at = Some(Instant::now() + LOOK);
        if recorder.is_full() {
            return None;
        }
        let frames = self.runner.frames.as_mut()?;
        let first = match frames.look() {
            Ok(open) => match frames.at_hand() {
                Ok(None) if open => {
                    self.drain();
                    return None;
                }
                next => next,
            },
            Err(error) => Err(error),
        };
        self.on_frames(first, recorder, behind)
    }

    /// The run in front is over; the next one has begun, or will at once.
    pub(super) fn advance(&mut self, end: End) {
        let Some(held) = self.series.waiting.pop_front() else { return };
        let doomed = &mut self.series.doomed;
        let doomed = if doomed.is_empty() { None } else { doomed.remove(&held.key()) };
        let mut next = Front::new(held, &self.operation.definition.limits, Vec::new());
        if let Some(abort) = doomed {
            next.sentence = Some(abort.sentence());
            next.kill_at = Some(Instant::now() + self.grace());
        }
        let over = &mut self.front.lines;
        self.runner.stdout.splitter.advance(over, &mut next.lines);
        self.runner.stderr.splitter.advance(over, &mut next.lines);
        let over = std::mem::replace(&mut self.front, next);
        self.series.is_worn |= over.sentence.is_some() && !matches!(end, End::Revoked);
        self.series.ended.push((over, end));
        self.series.allowed = self.series.allowed.saturating_sub(1);
        self.runner.runs += 1;
    }

    /// Records the runs that are over, if no process of them is left. If there is one, it cannot be
    /// told from those of the run in front, which must end first.
    pub(super) fn settle(&mut self, recorder: &Recorder, behind: &mut Hand) {
        if self.series.ended.is_empty() {
            return;
        }
        if self.series.alone || !self.runner.tree.others().is_empty() {
            self.series.alone = true;
            // What they wrote need not wait for that.
            self.series.ended.iter_mut().for_each(|(front, _)| front.flush(recorder));
            return self.revoke("a task before it has left processes");
        }
        run::record_ended(self, recorder, behind);
    }

    /// All that waits goes back to the queue.
    pub(super) fn give_back(&mut self, why: &str, recorder: &Recorder, behind: &mut Hand) {
        behind.give_back(why, recorder);
        for held in self.series.returned.drain(..) {
            recorder.complete(unbegun(held.claimed.fence, why));
        }
        self.revoke(why);
    }

    pub(super) fn revoke(&mut self, why: &str) {
        if self.series.waiting.is_empty() || self.series.revoked.is_some() {
            return;
        }
        self.series.revoked = Some(why.to_owned());
        let Some(frames) = &mut self.runner.frames else { return };
        for held in &self.series.waiting {
            let (task, run) = held.key();
            // Two numbers are within every limit.
            let _ = frames.put(&ToRunner::Revoke { task, run }, &[]);
        }
        frames.push();
    }

    /// A run is to end that is not the one in front.
    pub(super) fn abort_behind(&mut self, abort: Abort, recorder: &Recorder, behind: &mut Hand) {
        let waits = |held: &Held| abort.names(held.claimed.fence);
        if let Some(at) = self.series.returned.iter().position(waits) {
            let held = self.series.returned.remove(at);
            return recorder.complete(aborted(held.claimed.fence, &abort));
        }
        if !self.series.waiting.iter().any(waits) {
            return behind.abort(&abort, recorder);
        }
        let (task, run, reason) = (abort.task, abort.run, abort.reason.clone());
        self.series.doomed.insert((task, run), abort);
        if let Some(frames) = &mut self.runner.frames {
            let _ = frames.send(&ToRunner::Abort { task, run, reason }, &[]);
        }
    }

    /// A run that waited has not begun and will not; false if there is none.
    pub(super) fn on_revoked(&mut self, run: Key, recorder: &Recorder) -> bool {
        let Some(at) = self.series.waiting.iter().position(|held| held.key() == run) else {
            return false;
        };
        let Some(held) = self.series.waiting.remove(at) else { return false };
        self.runner.stdout.splitter.forget(run);
        self.runner.stderr.splitter.forget(run);
        let fence = held.claimed.fence;
        if let Some(abort) = self.series.doomed.remove(&run) {
            recorder.complete(aborted(fence, &abort));
        } else if let Some(why) = &self.series.revoked {
            recorder.complete(unbegun(fence, why));
        } else {
            self.series.alone = true;
            self.series.returned.push(held);
        }
        true
    }
}
