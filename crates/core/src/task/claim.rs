//! Claims: queued tasks become runs of a worker.
//!
//! The work is done by the SQL function `rework.claim` (`migrations/V13__claim.sql`). The claim of a busy worker
//! travels together with the ends of its earlier runs: see `exchange.rs`. How many tasks a worker claims at once is
//! decided in `worker/src/batch_size.rs`.

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

/// A worker that claims tasks: its lease, and what its host can run.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// The id of the worker.
    pub worker: i64,
    /// The id of the lease that keeps the worker alive.
    pub lease: i64,
    /// The epoch of `lease`, a number that changes when the lease is taken away. Nothing is claimed
    /// if the lease has another epoch by now.
    pub epoch: i64,
    pub host: String,
    pub domain: String,
    /// The capabilities that the host of the worker offers.
    pub capabilities: Vec<String>,
}

/// A task that was claimed, with what its run needs.
#[derive(Debug, Clone)]
pub struct ClaimedTask {
    /// The fence of the new run: its task, its number and its token, by which every write names the
    /// run.
    pub fence: Fence,
    /// The number of this attempt, from 1.
    pub attempt: i32,
    /// The operation and its placement (what the host runs for it), in the versions that were
    /// current at the claim.
    pub version: OperationVersion,
    pub input: Payload,
    /// The metadata of the task as JSON text. `None` if it has none.
    pub metadata: Option<String>,
    /// The key that the task had in the queue.
    pub queue_key: QueueKey,
}

/// The key of a ready task in the queue, which is the index `task_ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueKey {
    /// The lane: the number for what the task needs of a host (operation, pinned host and
    /// capabilities).
    pub lane: i32,
    /// The priority. Tasks with a higher priority run first.
    pub priority: i16,
    /// The position within one priority. Tasks with a lower position run first.
    pub position: i64,
}

/// Parts of the queue to scan. Each index describes one range of a lane: its priorities and its first position; the
/// rest of that lane is skipped. Lanes without a range are scanned whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanRanges {
    /// The lane of each range.
    pub lanes: Vec<i32>,
    /// The lowest priority of each range.
    pub lows: Vec<i32>,
    /// The highest priority of each range.
    pub highs: Vec<i32>,
    /// The first position of each range.
    pub positions: Vec<i64>,
}

/// An operation and its placement on a host, each in one version. A worker caches what it loads for this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationVersion {
    /// The id of the operation.
    pub operation: i64,
    /// The version of the operation, which counts the changes of its definition.
    pub version: i64,
    /// The id of the placement.
    pub placement: i64,
    /// The revision of the placement, which counts its registrations.
    pub revision: i32,
}

/// How many tasks of an operation one claim may take. Operations that are not listed give one task per claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchLimits {
    /// The ids of operations whose tasks are short, so that several may be claimed at once.
    pub operations: Vec<i64>,
    /// The largest number of tasks to claim, for the operation at the same index.
    pub sizes: Vec<i32>,
    /// The only operation to claim from; `None` for all operations. If it is given, nothing is
    /// claimed while the most urgent task is of another operation.
    pub only_operation: Option<i64>,
    /// The ids of operations from which nothing is claimed: the host cannot start them now, or they are paused.
    pub excluded: Vec<i64>,
}

/// Claims ready tasks that this claimant can run. Returns none if nothing within `ranges` is ready.
pub async fn claim(
    db: &Db,
    claimant: &Claimant,
    limits: &BatchLimits,
    ranges: &ScanRanges,
) -> Result<Vec<ClaimedTask>> {
    let token = Uuid::new_v4();
    let params = claimant.params(limits, ranges, &token);
    let rows = db.within(DEADLINE, db.query_prepared(STATEMENT, &params)).await?;
    in_queue_order(rows.iter())
}

/// The statement of a claim. Its parameters are [`Claimant::params`]; [`in_queue_order`] reads its rows.
pub(crate) const STATEMENT: &str = include_str!("sql/claim.sql");

/// The number of parameters of a claim.
pub(crate) const CLAIM_PARAMS: usize = 15;

impl Claimant {
    /// Returns the parameters of `claim.sql`. They are also the last ones of `exchange.sql`.
    pub(crate) fn params<'a>(
        &'a self,
        limits: &'a BatchLimits,
        ranges: &'a ScanRanges,
        token: &'a Uuid,
    ) -> [Param<'a>; CLAIM_PARAMS] {
        [
            (&self.worker, Type::INT8),
            (&self.lease, Type::INT8),
            (&self.epoch, Type::INT8),
            (&self.host, Type::TEXT),
            (&self.domain, Type::TEXT),
            (&self.capabilities, Type::TEXT_ARRAY),
            (&limits.operations, Type::INT8_ARRAY),
            (&limits.sizes, Type::INT4_ARRAY),
            (&ranges.lanes, Type::INT4_ARRAY),
            (&ranges.lows, Type::INT4_ARRAY),
            (&ranges.highs, Type::INT4_ARRAY),
            (&ranges.positions, Type::INT8_ARRAY),
            (&limits.only_operation, Type::INT8),
            (token, Type::UUID),
            (&limits.excluded, Type::INT8_ARRAY),
        ]
    }
}

/// Returns tasks that this claimant has claimed already. They include claims that succeeded in the database although
/// the worker did not receive the reply.
///
/// Leaves out the runs in `known`. Returns at most `limit` tasks, and fewer if they are large. So there may be more of
/// them, which the next call returns when these are known.
pub async fn existing_claims(
    db: &Db,
    claimant: &Claimant,
    known: &[Fence],
    limit: usize,
) -> Result<Vec<ClaimedTask>> {
    let tasks: Vec<i64> = known.iter().map(|fence| fence.task).collect();
    let runs: Vec<i64> = known.iter().map(|fence| fence.run).collect();
    let tokens: Vec<Uuid> = known.iter().map(|fence| fence.token).collect();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params: [Param<'_>; 6] = [
        (&claimant.worker, Type::INT8),
        (&claimant.host, Type::TEXT),
        (&tasks, Type::INT8_ARRAY),
        (&runs, Type::INT8_ARRAY),
        (&tokens, Type::UUID_ARRAY),
        (&limit, Type::INT8),
    ];
    in_queue_order(db.query(include_str!("sql/existing_claims.sql"), &params).await?.iter())
}

/// The columns of `claim.sql` and `existing_claims.sql`, and the first ones of `exchange.sql`, in this order. They are
/// read by index, because a worker reads them for every task that it runs.
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

/// Reads rows with the columns [`COLUMNS`], and sorts the tasks in the order of the queue.
pub(crate) fn in_queue_order<'a>(rows: impl Iterator<Item = &'a Row>) -> Result<Vec<ClaimedTask>> {
    let mut tasks = rows.map(claimed_task).collect::<Result<Vec<ClaimedTask>>>()?;
    tasks.sort_by_key(|ClaimedTask { queue_key, .. }| {
        (Reverse(queue_key.priority), queue_key.position)
    });
    Ok(tasks)
}

fn claimed_task(row: &Row) -> Result<ClaimedTask> {
    let mut row = Columns::with_key_column("task", "id", "task", row).in_order(&COLUMNS);
    Ok(ClaimedTask {
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
        queue_key: QueueKey { lane: row.next()?, priority: row.next()?, position: row.next()? },
    })
}

/// An operation together with its placement on one host.
#[derive(Debug, Clone)]
pub struct PlacedOperation {
    /// The name, schemas and limits of the last registration.
    pub definition: Definition,
    /// The kind of the module: `rust`, `python` or `command`.
    pub kind: String,
    /// The path of the executable, Python module or manifest.
    pub path: String,
    /// The path of the Python interpreter. `None` unless the module is a Python module.
    pub interpreter: Option<String>,
}

/// Loads an operation and its placement. `Err` with [`Error::NoRow`] if one of them was removed.
pub async fn placed_operation(db: &Db, version: OperationVersion) -> Result<PlacedOperation> {
    let params: [Param<'_>; 2] =
        [(&version.operation, Type::INT8), (&version.placement, Type::INT8)];
    let row = db.query_opt(include_str!("sql/placed_operation.sql"), &params).await?;
    let row = row.ok_or(Error::NoRow)?;
    let row = Columns::with_key_column("operation", "id", "operation", &row);
    Ok(PlacedOperation {
        definition: definition(row)?,
        kind: row.get("kind")?,
        path: row.get("path")?,
        interpreter: row.get("interpreter")?,
    })
}
