//! Reads a flow: its phase, its scopes, its steps with their tasks, and the tasks of earlier rounds. What belongs to
//! one flow may be large, so it is read in pages.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    flow::state::{Phase, StepKind, StepState},
    task::state::State,
};

/// The number of rows of a page.
const PAGE: usize = 1_000;

/// A flow.
#[derive(Debug, Clone, Serialize)]
pub struct Flow {
    /// The id of the task that the flow is.
    pub id: i64,
    /// The name of its outermost pattern.
    pub name: String,
    pub phase: Phase,
    /// The state in which its task ends when everything is reverted. `None` while that is not intended.
    pub ends_as: Option<String>,
    /// The first failures of the present rounds.
    pub failures: Vec<FlowFailure>,
    /// The number of steps in each state. Gates do not count.
    pub steps: BTreeMap<StepState, i64>,
    /// When the plan was made.
    pub made_at: DateTime<Utc>,
    /// When the flow ended. `None` if it has not.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowFailure {
    /// The name of the step.
    pub step: String,
    /// The task that failed. `None` if none could be made.
    pub task: Option<i64>,
    /// The kind of the error. `None` if it is not known.
    pub kind: Option<String>,
    /// The reason, for people.
    pub reason: Option<String>,
}

/// A scope: a pattern of the plan with its controller. Its steps, nested ones too, have the numbers `first` to `last`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FlowScope {
    /// The number of the scope. Scope 0 is the whole flow.
    pub number: i32,
    /// The scope around it. `None` for scope 0.
    pub outer: Option<i32>,
    pub first: i32,
    pub last: i32,
    pub name: String,
    /// The pattern: `linear`, `unordered` or `graph`.
    pub pattern: String,
    /// The kind of its controller. `None` if it has none.
    pub controller: Option<String>,
    /// The present round, from 1.
    pub round: i32,
    /// The number of rounds that the controller allows. `None` if that is not known.
    pub rounds: Option<i64>,
    /// Why its steps are being reverted: `retry`, `answer` or `revert`. `None` if they are not.
    pub aim: Option<String>,
    /// The task of the operation that decides as its controller. `None` if there is none now.
    pub controller_task: Option<StepTask>,
}

/// A step of the plan, or a gate.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FlowStep {
    /// The number of the step. It is greater than the numbers of the steps before it.
    pub number: i32,
    pub name: String,
    /// The innermost scope.
    pub scope: i32,
    pub kind: StepKind,
    /// The operation, with its domain: `cloud/create_vm`. `None` for a gate.
    pub operation: Option<String>,
    /// The operation that reverts the step. `None` if nothing has to be done.
    pub revert: Option<String>,
    /// The steps that it waits for.
    pub before: Vec<i32>,
    /// The steps that wait for it.
    pub after: Vec<i32>,
    pub state: StepState,
    /// The task that executes the step. `None` if none was made.
    pub task: Option<StepTask>,
    /// The task that reverts the step. `None` if none was made.
    pub undo_task: Option<StepTask>,
}

/// The history of a step in an earlier round, or before a retry of the flow.
#[derive(Debug, Clone, Serialize)]
pub struct PastStep {
    pub id: i64,
    /// The name of the step.
    pub step: String,
    /// The innermost scope. `None` if the step ran before a retry of the flow.
    pub scope: Option<i32>,
    /// The round of that scope, from 1.
    pub round: i32,
    /// The state at the end of the round.
    pub state: StepState,
    pub task: Option<StepTask>,
    pub undo_task: Option<StepTask>,
}

/// The task of a step, as far as a flow shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepTask {
    pub id: i64,
    pub state: State,
    /// The host of its last run. `None` if it was not claimed.
    pub host: Option<String>,
    /// When its code started. `None` if no start is recorded.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended. `None` if it has not.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it is in its state, for people.
    pub reason: Option<String>,
    /// The progress that its code reported: `{done, total, message}`.
    pub progress: Option<Box<RawValue>>,
}

/// A flow with everything that belongs to it, or with the first steps and the last rows of earlier rounds.
#[derive(Debug, Clone, Serialize)]
pub struct FlowPage {
    pub flow: Flow,
    pub scopes: Vec<FlowScope>,
    /// The steps and gates by number.
    pub steps: Vec<FlowStep>,
    /// The rows of earlier rounds, oldest first.
    pub past: Vec<PastStep>,
    /// The number of steps that were not read.
    pub more_steps: i64,
}

/// Returns a flow. `None` if the task is not a flow, or has no plan yet.
pub async fn flow(db: &Db, id: i64) -> Result<Option<Flow>> {
    let row = db.query_opt(include_str!("sql/show_flow.sql"), &[(&id, Type::INT8)]).await?;
    row.as_ref().map(|row| flow_of(Columns::of("flow", "id", row))).transpose()
}

/// Returns a flow with its first 1,000 steps and gates, and the last 1,000 rows of earlier rounds. `None` if the task
/// is not a flow, or has no plan yet.
pub async fn first_page(db: &Db, id: i64) -> Result<Option<FlowPage>> {
    let Some(flow) = flow(db, id).await? else { return Ok(None) };
    let steps = steps_after(db, id, -1).await?;
    let mut past = past_before(db, id, i64::MAX).await?;
    past.reverse();
    page(db, flow, steps, past).await.map(Some)
}

/// Returns a flow with everything that belongs to it. `None` if the task is not a flow, or has no plan yet.
pub async fn whole(db: &Db, id: i64) -> Result<Option<FlowPage>> {
    let Some(flow) = flow(db, id).await? else { return Ok(None) };
    let (mut steps, mut past) = (Vec::new(), Vec::new());
    loop {
        let last = steps.last().map_or(-1, |step: &FlowStep| step.number);
        let mut next = steps_after(db, id, last).await?;
        let is_last = next.len() < PAGE;
        steps.append(&mut next);
        if is_last {
            break;
        }
    }
    loop {
        let first = past.last().map_or(i64::MAX, |row: &PastStep| row.id);
        let mut next = past_before(db, id, first).await?;
        let is_last = next.len() < PAGE;
        past.append(&mut next);
        if is_last {
            break;
        }
    }
    past.reverse();
    page(db, flow, steps, past).await.map(Some)
}

/// Adds to steps the scopes that contain them.
async fn page(db: &Db, flow: Flow, steps: Vec<FlowStep>, past: Vec<PastStep>) -> Result<FlowPage> {
    let last = steps.last().map_or(-1, |step| step.number);
    let params: [Param<'_>; 2] = [(&flow.id, Type::INT8), (&last, Type::INT4)];
    let rows = db.query(include_str!("sql/list_scopes.sql"), &params).await?;
    let scopes = rows.iter().map(|row| scope_of(Columns::of("scope", "number", row)));
    let scopes = scopes.collect::<Result<Vec<FlowScope>>>()?;
    let read = steps.iter().filter(|step| step.kind == StepKind::Task).count() as i64;
    let more_steps = (flow.steps.values().sum::<i64>() - read).max(0);
    Ok(FlowPage { flow, scopes, steps, past, more_steps })
}

/// Returns the next page of steps and gates whose numbers are greater than `last`.
async fn steps_after(db: &Db, flow: i64, last: i32) -> Result<Vec<FlowStep>> {
    let limit = PAGE as i64;
    let params: [Param<'_>; 3] = [(&flow, Type::INT8), (&last, Type::INT4), (&limit, Type::INT8)];
    let rows = db.query(include_str!("sql/list_steps.sql"), &params).await?;
    rows.iter().map(|row| step_of(Columns::of("step", "number", row))).collect()
}

/// Returns the next page of rows of earlier rounds whose ids are less than `first`, newest first.
async fn past_before(db: &Db, flow: i64, first: i64) -> Result<Vec<PastStep>> {
    let limit = PAGE as i64;
    let params: [Param<'_>; 3] = [(&flow, Type::INT8), (&first, Type::INT8), (&limit, Type::INT8)];
    let rows = db.query(include_str!("sql/list_past.sql"), &params).await?;
    rows.iter().map(|row| past_of(Columns::of("past", "id", row))).collect()
}

fn flow_of(row: Columns<'_>) -> Result<Flow> {
    Ok(Flow {
        id: row.get("id")?,
        name: row.get("name")?,
        phase: row.parsed("phase")?,
        ends_as: row.get("ends_as")?,
        failures: row.json("failures")?.unwrap_or_default(),
        steps: row.json("steps")?.unwrap_or_default(),
        made_at: row.get("made_at")?,
        ended_at: row.get("ended_at")?,
    })
}

fn scope_of(row: Columns<'_>) -> Result<FlowScope> {
    Ok(FlowScope {
        number: row.get("number")?,
        outer: row.get("outer_scope")?,
        first: row.get("first")?,
        last: row.get("last")?,
        name: row.get("name")?,
        pattern: row.get("pattern")?,
        controller: row.get("controller")?,
        round: row.get("round")?,
        rounds: row.get("rounds")?,
        aim: row.get("aim")?,
        controller_task: row.json("controller_task")?,
    })
}

fn step_of(row: Columns<'_>) -> Result<FlowStep> {
    Ok(FlowStep {
        number: row.get("number")?,
        name: row.get("name")?,
        scope: row.get("scope")?,
        kind: row.parsed("kind")?,
        operation: row.get("operation")?,
        revert: row.get("revert")?,
        before: row.get("before")?,
        after: row.get("after")?,
        state: row.parsed("state")?,
        task: row.json("task")?,
        undo_task: row.json("undo_task")?,
    })
}

fn past_of(row: Columns<'_>) -> Result<PastStep> {
    Ok(PastStep {
        id: row.get("id")?,
        step: row.get("step")?,
        scope: row.get("scope")?,
        round: row.get("round")?,
        state: row.parsed("state")?,
        task: row.json("task")?,
        undo_task: row.json("undo_task")?,
    })
}
