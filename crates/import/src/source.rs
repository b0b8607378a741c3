//! Reads the source: a database of the Python `rework` 0.17.
//!
//! Everything is read in one read-only transaction with a single snapshot, so that its parts fit together.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::{IsolationLevel, Row, Transaction, types::Type};

use super::{ImportError, NotQueued};
use rework_core::db::{
    connect::{Db, Param},
    deadline::answer_within,
    error::{Error, Result},
    row::Columns,
};

/// Time limit of one statement. Some statements read whole tables.
const DEADLINE: Duration = Duration::from_secs(120);

/// The largest number of tasks that are in memory at once.
const PAGE: i64 = 1_000;

/// A page of tasks ends early when its inputs reach this number of bytes.
const PAGE_BYTES: i64 = 4 << 20;

/// An open transaction in the source.
pub(super) struct Source<'a> {
    transaction: Transaction<'a>,
    /// The name of the database.
    pub(super) database: String,
    /// A text that identifies this database and its tables, however it is reached. It also appears in the unique keys
    /// of imported tasks.
    pub(super) identity: String,
}

/// A row of the source's table `operation`. There is one for each host and file that defines the operation.
pub(super) struct SourceOperation {
    pub(super) id: i64,
    pub(super) host: String,
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) timeout: Option<String>,
    pub(super) inputs: Option<Value>,
    pub(super) outputs: Option<Value>,
}

/// A schedule of the source.
pub(super) struct SourceSchedule {
    pub(super) id: i64,
    pub(super) operation: String,
    pub(super) domain: String,
    pub(super) input: Option<Vec<u8>>,
    pub(super) host: Option<String>,
    pub(super) metadata: Option<String>,
    pub(super) rule: String,
}

/// A queued task of the source.
pub(super) struct SourceTask {
    pub(super) id: i64,
    pub(super) operation: i64,
    pub(super) input: Option<Vec<u8>>,
    pub(super) metadata: Option<String>,
}

impl<'a> Source<'a> {
    /// Starts the transaction. `Err` if the database does not have the schema of the Python `rework` 0.17.
    pub(super) async fn open(db: &'a mut Db) -> Result<Source<'a>, ImportError> {
        let begin = db
            .client_mut()
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start();
        let transaction = answer_within(DEADLINE, begin).await?;
        let sql = include_str!("sql/import_source.sql");
        let row = first(query(&transaction, sql, &[]).await?)?;
        let row = Columns::new(&row);
        let (database, missing): (String, Vec<String>) =
            (row.get("database")?, row.get("missing")?);
        if row.get("has_own_schema")? {
            return Err(ImportError::OwnSchema { database });
        }
        if !row.get::<bool>("has_python_schema")? {
            return Err(ImportError::NoSchema { database });
        }
        if !missing.is_empty() {
            return Err(ImportError::OtherVersion { database, missing: missing.join(", ") });
        }
        Ok(Source { transaction, database, identity: row.get("identity")? })
    }

    /// Returns the operations, the newest registration last.
    pub(super) async fn operations(&self) -> Result<Vec<SourceOperation>> {
        let sql = include_str!("sql/import_operations.sql");
        let rows = query(&self.transaction, sql, &[]).await?;
        rows.iter().map(|row| read_operation(Columns::of("operation", "id", row))).collect()
    }

    /// Returns the schedules.
    pub(super) async fn schedules(&self) -> Result<Vec<SourceSchedule>> {
        let sql = include_str!("sql/import_schedules.sql");
        let rows = query(&self.transaction, sql, &[]).await?;
        rows.iter().map(|row| read_schedule(Columns::of("sched", "id", row))).collect()
    }

    /// Returns a page of queued tasks with ids above `after`, by ascending id. Empty if there are no more.
    pub(super) async fn queued_tasks(&self, after: i64) -> Result<Vec<SourceTask>> {
        let params: [Param<'_>; 3] =
            [(&after, Type::INT8), (&PAGE, Type::INT8), (&PAGE_BYTES, Type::INT8)];
        let sql = include_str!("sql/import_tasks.sql");
        let rows = query(&self.transaction, sql, &params).await?;
        rows.iter().map(|row| read_task(Columns::of("task", "id", row))).collect()
    }

    /// Returns the numbers of tasks that are not imported, and of monitors that updated their row
    /// within the last minute.
    pub(super) async fn counts(&self) -> Result<(NotQueued, i64)> {
        let sql = include_str!("sql/import_counts.sql");
        let row = first(query(&self.transaction, sql, &[]).await?)?;
        let row = Columns::new(&row);
        let not_queued = NotQueued {
            running: row.get("running")?,
            aborting: row.get("aborting")?,
            ended: row.get("ended")?,
        };
        Ok((not_queued, row.get("monitors")?))
    }
}

fn read_operation(row: Columns<'_>) -> Result<SourceOperation> {
    Ok(SourceOperation {
        id: row.get("id")?,
        host: row.get("host")?,
        name: row.get("name")?,
        domain: row.get("domain")?,
        timeout: row.get("timeout")?,
        inputs: row.get("inputs")?,
        outputs: row.get("outputs")?,
    })
}

fn read_schedule(row: Columns<'_>) -> Result<SourceSchedule> {
    Ok(SourceSchedule {
        id: row.get("id")?,
        operation: row.get("name")?,
        domain: row.get("domain")?,
        input: row.get("inputdata")?,
        host: row.get("host")?,
        metadata: row.get("metadata")?,
        rule: row.get("rule")?,
    })
}

fn read_task(row: Columns<'_>) -> Result<SourceTask> {
    Ok(SourceTask {
        id: row.get("id")?,
        operation: row.get("operation")?,
        input: row.get("input")?,
        metadata: row.get("metadata")?,
    })
}

async fn query(transaction: &Transaction<'_>, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
    answer_within(DEADLINE, transaction.query_typed(sql, params)).await
}

fn first(rows: Vec<Row>) -> Result<Row> {
    rows.into_iter().next().ok_or(Error::NoRow)
}
