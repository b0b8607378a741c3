//! A flow with its model.

use std::collections::BTreeMap;

use rework_flow::model::{Event, Model, Phase, StepState, Work};
use rework_flow::plan::{Plan, StepKind};
use serde_json::Value;

use super::operations::Operations;
use super::rows::{Rows, TaskRow};
use crate::support::session::Session;

/// A flow that a driver drives.
pub(super) struct DrivenFlow<'a> {
    pub(super) id: i64,
    /// The run that has returned the plan.
    pub(super) run: (i64, i64),
    plan: &'a Plan,
    input: &'a Value,
    operations: &'a Operations,
    pub(super) model: Model<'a>,
    pub(super) history: Vec<Event>,
    /// Its tasks that have not ended. `None`: the flow does not wait for the task.
    pub(super) open: Vec<(Option<Work>, TaskRow)>,
    pub(super) batches: usize,
    /// How many of 100 executions fail.
    pub(super) failures: u8,
    /// The number of times that it was retried after a stop.
    pub(super) resumed: usize,
    /// How often each step was reverted by hand.
    reverted_outside: BTreeMap<i32, i64>,
    /// The last task that an earlier plan has made.
    earlier_task: i64,
}

/// This statement returns, for each step that can be undone, how often it was executed and how often it was undone. A
/// task that was withdrawn before any worker had it executed nothing.
const EFFECTS: &str = "
select s.number, s.state,
       count(*) filter (where t.operation = s.operation
                          and not (t.state = 'aborted' and t.run = 0 and t.reason <> 'aborted by test')
                          and not (t.state = 'failed' and not rework.has_started(t.id))),
       count(*) filter (where t.operation = s.undo_operation and t.state = 'done')
  from rework.step s
  left join rework.task t on t.flow = s.flow and t.step = s.number and t.id > $2
 where s.flow = $1 and s.undo_operation is not null
 group by s.number, s.state";

/// This statement counts the tasks of a flow that no row names, so that nobody would find or delete them.
const FORGOTTEN: &str = "
select count(*)
  from rework.task t
 where t.flow = $1
   and not exists (select from rework.step s where s.flow = $1 and t.id in (s.task, s.undo_task))
   and not exists (select from rework.past p where p.flow = $1 and t.id in (p.task, p.undo_task))
   and not exists (select from rework.scope c where c.flow = $1 and t.id = c.controller_task)";

impl<'a> DrivenFlow<'a> {
    /// Starts to drive a flow. The plan and the input are kept until the tests end.
    pub(super) fn new(
        run: (i64, i64),
        plan: Plan,
        input: Value,
        operations: &'a Operations,
        earlier_task: i64,
    ) -> DrivenFlow<'a> {
        let plan: &'a Plan = Box::leak(Box::new(plan));
        let input: &'a Value = Box::leak(Box::new(input));
        DrivenFlow {
            id: run.0,
            run,
            plan,
            input,
            operations,
            model: Model::new(plan, input, &operations.refusals),
            history: Vec::new(),
            open: Vec::new(),
            batches: 0,
            failures: 15,
            resumed: 0,
            reverted_outside: BTreeMap::new(),
            earlier_task,
        }
    }

    /// Returns the number of steps without the gates.
    pub(super) fn steps(&self) -> usize {
        self.plan.steps.iter().filter(|step| step.kind == StepKind::Task).count()
    }

    pub(super) fn is_simple(&self) -> bool {
        self.plan.simple
    }

    pub(super) fn input(&self) -> &'a Value {
        self.input
    }

    pub(super) fn step_name(&self, number: i32) -> &str {
        &self.plan.steps[number as usize].name
    }

    /// Tells the model what has happened.
    pub(super) fn apply(&mut self, event: Event) {
        if let Event::Retried { reverted: Some(number) } = event {
            *self.reverted_outside.entry(number).or_default() += 1;
        }
        self.model.apply(&event);
        self.history.push(event);
    }

    /// Compares the rows with the model, and takes the open tasks from the rows. `Err` if they differ, or if nothing
    /// can happen to the flow any more although it has not ended.
    pub(super) fn compare(&mut self, rows: &Rows, decide: i64) -> Result<(), String> {
        rows.compare(&self.model, decide)
            .and_then(|()| rows.check_order(self.plan, &self.model))
            .map_err(|fault| self.describe(&fault))?;
        let open = rows.open.iter().map(|(work, task)| (Some(*work), task.clone()));
        let ignored = rows.ignored.iter().map(|task| (None, task.clone()));
        self.open = open.chain(ignored).collect();
        let waits = !self.model.tasks().is_empty()
            || self.model.phase().is_end()
            || self.model.phase() == Phase::RevertFailed;
        if waits { Ok(()) } else { Err(self.describe("hangs")) }
    }

    /// Checks a flow that has ended: its whole history makes the same model, and each step that was executed was undone,
    /// or not.
    pub(super) fn check_end(&self, session: &Session) -> Result<(), String> {
        let (plan, refusals) = (self.plan, &self.operations.refusals);
        let folded = Model::fold(plan, self.input, refusals, &self.history);
        if folded.steps() != self.model.steps() || folded.scopes() != self.model.scopes() {
            return Err(self.describe("has a history that makes something else"));
        }
        let forgotten: i64 = session.query_value(FORGOTTEN, &[&self.id]);
        if forgotten > 0 {
            return Err(self.describe(&format!("no row names {forgotten} of its tasks")));
        }
        if self.resumed > 0 || self.model.phase() == Phase::Stopped {
            return Ok(());
        }
        for row in session.query(EFFECTS, &[&self.id, &self.earlier_task]) {
            let (number, state): (i32, String) = (row.get(0), row.get(1));
            let (executed, undone): (i64, i64) = (row.get(2), row.get(3));
            let undone = undone + self.reverted_outside.get(&number).copied().unwrap_or_default();
            let was_refused = self.model.steps()[number as usize].was_refused;
            let was_executed = state != StepState::Skipped.name() && !was_refused;
            let remains = self.model.phase() == Phase::Done && was_executed;
            if executed - undone != i64::from(remains) {
                let what = format!("step {number} was executed {executed} times, undone {undone}");
                return Err(self.describe(&what));
            }
        }
        Ok(())
    }

    /// Describes what is wrong, with the plan and what has happened at last.
    pub(super) fn describe(&self, fault: &str) -> String {
        let plan = serde_json::to_string(self.plan).unwrap();
        let first = self.history.len().saturating_sub(40);
        let events: Vec<String> =
            self.history[first..].iter().map(|event| format!("{event:?}")).collect();
        let events = events.join("\n");
        format!("flow {}: {fault}\ninput {}\nplan {plan}\n{events}", self.id, self.input)
    }
}
