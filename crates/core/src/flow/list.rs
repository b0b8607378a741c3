//! Lists flows: those that have not ended, and with `all` also those that have, newest first.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use tokio_postgres::types::Type;

use crate::{
    db::{
        connect::{Db, Param},
        error::Result,
        row::Columns,
    },
    flow::state::Phase,
};

/// A flow in a list.
#[derive(Debug, Clone, Serialize)]
pub struct ListedFlow {
    /// The id of the task that the flow is.
    pub id: i64,
    /// The name of the operation.
    pub operation: String,
    /// The domain of the operation.
    pub domain: String,
    /// The phase. `None` while the flow has no plan, which is listed as `planning`.
    #[serde(rename = "state", serialize_with = "phase_or_planning")]
    pub phase: Option<Phase>,
    /// The number of steps that are over; while the flow is being reverted, of those that are reverted.
    pub done: i64,
    /// The number of steps; while the flow is being reverted, of those that had started.
    pub steps: i64,
    /// The names of the steps whose tasks run now.
    pub running: Vec<String>,
    /// The hosts on which these tasks run, or the one that makes the plan.
    pub hosts: Vec<String>,
    /// When the task of the flow was scheduled.
    pub queued_at: DateTime<Utc>,
    /// When the flow ended. `None` if it has not.
    pub ended_at: Option<DateTime<Utc>>,
}

impl ListedFlow {
    /// Returns the word for what the flow does: its phase, or `planning`.
    pub fn state(&self) -> &'static str {
        self.phase.map_or("planning", Phase::as_str)
    }
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes the field by reference"
)]
fn phase_or_planning<S: Serializer>(
    phase: &Option<Phase>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(phase.map_or("planning", Phase::as_str))
}

/// Returns the newest `limit` flows that have not ended. With `all`, also flows that have ended. Tasks that ended
/// without a plan are not among them.
pub async fn list(db: &Db, all: bool, limit: i64) -> Result<Vec<ListedFlow>> {
    let params: [Param<'_>; 2] = [(&all, Type::BOOL), (&limit, Type::INT8)];
    let rows = db.query(include_str!("sql/list_flows.sql"), &params).await?;
    rows.iter().map(|row| listed_flow(Columns::of("task", "id", row))).collect()
}

fn listed_flow(row: Columns<'_>) -> Result<ListedFlow> {
    let phase: Option<&str> = row.get("phase")?;
    Ok(ListedFlow {
        id: row.get("id")?,
        operation: row.get("operation")?,
        domain: row.get("domain")?,
        phase: phase.map(|_| row.parsed("phase")).transpose()?,
        done: row.get("done")?,
        steps: row.get("steps")?,
        running: row.get("running")?,
        hosts: row.get("hosts")?,
        queued_at: row.get("queued_at")?,
        ended_at: row.get("ended_at")?,
    })
}
