//! Retrying a task that failed, was aborted or was lost, or that is delayed or waits for other tasks: the same task is
//! queued and gets all its attempts back. The number of its next run follows that of its last one. The former end is
//! kept as a row of `rework.run`.
//!
//! The automatic retry of a failed task is in `migrations/V15__complete.sql`, and its rules in
//! `migrations/V14__retry_policy.sql`.

use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    task::state::State,
};

/// The result of a request to retry a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryResult {
    /// The task is queued again.
    Queued,
    /// The task has this state, from which it cannot be retried: it waits for a worker already, it runs, or it is done.
    NotRetriable(State),
    /// The operation of this name is no longer registered, so no worker would run the task.
    Unregistered(String),
    /// The task is a step of a flow, so only the flow can be retried.
    StepOfFlow {
        flow: i64,
        /// The name of the step. `None` if the flow has no such step any more.
        step: Option<String>,
    },
    /// The task is a flow that has a plan. `crate::flow::retry` retries it.
    Flow,
    /// There is no such task.
    NoSuchTask,
}

/// Queues a task again that failed, was aborted or was lost. Queues a task now that is delayed or waits for others.
pub async fn retry(db: &Db, task: i64) -> Result<RetryResult> {
    loop {
        let params: [Param<'_>; 1] = [(&task, Type::INT8)];
        if db.query_opt(include_str!("sql/retry_task.sql"), &params).await?.is_some() {
            return Ok(RetryResult::Queued);
        }
        let Some(row) = db.query_opt(include_str!("sql/retry_refusal.sql"), &params).await? else {
            return Ok(RetryResult::NoSuchTask);
        };
        let row = Columns::of("task", "id", &row);
        let (state, registered): (State, bool) = (row.parsed("state")?, row.get("registered")?);
        if let Some(flow) = row.get("flow")? {
            return Ok(RetryResult::StepOfFlow { flow, step: row.get("step")? });
        }
        if row.get("is_flow")? {
            return Ok(RetryResult::Flow);
        }
        let may_be_retried = matches!(state, State::Delayed | State::Waiting) || state.is_end();
        if !may_be_retried || state == State::Done {
            return Ok(RetryResult::NotRetriable(state));
        }
        if !registered {
            return Ok(RetryResult::Unregistered(row.get("operation")?));
        }
        // The state of the task changed between the two statements, so it can be retried now.
    }
}
