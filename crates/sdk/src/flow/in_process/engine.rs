//! [`Engine`]: runs the steps of a flow, one after the other. The rules are those of [`Model`].

use std::collections::BTreeMap;
use std::sync::Arc;

use rework_flow::model::{End, Event, Model, Phase, Work};
use rework_flow::plan::{Plan, StepKind};
use rework_wire::runner::Failure;
use serde_json::{Value, json};

use super::program::Program;
use super::{FlowEnd, Replacement};
use crate::task::State;
use crate::{Error, Task};

/// Runs the steps of one flow.
pub(super) struct Engine {
    program: Program,
    steps: BTreeMap<String, Replacement>,
    reverts: BTreeMap<String, Replacement>,
    state: Arc<State>,
    /// The errors of the steps that have failed, by their numbers: kind and message.
    errors: BTreeMap<i32, Value>,
    events: Vec<String>,
    /// Why the first revert failed.
    revert_failure: Option<String>,
}

impl Engine {
    pub(super) fn new(
        program: Program,
        steps: BTreeMap<String, Replacement>,
        reverts: BTreeMap<String, Replacement>,
        state: Arc<State>,
    ) -> Engine {
        let (errors, events) = (BTreeMap::new(), Vec::new());
        Engine { program, steps, reverts, state, errors, events, revert_failure: None }
    }

    /// Runs the flow until nothing is left to run.
    pub(super) fn run(mut self, plan: &Plan, input: &Value) -> Result<FlowEnd, Error> {
        if tokio::runtime::Handle::try_current().is_ok() {
            let message = "a flow cannot run within `async` code: call `run` outside of it";
            return Err(Error::with_kind(Failure::LOAD.into(), message.to_owned()));
        }
        let no_refusals = BTreeMap::new();
        let mut model = Model::new(plan, input, &no_refusals);
        while let Some(work) = next(&model) {
            let task_input = model.tasks()[&work].input.clone();
            model.apply(&Event::Claimed(work));
            let end = self.execute(plan, work, task_input);
            model.apply(&Event::Ended(vec![(work, end)]));
        }
        let first_failure =
            || model.failures().first().map(|(step, reason)| format!("step {step}: {reason}"));
        let reason = match model.phase() {
            Phase::Done => None,
            Phase::RevertFailed => self.revert_failure,
            _ => first_failure(),
        };
        let output = model.output().unwrap_or_default();
        Ok(FlowEnd { phase: model.phase(), reason, output, events: self.events })
    }

    /// Runs one task, and notes what happened.
    fn execute(&mut self, plan: &Plan, work: Work, input: Value) -> End {
        let (result, name, done) = match work {
            Work::Execute(number) => {
                let step = &plan.steps[number as usize];
                if step.kind == StepKind::Enter {
                    return self.decide(plan, step.scope, &input);
                }
                let result = self.call(step.operation, Some(step.name.as_str()), &input);
                if let Err(error) = &result {
                    let facts = json!({"kind": error.kind(), "message": error.message()});
                    self.errors.insert(number, facts);
                }
                (result, step.name.as_str(), "done")
            }
            Work::Revert(number) => {
                let step = &plan.steps[number as usize];
                (self.revert(plan, number, input), step.name.as_str(), "reverted")
            }
            Work::Decide(scope) => return self.decide(plan, scope, &input),
        };
        let event = match &result {
            Ok(_) => format!("{name}: {done}"),
            Err(error) if done == "done" => format!("{name}: failed: {}", error.message()),
            Err(error) => {
                let why = error.message();
                self.revert_failure.get_or_insert(format!("revert of {name} failed: {why}"));
                format!("{name}: revert failed: {why}")
            }
        };
        self.events.push(event);
        end_of(result)
    }

    /// Reverts a step.
    fn revert(&mut self, plan: &Plan, number: i32, mut input: Value) -> Result<Value, Error> {
        let step = &plan.steps[number as usize];
        // The model knows only whether there is an error.
        let has_failed = input.get("error").and_then(Value::as_bool).unwrap_or_default();
        let error = self.errors.remove(&number).filter(|_| has_failed);
        input["error"] = error.unwrap_or_default();
        if let Some(function) = self.reverts.get_mut(&step.name) {
            return function(&input);
        }
        if self.steps.contains_key(&step.name) {
            return Ok(Value::Null);
        }
        self.call(step.undo_operation, None, &input)
    }

    /// Lets the controller of a scope decide.
    fn decide(&mut self, plan: &Plan, scope: i32, input: &Value) -> End {
        let scope = &plan.scopes[scope as usize];
        let result = self.call(scope.operation, None, input);
        let answer = match &result {
            Ok(output) => match output.get("decision").and_then(Value::as_str) {
                Some(decision) => decision.to_owned(),
                None => "not understood".to_owned(),
            },
            Err(error) => format!("failed: {}", error.message()),
        };
        self.events.push(format!("{}: {answer}", scope.name));
        end_of(result)
    }

    /// Calls the replacement of a step, else the operation. Returns its output; null if it has none or returns bytes.
    fn call(
        &mut self,
        operation: Option<i64>,
        step: Option<&str>,
        input: &Value,
    ) -> Result<Value, Error> {
        if let Some(function) = step.and_then(|name| self.steps.get_mut(name)) {
            return function(input);
        }
        let found = operation.and_then(|id| self.program.operation(id));
        let operation = found.ok_or_else(|| {
            let message = "this program does not have the operation";
            Error::with_kind(Failure::LOAD.into(), message.to_owned())
        })?;
        let bytes = (!input.is_null()).then(|| input.to_string().into_bytes());
        let state = Arc::clone(&self.state);
        let task = Task::without_worker(operation.domain, operation.name, bytes, false, state);
        let output = self.program.executor().run(&task)?.or_else(|| task.take_saved_output());
        match output {
            Some(output) if !output.raw => Ok(serde_json::from_slice(&output.bytes)?),
            _ => Ok(Value::Null),
        }
    }
}

/// Returns the task that runs next: the first step that can start, else the last one that can be undone. `None` if there
/// is none.
fn next(model: &Model<'_>) -> Option<Work> {
    let mut tasks = model.tasks().keys();
    let is_revert = |work: &&Work| matches!(work, Work::Revert(_));
    tasks.clone().find(|work| !is_revert(work)).or_else(|| tasks.rfind(is_revert)).copied()
}

/// The beginning of the message of an error that the input has another type than the function takes.
const INVALID_INPUT: &str = "invalid input: ";

fn end_of(result: Result<Value, Error>) -> End {
    match result {
        Ok(output) => End::Done(output),
        // The function was not called.
        Err(error)
            if error.kind() == Failure::INPUT && error.message().starts_with(INVALID_INPUT) =>
        {
            End::Refused(error.message().to_owned())
        }
        Err(error) => End::Failed(error.message().to_owned()),
    }
}
