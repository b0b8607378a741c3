//! The end of one run of a crowd, and of all of them at once.

use rework_core::task::complete::{Completion, Outcome};
use rework_process::Exit;

use super::Crowd;
use crate::{
    ending::Sentence, front::Front, hand::Hand, lines::Key, open_run::End, ready::is_begun,
    recorder::Recorder, run::judge, runner::Nursery,
};

/// Why all runs of a crowd end at once.
#[derive(Debug)]
pub(super) enum Doom {
    /// The process ended.
    Exited(Exit),
    /// The grace of this one was over.
    Killed { run: Key },
    /// The runner said what cannot be.
    Broken(String),
    /// The tree is past its memory.
    Memory(Sentence),
    /// The runner closed its socket and did not end.
    Silent,
    /// The runs are somebody else's now.
    LeaseLost,
}

/// What becomes of one run.
#[derive(Debug)]
enum Fate {
    /// It ended, by this sentence if it had none of its own.
    End(End, Option<Sentence>),
    /// It had done nothing for the end of its runner.
    GivenUp(String),
}

/// `own`: it was to end; `begun`: its code had begun; `blamed`: it had, or it is the first of a runner in which
/// nothing ever has.
fn fate(doom: &Doom, own: bool, begun: bool, blamed: bool) -> Fate {
    match doom {
        _ if own && !begun => Fate::End(End::Revoked, None),
        Doom::Exited(exit) => Fate::End(End::Exited(*exit), None),
        Doom::Killed { run: (task, _) } if !own => Fate::GivenUp(format!(
            "its runner was killed: task {task}, open beside it, did not end"
        )),
        _ if !own && !blamed => Fate::GivenUp("its runner was killed before it began".to_owned()),
        Doom::Broken(why) => Fate::End(End::GraceOver, Some(Sentence::Broken(why.clone()))),
        Doom::Memory(sentence) => Fate::End(End::GraceOver, Some(sentence.clone())),
        Doom::Killed { .. } | Doom::Silent | Doom::LeaseLost => Fate::End(End::GraceOver, None),
    }
}

impl From<std::io::Error> for Doom {
    /// What it writes cannot be read.
    fn from(error: std::io::Error) -> Doom {
        Doom::Broken(error.to_string())
    }
}

impl Crowd<'_> {
    /// One is over; the others go on.
    pub(super) fn finish(
        &mut self,
        place: usize,
        end: End,
        recorder: &Recorder,
        behind: &mut Hand,
    ) {
        self.drain(self.open.len() == 1);
        let front = self.open.swap_remove(place);
        // The last one is counted when the runner is given back.
        self.runner.runs += u32::from(!self.open.is_empty());
        self.record(front, end, true, recorder, behind);
        self.ask_at = tokio::time::Instant::now();
    }

    /// The process is gone, or is not to be believed any more: no process of it is left.
    pub(super) fn end_all(
        mut self,
        doom: &Doom,
        nursery: &Nursery,
        recorder: &Recorder,
        behind: &mut Hand,
    ) {
        self.drain(true);
        // A runner that dies before it has begun anything would do so again.
        let any_begun = self.runner.runs > 0
            || self.open.iter().any(|front| is_begun(nursery, front.held.slot, front.fence()));
        self.open.sort_by_key(|front| front.began);
        for (place, mut front) in std::mem::take(&mut self.open).into_iter().enumerate() {
            let begun = is_begun(nursery, front.held.slot, front.fence());
            let blamed = begun || (place == 0 && !any_begun);
            match fate(doom, front.sentence.is_some(), begun, blamed) {
                Fate::End(end, sentence) => {
                    front.sentence = front.sentence.or(sentence);
                    self.record(front, end, blamed, recorder, behind);
                }
                Fate::GivenUp(why) => self.give_up(front, why, begun, recorder),
            }
        }
    }

    /// Its runner was killed, and it had done nothing for that.
    fn give_up(&self, mut front: Front, why: String, begun: bool, recorder: &Recorder) {
        let outcome = if begun { Outcome::Lost } else { Outcome::Unbegun };
        let mut completion = Completion::new(front.fence(), outcome, Some(why));
        let (since, ended) = front.times(self.began);
        completion.began = begun.then_some(since);
        completion.ended = ended;
        completion.revision = Some(self.revision.clone());
        front.flush_last(recorder);
        recorder.complete(completion);
    }

    fn record(
        &self,
        mut front: Front,
        end: End,
        begun: bool,
        recorder: &Recorder,
        behind: &mut Hand,
    ) {
        let (since, ended) = front.times(self.began);
        let ran = begun && !matches!(end, End::Revoked);
        if ran {
            behind.ran(self.version.operation, ended - since);
        }
        let mut completion = judge(&mut front, end, &self.revision, None, begun);
        completion.began = ran.then_some(since);
        completion.ended = ended;
        front.flush_last(recorder);
        recorder.complete(completion);
    }

    /// Reads all that is in the pipes now; of the last run also what is no whole line.
    fn drain(&mut self, last: bool) {
        let mut lines = Vec::new();
        if let Err(error) = self.runner.drain(&mut lines) {
            tracing::warn!("what a runner wrote last could not be read: {error}");
        }
        if last {
            self.runner.stdout.splitter.finish(&mut lines);
            self.runner.stderr.splitter.finish(&mut lines);
        }
        self.share(lines);
    }

    /// The sentence for a tree that is past its memory.
    pub(super) fn over_memory(&mut self) -> Option<Sentence> {
        let limit = self.operation.definition.limits.memory_bytes?.unsigned_abs();
        let used = self.runner.tree.exceeded()?;
        Some(Sentence::Memory { used, limit, sampled: self.runner.sampled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(doom: &Doom, own: bool, begun: bool, blamed: bool) -> &'static str {
        match fate(doom, own, begun, blamed) {
            Fate::End(End::Revoked, None) => "taken back",
            Fate::End(End::Exited(_), None) => "by the exit",
            Fate::End(End::GraceOver, None) => "as it was sentenced",
            Fate::End(End::GraceOver, Some(_)) => "sentenced",
            Fate::End(..) => "otherwise",
            Fate::GivenUp(_) => "given up",
        }
    }

    #[test]
    fn who_has_done_nothing_is_not_blamed() {
        let killed = Doom::Killed { run: (17, 1) };
        assert_eq!(outcome(&killed, true, true, true), "as it was sentenced");
        assert_eq!(outcome(&killed, false, true, true), "given up");
        assert_eq!(outcome(&killed, true, false, false), "taken back");
        let broken = Doom::Broken("no frame".to_owned());
        assert_eq!(outcome(&broken, false, true, true), "sentenced");
        assert_eq!(outcome(&broken, false, false, false), "given up");
        assert_eq!(outcome(&broken, false, false, true), "sentenced", "the first of a new runner");
        assert_eq!(outcome(&Doom::Exited(Exit::Code(3)), false, false, false), "by the exit");
        assert_eq!(outcome(&Doom::Silent, false, true, true), "as it was sentenced");
    }
}
