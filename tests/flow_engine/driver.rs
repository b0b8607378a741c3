//! Drives flows without any process: it claims their tasks and records the ends, aborts and retries at random. After
//! each transaction it compares the rows with the model.

use std::sync::{Mutex, PoisonError};

use fastrand::Rng;
use rework_flow::model::{End, Event, Model, Phase, StepState, Work};
use serde_json::{Value, json};

use super::driven_flow::DrivenFlow;
use super::figures::Figures;
use super::operations::Operations;
use super::requests;
use super::rows::{self, TaskRow};
use super::runs::{claim_tasks, record};
use crate::support::session::Session;

/// So many flows run at the same time in one session.
const CONCURRENT: usize = 8;

/// A flow that has not ended after so many batches never ends.
const MOST_BATCHES: usize = 3_000;

/// While one session has locked tasks, no other one may have tasks that a monitor has to repeat.
static LOCKS: Mutex<()> = Mutex::new(());

/// A session that drives some flows.
pub(super) struct Driver<'a> {
    pub(super) session: Session,
    /// A second connection, which locks tasks.
    locker: Session,
    pub(super) operations: &'a Operations,
    pub(super) random: Rng,
    pub(super) flows: Vec<DrivenFlow<'a>>,
    pub(super) figures: Figures,
}

/// The end of a run that is to be recorded. `None`: the flow does not wait for the task.
struct RunEnd {
    flow: usize,
    work: Option<Work>,
    task: TaskRow,
    outcome: &'static str,
    reason: Option<String>,
    output: Option<Value>,
}

impl<'a> Driver<'a> {
    pub(super) fn new(dsn: &str, operations: &'a Operations, seed: u64) -> Driver<'a> {
        let session = Session::open(dsn);
        // The tables were empty when they were analyzed last. And nobody stops the server.
        session.execute("set enable_seqscan = off; set jit = off; set synchronous_commit = off");
        Driver {
            session,
            locker: Session::open(dsn),
            operations,
            random: Rng::with_seed(seed),
            flows: Vec::new(),
            figures: Figures::default(),
        }
    }

    /// Drives `count` random flows to their ends. `Err` if the rows differ from the model, or a flow does not end.
    pub(super) fn run(mut self, count: usize) -> Result<Figures, String> {
        while self.figures.flows < count || !self.flows.is_empty() {
            let missing = CONCURRENT.saturating_sub(self.flows.len());
            let number = missing.min(count - self.figures.flows);
            if number > 0 {
                requests::start_flows(&mut self, number)?;
            }
            match self.random.u8(..100) {
                0..=2 => requests::abort_flow(&mut self)?,
                3..=5 => requests::abort_task(&mut self)?,
                6..=13 => self.batch_beside_a_lock()?,
                14 => requests::plan_twice(&mut self)?,
                _ => {
                    self.batch(None)?;
                }
            }
            requests::retry_flows(&mut self)?;
            requests::remove_ended(&mut self)?;
        }
        Ok(self.figures)
    }

    /// Claims some tasks, and records the ends of some in one transaction, except that of a locked one.
    fn batch(&mut self, locked: Option<i64>) -> Result<(), String> {
        self.claim(locked);
        let mut ends = Vec::new();
        let share = [1, 2, 5][self.random.usize(..3)];
        for flow in 0..self.flows.len() {
            self.flows[flow].batches += 1;
            if self.flows[flow].batches > MOST_BATCHES {
                return Err(self.flows[flow].describe("never ends"));
            }
            let open = self.flows[flow].open.clone();
            for (work, task) in open.into_iter().filter(|(_, task)| task.state != "queued") {
                if self.random.u8(..5) < share {
                    ends.push(self.random_end(flow, work, task));
                }
            }
        }
        if ends.is_empty() {
            return Ok(());
        }
        self.random.shuffle(&mut ends);
        if self.random.u8(..20) == 0 {
            self.session.execute("begin");
            self.complete(&ends);
            self.session.execute("rollback");
            self.figures.rollbacks += 1;
            self.compare(&ends.iter().map(|end| end.flow).collect::<Vec<_>>())?;
        }
        self.complete(&ends);
        if self.random.u8(..20) == 0 {
            // Ends that were recorded already.
            self.complete(&ends);
        }
        self.figures.ends += ends.len();
        self.apply(&ends);
        self.compare(&ends.iter().map(|end| end.flow).collect::<Vec<_>>())
    }

    /// Claims about half of the queued tasks.
    fn claim(&mut self, locked: Option<i64>) {
        let mut claimed = Vec::new();
        for flow in &mut self.flows {
            for (work, task) in &mut flow.open {
                let is_free = task.state == "queued" && Some(task.id) != locked;
                if is_free && self.random.bool() {
                    "running".clone_into(&mut task.state);
                    task.run += 1;
                    claimed.push(task.id);
                    if let Some(work) = work {
                        flow.model.apply(&Event::Claimed(*work));
                        flow.history.push(Event::Claimed(*work));
                    }
                }
            }
        }
        claim_tasks(&self.session, &claimed);
    }

    fn random_end(&mut self, flow: usize, work: Option<Work>, task: TaskRow) -> RunEnd {
        let mut end = RunEnd { flow, work, task, outcome: "done", reason: None, output: None };
        let is_decision = end.task.operation == self.operations.decide;
        let is_revert = matches!(work, Some(Work::Revert(_)));
        let failures = if is_revert { 4 } else { self.flows[flow].failures };
        if end.task.state == "aborting" {
            end.outcome = "aborted";
        } else if self.random.u8(..25) == 0 {
            end.outcome = "not_started";
        } else if self.random.u8(..100) < failures {
            end.outcome = if self.random.u8(..4) == 0 { "refused" } else { "failed" };
            end.reason = Some(format!("failure {}", self.random.u16(..)));
        } else if is_decision {
            end.output = Some(self.random_answer(work));
        } else {
            let lists = [json!([1, 2]), json!([{"deep": 1}]), json!([self.random.u8(..), "x"])];
            let list = lists[self.random.usize(..lists.len())].clone();
            let output = json!({"ok": self.random.u8(..4) > 0, "list": list, "task": end.task.id});
            end.output = Some(if self.random.u8(..8) == 0 { json!(null) } else { output });
        }
        end
    }

    /// Returns what a controller says. It lets most scopes start.
    fn random_answer(&mut self, work: Option<Work>) -> Value {
        let retries = if matches!(work, Some(Work::Execute(_))) { 90 } else { 55 };
        match self.random.u8(..100) {
            number if number < retries => {
                json!({"decision": "retry", "value": [self.random.u8(..), "value"]})
            }
            90..=92 => json!({"decision": "retry"}),
            93..=94 => json!({"decision": "revert_all"}),
            95..=96 => json!("nothing"),
            _ => json!({"decision": "revert"}),
        }
    }

    fn complete(&self, ends: &[RunEnd]) {
        let runs: Vec<(i64, i64)> = ends.iter().map(|end| (end.task.id, end.task.run)).collect();
        let outcomes: Vec<&str> = ends.iter().map(|end| end.outcome).collect();
        let reasons: Vec<Option<&str>> = ends.iter().map(|end| end.reason.as_deref()).collect();
        let output = |end: &RunEnd| end.output.as_ref().map(ToString::to_string);
        let outputs: Vec<Option<String>> = ends.iter().map(output).collect();
        record(&self.session, &runs, &outcomes, &reasons, &outputs);
    }

    /// Tells the models what has ended in one transaction.
    fn apply(&mut self, ends: &[RunEnd]) {
        for (number, flow) in self.flows.iter_mut().enumerate() {
            let mut ended = Vec::new();
            for end in ends.iter().filter(|end| end.flow == number) {
                let Some(work) = end.work else { continue };
                if end.outcome == "not_started" {
                    flow.apply(Event::Requeued(work));
                } else if let Some(output) = &end.output {
                    ended.push((work, End::Done(output.clone())));
                } else {
                    let reason = end.reason.clone().unwrap_or_else(|| end.task.reason.clone());
                    let was_refused = end.outcome == "refused" && !end.task.has_started;
                    let ended_as = if was_refused { End::Refused } else { End::Failed };
                    ended.push((work, ended_as(reason)));
                }
            }
            if !ended.is_empty() {
                flow.apply(Event::Ended(ended));
            }
        }
    }

    /// Lets another transaction lock a queued task, while ends are recorded or its flow is aborted. Then a monitor
    /// repeats what the lock has prevented.
    fn batch_beside_a_lock(&mut self) -> Result<(), String> {
        let queued: Vec<(usize, Work, i64)> = self.queued_executions();
        if queued.is_empty() {
            return Ok(());
        }
        let (flow, work, task) = queued[self.random.usize(..queued.len())];
        let _lock = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        self.locker.execute("begin");
        self.locker.query("select from rework.task where id = $1 for update", &[&task]);
        self.flows[flow].apply(Event::Locked(work));
        if self.random.u8(..4) == 0 {
            requests::abort(self, flow)?;
        } else {
            self.batch(Some(task))?;
        }
        self.locker.execute("rollback");
        self.flows[flow].apply(Event::Unlocked(work));
        self.session.execute("select rework.advance_missed()");
        self.figures.locks += 1;
        self.flows[flow].apply(Event::Polled);
        self.compare(&[flow])
    }

    /// Returns the tasks that execute steps and that no worker has, each with the position of its flow.
    fn queued_executions(&self) -> Vec<(usize, Work, i64)> {
        let mut queued = Vec::new();
        for (number, flow) in self.flows.iter().enumerate() {
            for (work, task) in &flow.open {
                if let Some(work @ Work::Execute(_)) = work
                    && task.state == "queued"
                {
                    queued.push((number, *work, task.id));
                }
            }
        }
        queued
    }

    /// Returns the position of a flow that has not ended, at random.
    pub(super) fn random_flow(&mut self) -> Option<usize> {
        (!self.flows.is_empty()).then(|| self.random.usize(..self.flows.len()))
    }

    /// Compares the rows of some flows with their models.
    pub(super) fn compare(&mut self, flows: &[usize]) -> Result<(), String> {
        let mut flows = flows.to_vec();
        flows.sort_unstable();
        flows.dedup();
        let ids: Vec<i64> = flows.iter().map(|&flow| self.flows[flow].id).collect();
        let rows = rows::read(&self.session, &ids);
        self.figures.comparisons += flows.len();
        flows.iter().try_for_each(|&flow| {
            let flow = &mut self.flows[flow];
            let Some(rows) = rows.get(&flow.id) else { return Err(flow.describe("is not there")) };
            flow.compare(rows, self.operations.decide)
        })
    }
}

/// Returns whether a flow waits for somebody.
pub(super) fn is_parked(model: &Model<'_>) -> bool {
    model.phase() == Phase::RevertFailed
}

/// Returns the steps whose reverts have failed.
pub(super) fn not_reverted(model: &Model<'_>) -> Vec<i32> {
    let steps = model.steps().iter().zip(0..);
    steps.filter(|(step, _)| step.state == StepState::RevertFailed).map(|(_, n)| n).collect()
}
