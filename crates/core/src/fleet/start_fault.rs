//! A start fault: a monitor cannot start workers, or the runs of an operation, on its host. The monitor stores it for
//! `list-monitors`, and tries again by itself.

use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use crate::db::{
    connect::{Db, Param},
    error::Result,
};

/// Something that cannot be started on a host, although it was tried several times in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFault {
    pub domain: String,
    /// The name of the operation whose tasks stay queued. `None` if the host can start nothing in this domain.
    pub operation: Option<String>,
    /// The reason of the last failure, for people.
    pub reason: String,
    /// The number of failures in a row; 0 if `unavailable`.
    pub failures: u32,
    /// Whether the check of the operation has answered that the host cannot run it now.
    #[serde(default)]
    pub unavailable: bool,
}

/// Stores everything that a monitor cannot start now.
pub async fn record(db: &Db, monitor: i64, faults: &[StartFault]) -> Result<()> {
    // Texts and numbers can always be written as JSON.
    let json = serde_json::to_string(faults).unwrap_or_default();
    let params: [Param<'_>; 2] = [(&monitor, Type::INT8), (&json, Type::TEXT)];
    db.query(include_str!("sql/record_start_faults.sql"), &params).await.map(drop)
}
