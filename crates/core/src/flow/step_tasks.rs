//! The tasks of the steps of a flow, for reading their logs.

use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// A task of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTask {
    pub id: i64,
    /// The name of the step. For a task of a controller, the name of its pattern.
    pub step: String,
}

/// The last task of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastTask {
    /// The flow has no such step.
    NoStep,
    /// The step has had no task.
    NotStarted,
    Task(i64),
}

/// Returns all tasks of the steps and controllers of a flow, in the order of their ids. Those of earlier rounds and of
/// earlier plans are among them.
pub async fn all(db: &Db, flow: i64) -> Result<Vec<NamedTask>> {
    let rows = db.query(include_str!("sql/step_tasks.sql"), &[(&flow, Type::INT8)]).await?;
    rows.iter().map(|row| named_task(Columns::of("task", "id", row))).collect()
}

fn named_task(row: Columns<'_>) -> Result<NamedTask> {
    Ok(NamedTask { id: row.get("id")?, step: row.get("step")? })
}

/// Returns the last task of a step, whether it executed or reverted the step.
pub async fn last(db: &Db, flow: i64, step: &str) -> Result<LastTask> {
    let params: [Param<'_>; 2] = [(&flow, Type::INT8), (&step, Type::TEXT)];
    let row = db.query_one(include_str!("sql/last_step_task.sql"), &params).await?;
    let row = Columns::new(&row);
    Ok(match (row.get("exists")?, row.get("task")?) {
        (false, _) => LastTask::NoStep,
        (true, None) => LastTask::NotStarted,
        (true, Some(task)) => LastTask::Task(task),
    })
}

/// Returns the names of the steps of a flow, in the order of their numbers.
pub async fn step_names(db: &Db, flow: i64) -> Result<Vec<String>> {
    let rows = db.query(include_str!("sql/step_names.sql"), &[(&flow, Type::INT8)]).await?;
    rows.iter().map(|row| Columns::new(row).get("name")).collect()
}
