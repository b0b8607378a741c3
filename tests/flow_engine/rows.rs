//! Reads the rows of flows, and describes them with the words with which the model is described, so that both can be
//! compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rework_flow::model::{Model, Phase, Progress, StepState, Work};
use rework_flow::plan::Plan;
use serde_json::Value;

use crate::support::session::Session;

/// The rows of one flow.
pub(super) struct Rows {
    whole: Value,
    /// The tasks that have not ended and that the flow waits for.
    pub(super) open: BTreeMap<Work, TaskRow>,
    /// The tasks that have not ended and whose ends count for nothing.
    pub(super) ignored: Vec<TaskRow>,
}

/// A task that has not ended.
#[derive(Clone)]
pub(super) struct TaskRow {
    pub(super) id: i64,
    pub(super) run: i64,
    pub(super) state: String,
    pub(super) operation: i64,
    pub(super) reason: String,
    /// Whether the code of one of its earlier runs has started.
    pub(super) has_started: bool,
    input: Value,
}

/// This statement returns the rows of some flows, each as one JSON value.
const READ: &str = "
select f.id, json_build_object(
           'phase', f.phase, 'task', t.state, 'output', t.output, 'missed', f.missed,
           'scopes', (select json_agg(json_build_object('round', c.round, 'value', c.value::text, 'aim', c.aim)
                                      order by c.number)
                        from rework.scope c where c.flow = f.id),
           'steps', (select json_agg(json_build_object('state', s.state, 'missing', s.missing) order by s.number)
                       from rework.step s where s.flow = f.id),
           'tasks', (select json_agg(json_build_object(
                                'id', k.id, 'run', k.run, 'state', k.state, 'operation', k.operation,
                                'reason', k.reason, 'input', k.input,
                                'has_started', exists (select from rework.run r
                                                      where r.task = k.id and r.started_at is not null),
                                'work', case when s.task = k.id and s.state = 'started' then 'execute'
                                             when s.undo_task = k.id and s.state = 'reverting' then 'revert'
                                             when c.controller_task = k.id and c.aim = 'answer' then 'decide' end,
                                'number', case when c.controller_task = k.id then c.number else s.number end)
                                     order by k.id)
                       from rework.task k
                       join rework.step s on s.flow = k.flow and s.number = k.step
                       join rework.scope c on c.flow = s.flow and c.number = s.scope
                      where k.flow = f.id
                        and k.state in ('delayed', 'queued', 'waiting', 'running', 'aborting')))::text
  from rework.flow f
  join rework.task t on t.id = f.id
 where f.id = any ($1)";

/// Reads the rows of these flows.
pub(super) fn read(session: &Session, flows: &[i64]) -> BTreeMap<i64, Rows> {
    let rows = session.query(READ, &[&flows]);
    rows.iter().map(|row| (row.get(0), Rows::parse(row.get(1)))).collect()
}

impl Rows {
    fn parse(text: &str) -> Rows {
        let mut whole: Value = serde_json::from_str(text).unwrap();
        let (mut open, mut ignored) = (BTreeMap::new(), Vec::new());
        if let Value::Array(tasks) = whole["tasks"].take() {
            for mut task in tasks {
                let number = task["number"].as_i64().unwrap() as i32;
                let work = match task["work"].as_str() {
                    Some("execute") => Some(Work::Execute(number)),
                    Some("revert") => Some(Work::Revert(number)),
                    Some("decide") => Some(Work::Decide(number)),
                    _ => None,
                };
                let row = TaskRow {
                    id: task["id"].as_i64().unwrap(),
                    run: task["run"].as_i64().unwrap(),
                    state: task["state"].as_str().unwrap().to_owned(),
                    operation: task["operation"].as_i64().unwrap(),
                    reason: task["reason"].as_str().unwrap_or_default().to_owned(),
                    has_started: task["has_started"] == true,
                    input: task["input"].take(),
                };
                match work {
                    Some(work) => drop(open.insert(work, row)),
                    None => ignored.push(row),
                }
            }
        }
        Rows { whole, open, ignored }
    }

    /// Describes the rows in the words of `describe_model`.
    fn describe(&self) -> String {
        let whole = &self.whole;
        let mut text = format!(
            "phase {}, task {}, missed {}, output {}\n",
            plain(&whole["phase"]),
            plain(&whole["task"]),
            whole["missed"],
            whole["output"],
        );
        for (number, scope) in elements(&whole["scopes"]).enumerate() {
            // The value is written as the model writes it.
            let value = scope["value"]
                .as_str()
                .map(|text| serde_json::from_str::<Value>(text).unwrap().to_string());
            let (round, aim) = (&scope["round"], plain(&scope["aim"]));
            writeln!(text, "scope {number}: round {round}, value {value:?}, aim {aim}").unwrap();
        }
        for (number, step) in elements(&whole["steps"]).enumerate() {
            writeln!(text, "step {number}: {}", plain(&step["state"])).unwrap();
        }
        for (work, task) in &self.open {
            let progress = match (task.state.as_str(), task.run) {
                ("queued", 0) => Progress::New,
                ("queued", _) => Progress::Requeued,
                _ => Progress::Running,
            };
            let input = comparable_input(*work, &task.input);
            writeln!(text, "{work:?}: {progress:?}, input {input}").unwrap();
        }
        text
    }

    /// Compares the rows with the model. `Err` with both if they differ. Only tasks of `decide` may be ignored.
    pub(super) fn compare(&self, model: &Model<'_>, decide: i64) -> Result<(), String> {
        let (rows, expected) = (self.describe(), describe_model(model));
        if rows != expected {
            return Err(format!("the rows are\n{rows}\nand should be\n{expected}"));
        }
        match self.ignored.iter().find(|task| task.operation != decide) {
            Some(task) => Err(format!("nothing waits for task {}\n{rows}", task.id)),
            None => Ok(()),
        }
    }

    /// Checks that no step has started before those that it follows were over, that none is undone before those that
    /// follow it, and that the counters of steps that wait are right.
    pub(super) fn check_order(&self, plan: &Plan, model: &Model<'_>) -> Result<(), String> {
        let states: Vec<StepState> = model.steps().iter().map(|step| step.state).collect();
        let is_over = |number: &&i32| match states[**number as usize] {
            StepState::Done | StepState::Skipped => true,
            StepState::Failed => {
                plan.steps[**number as usize].on_failure
                    == rework_flow::description::OnFailure::Continue
            }
            _ => false,
        };
        for (step, row) in plan.steps.iter().zip(elements(&self.whole["steps"])) {
            let over = step.before.iter().filter(is_over).count();
            let state = states[step.number as usize];
            let has_started = !matches!(state, StepState::Pending | StepState::Reverted);
            if has_started && over < step.before.len() {
                return Err(format!(
                    "step {} has started too early\n{}",
                    step.number,
                    self.describe()
                ));
            }
            let is_left = |next: &&i32| {
                !matches!(states[**next as usize], StepState::Pending | StepState::Reverted)
            };
            let is_undone = matches!(state, StepState::Reverting | StepState::Reverted);
            if is_undone && step.after.iter().any(|next| is_left(&next)) {
                return Err(format!(
                    "step {} is undone too early\n{}",
                    step.number,
                    self.describe()
                ));
            }
            let is_going_on = model.phase() == Phase::Executing
                && model.scopes().iter().all(|scope| scope.aim.is_none());
            let missing = row["missing"].as_u64().unwrap_or_default() as usize;
            if state == StepState::Pending && is_going_on && missing != step.before.len() - over {
                return Err(format!("step {} misses {missing}\n{}", step.number, self.describe()));
            }
        }
        Ok(())
    }
}

fn describe_model(model: &Model<'_>) -> String {
    let missed = model.has_missed();
    let output = model.output().unwrap_or_default();
    let (phase, task) = (model.phase().name(), model.task_state());
    let mut text = format!("phase {phase}, task {task}, missed {missed}, output {output}\n");
    for (number, scope) in model.scopes().iter().enumerate() {
        let value = scope.value.as_ref().map(ToString::to_string);
        let aim = scope.aim.map_or("null", |aim| aim.name());
        writeln!(text, "scope {number}: round {}, value {value:?}, aim {aim}", scope.round)
            .unwrap();
    }
    for (number, step) in model.steps().iter().enumerate() {
        writeln!(text, "step {number}: {}", step.state.name()).unwrap();
    }
    for (work, task) in model.tasks() {
        writeln!(text, "{work:?}: {:?}, input {}", task.progress, task.input).unwrap();
    }
    text
}

/// Returns the input of a task as the model has it. Of a revert, the model knows only whether there is an error.
fn comparable_input(work: Work, input: &Value) -> Value {
    let mut input = input.clone();
    if let (Work::Revert(_), Some(error)) = (work, input.get_mut("error")) {
        *error = Value::Bool(!error.is_null());
    }
    input
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Returns a text without its quotes, and `null` for null.
fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or("null")
}
