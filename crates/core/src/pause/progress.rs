//! How far a pause has taken effect.
//!
//! When a pause is committed, workers may have claimed tasks of it that have not started. A claim that began before the
//! commit may even take more. The monitors have all of these put back into the queue (`monitor/src/state/pauses.rs`),
//! and each of them records when nothing more can start on its host.

use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
    row::Columns,
};

/// Everything that is left before a pause has fully taken effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PauseProgress {
    /// The hosts whose monitors have not recorded yet that no paused task can start there.
    pub unconfirmed_hosts: Vec<String>,
    /// The ids of tasks of the pause that run, the first 1000 of them. Empty if they were not requested.
    pub running: Vec<i64>,
}

impl PauseProgress {
    /// Returns whether nothing is left.
    pub fn is_complete(&self) -> bool {
        self.unconfirmed_hosts.is_empty() && self.running.is_empty()
    }
}

/// Returns what is left of a pause, with the tasks that run if `with_running` is true. `None` if it was ended, so that
/// nothing is paused any more.
pub async fn progress(db: &Db, pause: i64, with_running: bool) -> Result<Option<PauseProgress>> {
    let params: [Param<'_>; 2] = [(&pause, Type::INT8), (&with_running, Type::BOOL)];
    let row = db.query_opt(include_str!("sql/pause_progress.sql"), &params).await?;
    let Some(row) = &row else { return Ok(None) };
    let row = Columns::of("pause", "id", row);
    Ok(Some(PauseProgress {
        unconfirmed_hosts: row.get("unconfirmed_hosts")?,
        running: row.get("running")?,
    }))
}

/// Records that a monitor has carried out these pauses: no task of them can start on its host.
pub async fn record(db: &Db, monitor: i64, pauses: &[i64]) -> Result<()> {
    let params: [Param<'_>; 2] = [(&monitor, Type::INT8), (&pauses, Type::INT8_ARRAY)];
    db.query(include_str!("sql/record_pauses.sql"), &params).await.map(drop)
}
