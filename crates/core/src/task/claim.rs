//! Claim: a queued task becomes this worker's run.

use std::cmp::Reverse;

use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use crate::{
    db::{
        connect::{Db, Param},
        deadline::DEADLINE,
        error::{Error, Result},
        row::Columns,
    },
    operation::find::definition,
    task::{fence::Fence, payload::Payload},
};
use rework_wire::operation::Definition;

/// Who claims: what the worker lives by, and what it can serve.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// The worker's row.
    pub worker: i64,
    /// The lease that it lives by.
    pub lease: i64,
    /// That lease's epoch.
    pub epoch: i64,
    pub host: String,
    pub domain: String,
    /// What its host offers.
    pub capabilities: Vec<String>,
}

/// A claimed task.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its run.
    pub fence: Fence,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// The operation, as it was when claimed.
    pub version: OperationVersion,
    /// What it is given.
    pub input: Payload,
    /// The task's metadata, JSON text.
    pub metadata: Option<String>,
    /// Where it stood in the queue.
    pub place: Place,
}

/// Where a task stands in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What it needs of a host.
    pub lane: i32,
    /// Higher first.
    pub priority: i16,
    /// Lower first.
    pub position: i64,
}

/// Parts of the queue to scan. Each index describes one range of a lane: its priorities and its first position; the rest of that lane
/// is skipped. Lanes without a range are scanned whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanRanges {
    /// The lane.
    pub lanes: Vec<i32>,
    /// The least urgent priority.
    pub lows: Vec<i32>,
    /// The most urgent priority.
    pub highs: Vec<i32>,
    /// The first position.
    pub floors: Vec<i64>,
}

/// Which operation, on which placement, in which of their versions: what a worker may remember
/// the details of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationVersion {
    /// The operation's row.
    pub operation: i64,
    /// Counts its changes.
    pub version: i64,
    /// The placement's row.
    pub placement: i64,
    /// Counts its registrations.
    pub revision: i32,
}

/// How many tasks of an operation are claimed at once, where they have proved short: of any other,
/// one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batches {
    /// The operations.
    pub short: Vec<i64>,
    /// As many of each, at the same place.
    pub most: Vec<i32>,
    /// The one operation of which any are wanted: none where a task of another one comes first.
    pub sole: Option<i64>,
}

/// Claims ready tasks that this claimant can run. Returns none if nothing within `ranges` is ready.
pub async fn claim(
    db: &Db,
    who: &Claimant,
    batches: &Batches,
    ranges: &ScanRanges,
) -> Result<Vec<Claimed>> {
    let token = Uuid::new_v4();
    let params = who.params(batches, ranges, &token);
    let rows = db.within(DEADLINE, db.repeat(STATEMENT, &params)).await?;
    in_order(rows.iter())
}

/// The statement; its parameters are [`Claimant::params`], its rows are read by [`in_order`].
pub(crate) const STATEMENT: &str = include_str!("sql/claim.sql");

impl Claimant {
    pub(crate) fn params<'a>(
        &'a self,
        batches: &'a Batches,
        ranges: &'a ScanRanges,
        token: &'a Uuid,
    ) -> [Param<'a>; 14] {
        [
            (&self.worker, Type::INT8),
            (&self.lease, Type::INT8),
            (&self.epoch, Type::INT8),
            (&self.host, Type::TEXT),
            (&self.domain, Type::TEXT),
            (&self.capabilities, Type::TEXT_ARRAY),
            (&batches.short, Type::INT8_ARRAY),
            (&batches.most, Type::INT4_ARRAY),
            (&ranges.lanes, Type::INT4_ARRAY),
            (&ranges.lows, Type::INT4_ARRAY),
            (&ranges.highs, Type::INT4_ARRAY),
            (&ranges.floors, Type::INT8_ARRAY),
            (&batches.sole, Type::INT8),
            (token, Type::UUID),
        ]
    }
}

/// What this claimant holds already, claims of it whose answers were lost on the way among it.
pub async fn held(db: &Db, who: &Claimant) -> Result<Vec<Claimed>> {
    let params: [Param<'_>; 2] = [(&who.worker, Type::INT8), (&who.host, Type::TEXT)];
    in_order(db.query(include_str!("sql/held.sql"), &params).await?.iter())
}

/// The columns of `claim.sql` and `held.sql`, and the first ones of `exchange.sql`, in their order.
const COLUMNS: [&str; 14] = [
    "task",
    "run",
    "token",
    "attempt",
    "operation",
    "version",
    "placement",
    "revision",
    "input",
    "input_bytes",
    "metadata",
    "lane",
    "priority",
    "position",
];

/// From rows with these columns, in the order of the queue.
pub(crate) fn in_order<'a>(rows: impl Iterator<Item = &'a Row>) -> Result<Vec<Claimed>> {
    let mut all = rows.map(claimed).collect::<Result<Vec<Claimed>>>()?;
    all.sort_by_key(|Claimed { place, .. }| (Reverse(place.priority), place.position));
    Ok(all)
}

fn claimed(row: &Row) -> Result<Claimed> {
    let mut row = Columns::found_by("task", "id", "task", row).in_order(&COLUMNS);
    Ok(Claimed {
        fence: Fence { task: row.next()?, run: row.next()?, token: row.next()? },
        attempt: row.next()?,
        version: OperationVersion {
            operation: row.next()?,
            version: row.next()?,
            placement: row.next()?,
            revision: row.next()?,
        },
        input: Payload::from_columns(row.next()?, row.next()?),
        metadata: row.next()?,
        place: Place { lane: row.next()?, priority: row.next()?, position: row.next()? },
    })
}

/// An operation as a host runs it.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Name, schemas and limits, as registered last.
    pub definition: Definition,
    /// `rust`, `python` or `command`.
    pub kind: String,
    /// The executable, module or manifest.
    pub path: String,
    /// What runs a module.
    pub interpreter: Option<String>,
}

/// The details of an operation and its placement.
pub async fn placed(db: &Db, version: OperationVersion) -> Result<Placed> {
    let params: [Param<'_>; 2] =
        [(&version.operation, Type::INT8), (&version.placement, Type::INT8)];
    let row = db.query_opt(include_str!("sql/placed.sql"), &params).await?;
    let row = row.ok_or(Error::NoRow)?;
    let row = Columns::found_by("operation", "id", "operation", &row);
    Ok(Placed {
        definition: definition(row)?,
        kind: row.get("kind")?,
        path: row.get("path")?,
        interpreter: row.get("interpreter")?,
    })
}
