//! A crowd: runs of one operation that are open in one runner at the same time, as many as its
//! `concurrency` says. Each has lines, limits and an end of its own. They share a process: when that must be
//! killed for one of them, the others are lost.

mod doom;
mod hearing;

use std::time::Duration;

use rework_core::{
    task::{claim::OperationVersion, complete::Completion, progress::Line},
    wire::runner::ToRunner,
};
use tokio::time::Instant;

use self::{doom::Doom, hearing::answered};
use crate::{
    alarm::Alarm,
    ending::Sentence,
    front::{Front, SAMPLE},
    hand::Hand,
    life::{Event, Life},
    operations::Operation,
    pace::LONG,
    ready,
    recorder::{Held, Recorder},
    revision::Revision,
    run::{self, LeaseLost, Workshop},
    runner::Runner,
};

/// One with room looks for more so often: a monitor wakes only workers that have nothing to do.
const ASK: Duration = Duration::from_millis(200);

/// The runner's size is looked at so often.
const LOOK_OVER: Duration = Duration::from_secs(1);

/// The stream of what the process wrote past the SDK: whose it is cannot be told, so it is everybody's.
const SHARED: &str = "shared";

/// Open runs, and where they run.
pub(super) struct Crowd<'a> {
    runner: &'a mut Runner,
    operation: &'a Operation,
    version: OperationVersion,
    revision: String,
    /// At least one, until it is over.
    open: Vec<Front>,
    began: Instant,
    /// How many more the runner may be given.
    allowed: u32,
    /// Bytes past which it is given no more; 0: any.
    maxmem_bytes: u64,
    /// It is given no more.
    closed: bool,
    /// When to look for more, where there was nothing.
    ask_at: Instant,
    look_over_at: Instant,
    /// Whose turn it is to be asked about, where a worker without monitor asks for aborts itself.
    turn: usize,
    /// The runner has closed its socket, and is to be gone by then.
    silent_at: Option<Instant>,
}

/// Runs a task in a runner to which it was handed, and others beside it, until none is open.
pub(crate) async fn run(
    workshop: &mut Workshop,
    operation: &Operation,
    held: Held,
    mut runner: Runner,
    lines: Vec<Line>,
) -> Result<(), LeaseLost> {
    let now = Instant::now();
    let version = held.claimed.version;
    let (allowed, maxmem_bytes) = workshop.runners.may_open(&runner);
    let mut crowd = Crowd {
        revision: runner.revision.to_string(),
        runner: &mut runner,
        operation,
        version,
        open: vec![Front::new(held, &operation.definition.limits, lines)],
        began: now,
        allowed: allowed.saturating_sub(1),
        maxmem_bytes,
        closed: false,
        ask_at: now,
        look_over_at: now + LOOK_OVER,
        turn: 0,
        silent_at: None,
    };
    let Workshop { life, recorder, hand, nursery, alarm, .. } = &mut *workshop;
    let doom = crowd.drive(life, recorder, hand, alarm).await;
    let Some(doom) = doom else {
        run::clear(&mut runner, None, true, life, recorder, hand).await?;
        workshop.runners.give_back(runner).await;
        return Ok(());
    };
    let doom = match doom {
        // The kernel may have killed it before we saw why.
        Doom::Exited(_) => crowd.over_memory().map_or(doom, Doom::Memory),
        doom => doom,
    };
    let fence = crowd.open.first().map(Front::fence);
    let cleared = run::clear(crowd.runner, fence, false, life, recorder, hand).await;
    if matches!(doom, Doom::LeaseLost) || cleared.is_err() {
        return Err(LeaseLost);
    }
    crowd.end_all(&doom, nursery, recorder, hand);
    Ok(())
}

impl Crowd<'_> {
    /// Until none is open, or all must end at once.
    async fn drive(
        &mut self,
        life: &mut Life,
        recorder: &Recorder,
        behind: &mut Hand,
        alarm: &mut Alarm,
    ) -> Option<Doom> {
        loop {
            self.fill(life, recorder, behind);
            self.turn = (self.turn + 1) % self.open.len().max(1);
            let fence = self.open.get(self.turn)?.fence();
            let timer = self.next_timer(recorder, behind);
            let asked = behind.is_asked();
            let room = !recorder.is_full();
            let Runner { child, frames, stdout, stderr, .. } = &mut *self.runner;
            let mut lines = Vec::new();
            let doom = tokio::select! {
                biased;
                event = life.next(Some(fence)) => self.on_event(event, recorder, behind),
                () = alarm.until(timer) => self.on_timer(recorder, behind),
                frame = Runner::next(frames), if room => self.on_frames(frame, recorder, behind),
                (place, answer) = answered(&mut self.open) => self.on_scheduled(place, answer),
                () = behind.arrival(), if asked => {
                    if behind.is_empty() {
                        self.ask_at = Instant::now() + ASK;
                    }
                    None
                }
                exit = child.wait() => Some(self.last_words(exit, recorder, behind)),
                read = stdout.read(), if room && stdout.is_open() => {
                    read.map(|bytes| stdout.splitter.push(&bytes, &mut lines)).err().map(Doom::from)
                }
                read = stderr.read(), if room && stderr.is_open() => {
                    read.map(|bytes| stderr.splitter.push(&bytes, &mut lines)).err().map(Doom::from)
                }
            };
            self.share(lines);
            if doom.is_some() {
                return doom;
            }
            self.open.iter_mut().for_each(|front| front.look_after_lines(recorder));
        }
    }

    /// Hands over what waits while there is room, and looks for more.
    fn fill(&mut self, life: &Life, recorder: &Recorder, behind: &mut Hand) {
        if let Some(why) = life.retired() {
            self.closed = true;
            return behind.give_back(&format!("its worker was leaving: {why}"), recorder);
        }
        while self.room() > 0 {
            let Some(held) = behind.next_of(self.version) else { break };
            self.hand_over(held, recorder, behind);
        }
        if !behind.is_empty() {
            // It cannot be run here before others have ended. Those of a new version wait for the end of all.
            let version = behind.next_version();
            self.closed |= version.is_some_and(|version| {
                version.operation == self.version.operation && version != self.version
            });
            if self.open.iter().any(|front| front.is_long) {
                behind.give_back("the tasks before it took long", recorder);
            }
        } else if self.room() > 0 && !behind.is_asked() && self.ask_at <= Instant::now() {
            behind.ask_for(self.version.operation, self.room(), recorder);
        }
        if let Some(frames) = &mut self.runner.frames {
            frames.push();
        }
    }

    /// How many more may be open.
    fn room(&self) -> u32 {
        if self.closed || self.open.is_empty() {
            return 0;
        }
        let most = self.operation.definition.limits.concurrency.unsigned_abs();
        most.saturating_sub(self.open.len() as u32).min(self.allowed)
    }

    fn hand_over(&mut self, mut held: Held, recorder: &Recorder, behind: &mut Hand) {
        let revision = Revision::of(&self.operation.code, self.version.revision);
        if revision.ok().as_ref() != Some(&self.runner.revision) {
            self.closed = true;
            return behind.put_back(vec![held]);
        }
        match self.operation.fitting(std::mem::take(&mut held.claimed.input)) {
            Ok(input) => held.claimed.input = input,
            Err(verdict) => {
                let fence = held.claimed.fence;
                let refused = Completion::new(fence, verdict.outcome, verdict.reason);
                return recorder.complete(refused);
            }
        }
        if ready::send(self.runner, self.operation, &held, false).is_err() {
            self.closed = true;
            return behind.put_back(vec![held]);
        }
        self.allowed -= 1;
        self.open.push(Front::new(held, &self.operation.definition.limits, Vec::new()));
    }

    fn on_event(&mut self, event: Event, recorder: &Recorder, behind: &mut Hand) -> Option<Doom> {
        match event {
            Event::Abort(abort) => {
                match self.open.iter().position(|front| abort.names(front.fence())) {
                    Some(place) => self.pass(place, abort.sentence()),
                    None => behind.abort(&abort, recorder),
                }
                None
            }
            Event::LeaseLost => Some(Doom::LeaseLost),
            Event::Woken => {
                self.ask_at = Instant::now();
                None
            }
            Event::Retired => None,
        }
    }

    fn next_timer(&self, recorder: &Recorder, behind: &Hand) -> Instant {
        let limits = &self.operation.definition.limits;
        let asks = self.room() > 0 && behind.is_empty() && !behind.is_asked();
        let room = recorder.is_full().then(|| Instant::now() + SAMPLE);
        let own = self.open.iter().filter_map(|front| front.timer(limits));
        let others = [asks.then_some(self.ask_at), self.silent_at, room];
        own.chain(others.into_iter().flatten()).fold(self.look_over_at, Instant::min)
    }

    /// Whatever is due.
    fn on_timer(&mut self, recorder: &Recorder, behind: &mut Hand) -> Option<Doom> {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if now >= self.look_over_at {
            self.look_over_at = now + LOOK_OVER;
            let usage = || self.runner.tree.usage().memory_bytes;
            self.closed |= self.maxmem_bytes > 0 && usage() > self.maxmem_bytes;
        }
        if due(self.silent_at) {
            return Some(Doom::Silent);
        }
        if let Some(front) = self.open.iter().find(|front| due(front.kill_at)) {
            // It may have ended in the meantime.
            let run = front.key();
            let heard = self.hear_out(recorder, behind);
            let is_open = self.open.iter().any(|front| front.key() == run);
            return heard.or_else(|| is_open.then_some(Doom::Killed { run }));
        }
        let mut late = Vec::new();
        for (place, front) in self.open.iter_mut().enumerate() {
            if !front.is_long && now >= front.began + LONG {
                front.is_long = true;
                recorder.begin(front.fence(), front.began, self.revision.clone());
            }
            if front.flush_is_due(now) {
                front.flush(recorder);
            }
            if due(front.timeout_at(&self.operation.definition.limits)) {
                late.push(place);
            }
        }
        for place in late {
            let limit = self.operation.definition.limits.timeout_ms.unwrap_or_default();
            self.pass(place, Sentence::Timeout(Duration::from_millis(limit.unsigned_abs())));
        }
        self.watch_memory(now)
    }

    /// The tree is everybody's, and so is its limit.
    fn watch_memory(&mut self, now: Instant) -> Option<Doom> {
        let is_due = |front: &Front| front.sample_at.is_some_and(|at| at <= now);
        if !self.open.iter().any(is_due) {
            return None;
        }
        self.open.iter_mut().for_each(|front| front.sample_at = Some(now + SAMPLE));
        self.over_memory().map(Doom::Memory)
    }

    /// A run is to end: it is asked to, and killed, with all others, when its grace is over.
    fn pass(&mut self, place: usize, sentence: Sentence) {
        let front = &mut self.open[place];
        if front.sentence.is_some() {
            return;
        }
        let grace = self.operation.definition.limits.grace_ms.unsigned_abs();
        let reason = sentence.verdict().reason.unwrap_or_default();
        let (task, run) = front.key();
        front.sentence = Some(sentence);
        front.kill_at = Some(Instant::now() + Duration::from_millis(grace));
        let abort = ToRunner::Abort { task, run, reason };
        let sent = self.runner.frames.as_mut().is_some_and(|f| f.send(&abort, &[]).is_ok());
        if !sent {
            self.open[place].kill_at = Some(Instant::now());
        }
    }

    /// Lines that the process wrote past the SDK.
    fn share(&mut self, lines: Vec<Line>) {
        for mut line in lines {
            SHARED.clone_into(&mut line.stream);
            self.open.iter_mut().for_each(|front| front.lines.push(line.clone()));
        }
    }
}
