//! The processes of the simulated world: what a monitor and a worker do with their decisions.

use rework_core::lease::{self, holder::Hold, lifeline::Line, observer::Watch, row::Lease};
use rework_wire::lease::{Moment, Terms};

use crate::database::{Answer, Ask};

/// An answer is awaited for so long.
const DEADLINE: Moment = Moment::from_secs(10);

/// What a process wants of its world.
#[derive(Debug)]
pub(crate) enum Wish {
    Ask(Ask),
    Arm(Moment),
    Die,
    /// Monitors tell their workers until when the lease is certain.
    Tell(Moment),
    /// A run of a task begins, for so many milliseconds as the world likes.
    Begin {
        task: usize,
        run: u64,
    },
}

/// What was asked last, on one of a process's lines.
#[derive(Debug, Default)]
pub(crate) struct Asked(Option<(u64, Moment)>);

impl Asked {
    pub(crate) fn sent(&mut self, id: u64, now: Moment) {
        self.0 = Some((id, now));
    }

    /// When it was sent, if this is the answer to it.
    fn take(&mut self, id: u64) -> Option<Moment> {
        let (_, sent_at) = self.0.filter(|(asked, _)| *asked == id)?;
        self.0 = None;
        Some(sent_at)
    }

    /// Whether it was given up just now.
    fn given_up(&mut self, now: Moment) -> bool {
        let late = self.0.is_some_and(|(_, sent_at)| now >= sent_at + DEADLINE);
        if late {
            self.0 = None;
        }
        late
    }

    fn is_free(&self) -> bool {
        self.0.is_none()
    }
}

#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) terms: Terms,
    pub(crate) lease: Option<Lease>,
    pub(crate) asked: Asked,
    hold: Option<Hold>,
    watch: Watch,
    renewed_at: Moment,
    to_take: Vec<rework_core::lease::row::Seen>,
    /// Rows of workers that are dead.
    pub(crate) dead: Vec<usize>,
    pub(crate) lives_forever: bool,
}

impl Monitor {
    /// Whose leases are of this length.
    pub(crate) fn new(terms: Terms) -> Monitor {
        Monitor {
            terms,
            lease: None,
            asked: Asked::default(),
            hold: None,
            watch: Watch::new(terms.look_every()),
            renewed_at: Moment::ZERO,
            to_take: Vec::new(),
            dead: Vec::new(),
            lives_forever: false,
        }
    }

    pub(crate) fn on_time(&mut self, now: Moment) -> Vec<Wish> {
        let mut wishes = self.hold_steps(lease::holder::Event::Time, now);
        if self.asked.given_up(now) {
            self.watch.step(lease::observer::Event::Lost, now);
        }
        if self.asked.is_free() {
            let terms = self.terms;
            wishes.push(Wish::Ask(match (self.lease, self.to_take.pop(), self.dead.first()) {
                (None, ..) => Ask::Begin(terms),
                (_, Some(seen), _) => Ask::Take(seen),
                (_, None, Some(row)) => Ask::Close { row: *row },
                (Some(lease), None, None) => {
                    let renew = now >= self.renewed_at + terms.renew_every();
                    if renew {
                        self.renewed_at = now;
                    }
                    Ask::Look { lease, renew }
                }
            }));
        }
        wishes
    }

    pub(crate) fn on_answer(
        &mut self,
        id: u64,
        ask: Ask,
        answer: Answer,
        now: Moment,
    ) -> Vec<Wish> {
        let Some(sent_at) = self.asked.take(id) else { return Vec::new() };
        match (ask, answer) {
            (_, Answer::Away) => {
                self.watch.step(lease::observer::Event::Lost, now);
                self.renewed_at = Moment::ZERO;
                self.hold_steps(lease::holder::Event::Away { asked_at: sent_at }, now)
            }
            (_, Answer::Begun(lease)) => {
                self.lease = Some(lease);
                self.renewed_at = sent_at;
                let hold = Hold::new(self.terms, sent_at);
                let wishes = vec![Wish::Arm(hold.until())];
                self.hold = Some(hold);
                wishes
            }
            (Ask::Look { renew, .. }, Answer::Looked { held, leases }) => {
                if !held {
                    return self.hold_steps(lease::holder::Event::Taken, now);
                }
                self.to_take =
                    self.watch.step(lease::observer::Event::Looked { sent_at, leases }, now);
                self.to_take.retain(|seen| Some(seen.lease) != self.lease);
                if !renew {
                    return Vec::new();
                }
                self.hold_steps(lease::holder::Event::Renewed { sent_at }, now)
            }
            (Ask::Close { row }, _) => {
                self.dead.retain(|dead| *dead != row);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Until when a worker that is born now may live.
    pub(crate) fn until(&self) -> Moment {
        self.hold.as_ref().map_or(Moment::ZERO, Hold::until)
    }

    fn hold_steps(&mut self, event: lease::holder::Event, now: Moment) -> Vec<Wish> {
        let forever = self.lives_forever && event != lease::holder::Event::Taken;
        let Some(hold) = &mut self.hold else { return Vec::new() };
        let actions = hold.step(event, now).into_iter();
        let wishes = actions.flat_map(|action| match action {
            lease::holder::Action::Arm(until) => vec![Wish::Arm(until), Wish::Tell(until)],
            lease::holder::Action::Die if forever => Vec::new(),
            lease::holder::Action::Die => vec![Wish::Die],
        });
        wishes.collect()
    }
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) row: usize,
    /// The lease that it knows to live by.
    pub(crate) lease: Lease,
    pub(crate) line: Line,
    /// Work, and the lease, have a connection each.
    pub(crate) work: Asked,
    pub(crate) own: Asked,
    pub(crate) run: Option<(usize, u64)>,
    pub(crate) run_until: Moment,
    deserted: bool,
    /// The code has ended; that is not recorded yet.
    over: bool,
}

impl Worker {
    pub(crate) fn new(
        row: usize,
        lease: Lease,
        terms: Terms,
        until: Moment,
        now: Moment,
    ) -> Worker {
        Worker {
            row,
            lease,
            line: Line::new(terms, until, now),
            work: Asked::default(),
            own: Asked::default(),
            run: None,
            run_until: Moment::ZERO,
            deserted: false,
            over: false,
        }
    }

    pub(crate) fn on_time(&mut self, now: Moment, has_monitor: bool) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if self.own.given_up(now) {
            wishes.extend(self.steps(lease::lifeline::Event::Failed, now));
        }
        if !has_monitor && !std::mem::replace(&mut self.deserted, true) {
            wishes.extend(self.steps(lease::lifeline::Event::Deserted, now));
        } else {
            wishes.extend(self.steps(lease::lifeline::Event::Time, now));
        }
        self.work.given_up(now);
        if self.work.is_free() {
            match self.run {
                Some((task, run)) if now >= self.run_until => {
                    self.over = true;
                    wishes.push(Wish::Ask(Ask::Complete { row: self.row, task, run }));
                }
                Some(_) => {}
                None if self.deserted || self.line.is_alone() => wishes.push(Wish::Die),
                None => {
                    wishes.push(Wish::Ask(Ask::Claim { row: self.row, lease: self.lease }));
                }
            }
        }
        wishes
    }

    pub(crate) fn on_answer(
        &mut self,
        id: u64,
        ask: Ask,
        answer: Answer,
        now: Moment,
    ) -> Vec<Wish> {
        if let Some(sent_at) = self.own.take(id) {
            let event = match answer {
                Answer::Away => lease::lifeline::Event::Away { asked_at: sent_at },
                Answer::Adopted(Some(lease)) => {
                    self.lease = lease;
                    lease::lifeline::Event::Adopted { sent_at }
                }
                Answer::Renewed(true) => lease::lifeline::Event::Renewed { sent_at },
                Answer::Adopted(None) | Answer::Renewed(false) => lease::lifeline::Event::Taken,
                _ => lease::lifeline::Event::Failed,
            };
            return self.steps(event, now);
        }
        if self.work.take(id).is_none() {
            return Vec::new();
        }
        match (ask, answer) {
            (Ask::Complete { .. }, Answer::Done) => {
                (self.run, self.over) = (None, false);
                Vec::new()
            }
            (_, Answer::Claimed(Some((task, run)))) if self.run.is_none() => {
                vec![Wish::Begin { task, run }]
            }
            _ => Vec::new(),
        }
    }

    /// Whether the code of a task is running here.
    pub(crate) fn runs(&self, task: usize) -> bool {
        !self.over && self.run.is_some_and(|(running, _)| running == task)
    }

    pub(crate) fn steps(&mut self, event: lease::lifeline::Event, now: Moment) -> Vec<Wish> {
        let (busy, asks) = (self.run.is_some(), !self.own.is_free());
        let wish = |action| match action {
            lease::lifeline::Action::Arm(until) => Wish::Arm(until),
            lease::lifeline::Action::Adopt => {
                Wish::Ask(Ask::Adopt { row: self.row, lease: self.lease })
            }
            lease::lifeline::Action::Renew => Wish::Ask(Ask::Renew { lease: self.lease }),
            lease::lifeline::Action::Die => Wish::Die,
        };
        self.line.step(event, now, busy, asks).into_iter().map(wish).collect()
    }
}
