//! The recorder: all that a worker tells the database, in order, from a task of its own, so that
//! limits are kept and aborts are heard while Postgres is slow or away.

use std::{cell::Cell, rc::Rc, time::Duration};

use rework_core::{
    claim::{Claimant, Claimed, Fence, OperationVersion, Payload, Placed, claim, held, placed},
    complete::{Completion, Outcome, Recorded, complete},
    error::{Error, Result},
    report::{self, Child, Line},
    turn::turn,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use crate::database::Database;

/// Lines that may wait to be written, in bytes; past it the worker stops reading what its runner
/// writes, and the runner waits in turn.
pub(crate) const MAX_WAITING_BYTES: usize = 16 << 20;

/// Most lines of one statement.
const MAX_LINES: usize = 5_000;

/// Until the end of a run that the database refused is told again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Where a worker's words go.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::UnboundedSender<Entry>,
    waiting: Rc<Cell<usize>>,
}

/// An answer, when it comes. Its sender lives as long as the worker.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T>>;

enum Entry {
    Lines(Fence, Vec<Line>, usize),
    Begin(Fence, i64, String),
    Save(Fence, Option<String>, Payload),
    Unkillable(Fence, String),
    Child(Fence, Box<Child>, oneshot::Sender<Result<Option<i64>>>),
    Placed(OperationVersion, oneshot::Sender<Result<Placed>>),
    Claim(oneshot::Sender<Result<Option<Claimed>>>),
    Complete(Box<Completion>, oneshot::Sender<Result<Recorded>>),
    CompleteAndClaim(Box<Completion>, oneshot::Sender<Result<(Recorded, Option<Claimed>)>>),
    Adopt(oneshot::Sender<Result<Option<(i64, i64)>>>),
    Renew(Fence, oneshot::Sender<Result<Option<String>>>),
    Leave(String, oneshot::Sender<Result<()>>),
}

impl Recorder {
    /// Starts one for this claimant, in the `LocalSet` of this thread.
    pub(crate) fn start(database: Database, who: Claimant) -> Recorder {
        let (sender, receiver) = mpsc::unbounded_channel();
        let waiting = Rc::default();
        let recorder = Recorder { sender, waiting: Rc::clone(&waiting) };
        let state = State { database, who, uncertain: false, waiting };
        tokio::task::spawn_local(state.run(receiver));
        recorder
    }

    /// Lines of a run.
    pub(crate) fn lines(&self, fence: Fence, lines: Vec<Line>) {
        let bytes = lines.iter().map(|line| line.bytes.len() + 64).sum();
        self.waiting.set(self.waiting.get() + bytes);
        self.tell(Entry::Lines(fence, lines, bytes));
    }

    /// Whether so much waits that no more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.get() > MAX_WAITING_BYTES
    }

    /// The run's code began so many milliseconds ago.
    pub(crate) fn begin(&self, fence: Fence, elapsed_ms: i64, revision: String) {
        self.tell(Entry::Begin(fence, elapsed_ms, revision));
    }

    /// Progress and output under way.
    pub(crate) fn save(&self, fence: Fence, progress: Option<String>, output: Payload) {
        self.tell(Entry::Save(fence, progress, output));
    }

    /// A run whose processes do not die.
    pub(crate) fn unkillable(&self, fence: Fence, reason: String) {
        self.tell(Entry::Unkillable(fence, reason));
    }

    /// A task that a run schedules.
    pub(crate) fn child(&self, fence: Fence, child: Child) -> Answer<Option<i64>> {
        self.ask(|answer| Entry::Child(fence, Box::new(child), answer))
    }

    /// The details of an operation.
    pub(crate) fn placed(&self, version: OperationVersion) -> Answer<Placed> {
        self.ask(|answer| Entry::Placed(version, answer))
    }

    /// The next task.
    pub(crate) fn claim(&self) -> Answer<Option<Claimed>> {
        self.ask(Entry::Claim)
    }

    /// The end of a run.
    pub(crate) fn complete(&self, end: Completion) -> Answer<Recorded> {
        self.ask(|answer| Entry::Complete(Box::new(end), answer))
    }

    /// The end of a run, and the next task.
    pub(crate) fn complete_and_claim(
        &self,
        end: Completion,
    ) -> Answer<(Recorded, Option<Claimed>)> {
        self.ask(|answer| Entry::CompleteAndClaim(Box::new(end), answer))
    }

    /// A lease of the worker's own, in place of its monitor's: id and epoch.
    pub(crate) fn adopt(&self) -> Answer<Option<(i64, i64)>> {
        self.ask(Entry::Adopt)
    }

    /// Renews the worker's own lease; gives the reason for which its run is to end, if it is.
    pub(crate) fn renew(&self, fence: Fence) -> Answer<Option<String>> {
        self.ask(|answer| Entry::Renew(fence, answer))
    }

    /// The worker leaves.
    pub(crate) fn leave(&self, reason: String) -> Answer<()> {
        self.ask(|answer| Entry::Leave(reason, answer))
    }

    fn tell(&self, entry: Entry) {
        // The recorder ends only with the process.
        let _ = self.sender.send(entry);
    }

    fn ask<T>(&self, entry: impl FnOnce(oneshot::Sender<Result<T>>) -> Entry) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        self.tell(entry(sender));
        receiver
    }
}

struct State {
    database: Database,
    who: Claimant,
    /// A claim whose answer was lost may have taken a task that we do not know of.
    uncertain: bool,
    waiting: Rc<Cell<usize>>,
}

impl State {
    async fn run(mut self, mut entries: mpsc::UnboundedReceiver<Entry>) {
        loop {
            let expires = self.database.expires();
            let idle = async {
                match expires {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                entry = entries.recv() => match entry {
                    Some(entry) => self.handle(entry).await,
                    None => return,
                },
                () = idle => self.database.expire(),
            }
        }
    }

    async fn handle(&mut self, entry: Entry) {
        let db = &mut self.database;
        match entry {
            Entry::Lines(fence, lines, bytes) => {
                self.append(fence, &lines).await;
                self.waiting.set(self.waiting.get() - bytes);
            }
            Entry::Begin(fence, elapsed_ms, revision) => noted(
                db.until_answered(async |db| report::begin(db, fence, elapsed_ms, &revision).await)
                    .await,
            ),
            Entry::Save(fence, progress, output) => noted(
                db.until_answered(async |db| {
                    report::save(db, fence, progress.as_deref(), &output).await
                })
                .await,
            ),
            Entry::Unkillable(fence, reason) => noted(
                db.until_answered(async |db| report::unkillable(db, fence, &reason).await).await,
            ),
            Entry::Child(fence, child, answer) => {
                let asked = async |db: &_| report::schedule_child(db, fence, &child).await;
                let _ = answer.send(db.until_answered(asked).await);
            }
            Entry::Placed(version, answer) => {
                let _ = answer.send(db.until_answered(async |db| placed(db, version).await).await);
            }
            Entry::Claim(answer) => {
                let _ = answer.send(self.claim().await);
            }
            Entry::Complete(end, answer) => {
                let _ = answer.send(self.complete(*end).await);
            }
            Entry::CompleteAndClaim(end, answer) => {
                let _ = answer.send(self.complete_and_claim(*end).await);
            }
            Entry::Adopt(answer) => {
                let _ = answer.send(self.adopt().await);
            }
            Entry::Renew(fence, answer) => {
                let (lease, epoch) = (self.who.lease, self.who.epoch);
                let renew = async |db: &_| report::renew_own(db, lease, epoch, fence).await;
                let _ = answer.send(db.until_answered(renew).await);
            }
            Entry::Leave(reason, answer) => {
                let worker = self.who.worker;
                let leave = async |db: &_| report::leave(db, worker, &reason).await;
                let _ = answer.send(db.until_answered(leave).await);
            }
        }
    }

    async fn append(&mut self, fence: Fence, lines: &[Line]) {
        for some in lines.chunks(MAX_LINES) {
            let append = async |db: &_| report::append_log(db, fence, some).await;
            noted(self.database.until_answered(append).await.map(|()| true));
        }
    }

    async fn claim(&mut self) -> Result<Option<Claimed>> {
        let who = self.who.clone();
        let uncertain = std::mem::replace(&mut self.uncertain, true);
        let mut first = !uncertain;
        let claimed = self
            .database
            .until_answered(async |db| {
                // After an answer that was lost: what it took, if it took anything.
                if !std::mem::take(&mut first)
                    && let Some(task) = held(db, &who).await?
                {
                    return Ok(Some(task));
                }
                Ok(claim(db, &who, 1).await?.pop())
            })
            .await?;
        self.uncertain = false;
        Ok(claimed)
    }

    async fn complete(&mut self, mut end: Completion) -> Result<Recorded> {
        loop {
            let recorded = self.database.until_answered(async |db| complete(db, &end).await).await;
            match recorded {
                Err(error) if error.is_data() && end.outcome != Outcome::Refused => {
                    end = without_what_cannot_be_stored(end, &error);
                }
                // A full disk, a server that only reads for now: the result exists only here, and
                // who went on without it would be given the same run again.
                Err(error) if !error.is_data() => {
                    tracing::error!("the end of task {} is refused: {error}", end.fence.task);
                    sleep(REFUSED_PAUSE).await;
                }
                recorded => return recorded,
            }
        }
    }

    /// In one transaction where all goes well; else the end first, then the claim, each until it
    /// is answered.
    async fn complete_and_claim(&mut self, end: Completion) -> Result<(Recorded, Option<Claimed>)> {
        if !self.uncertain
            && let Ok(db) = self.database.get().await
        {
            match turn(db, &end, &self.who).await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    tracing::debug!("an end and a claim in one go failed: {error}");
                    self.uncertain = true;
                }
            }
        }
        let recorded = self.complete(end).await?;
        Ok((recorded, self.claim().await?))
    }

    async fn adopt(&mut self) -> Result<Option<(i64, i64)>> {
        let Claimant { worker, lease, epoch, .. } = self.who;
        let own = self
            .database
            .until_answered(async |db| report::adopt_lease(db, worker, lease, epoch).await)
            .await?;
        if let Some((lease, epoch)) = own {
            self.who.lease = lease;
            self.who.epoch = epoch;
        }
        Ok(own)
    }
}

fn without_what_cannot_be_stored(end: Completion, error: &Error) -> Completion {
    let reason = Some(format!("the output cannot be stored: {error}"));
    let fence = end.fence;
    Completion {
        elapsed_ms: end.elapsed_ms,
        memory_peak: end.memory_peak,
        revision: end.revision,
        ..Completion::new(fence, Outcome::Refused, reason)
    }
}

/// What nobody waits for: a run that is not current any more learns of it at its end.
fn noted(answer: Result<bool>) {
    match answer {
        Ok(true) => {}
        Ok(false) => tracing::debug!("a write of a run that is not current was refused"),
        Err(error) => tracing::warn!("a write of a run failed: {error}"),
    }
}
