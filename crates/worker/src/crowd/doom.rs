//! The end of one run of a crowd, and of all of them at once.

use rework_core::complete::{Completion, Outcome};
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
        let killed = match doom {
            Doom::Killed { run } => Some(*run),
            _ => None,
        };
        for mut front in std::mem::take(&mut self.open) {
            let begun = is_begun(nursery, front.held.slot, front.fence());
            let end = match doom {
                Doom::Exited(exit) => End::Exited(*exit),
                _ => End::GraceOver,
            };
            match doom {
                Doom::Broken(why) => {
                    front.sentence.get_or_insert_with(|| Sentence::Broken(why.clone()));
                }
                Doom::Memory(sentence) => {
                    front.sentence.get_or_insert_with(|| sentence.clone());
                }
                _ => {}
            }
            match killed {
                Some((task, _)) if front.sentence.is_none() => {
                    self.lose(front, task, begun, recorder);
                }
                _ => self.record(front, end, begun || self.runner.runs == 0, recorder, behind),
            }
        }
    }

    /// Its runner was killed, and it had done nothing for that.
    fn lose(&self, mut front: Front, task: i64, begun: bool, recorder: &Recorder) {
        let outcome = if begun { Outcome::Lost } else { Outcome::Unbegun };
        let reason = format!("its runner was killed: task {task}, open beside it, did not end");
        let mut completion = Completion::new(front.fence(), outcome, Some(reason));
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
