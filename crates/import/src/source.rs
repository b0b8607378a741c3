//! The database that is imported from: read only, and all of it as it is at one moment.

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

/// Whole tables are looked at.
const DEADLINE: Duration = Duration::from_secs(120);

/// Most tasks that are held at once.
const PAGE: i64 = 1_000;

/// Behind so many bytes of input, what is left comes later.
const PAGE_BYTES: i64 = 4 << 20;

/// A transaction there.
pub(super) struct Source<'a> {
    transaction: Transaction<'a>,
    /// The database's name.
    pub(super) database: String,
    /// What tells it from any other.
    pub(super) identity: String,
}

/// An operation there: a row for each host and file that defines it.
pub(super) struct TheirOperation {
    pub(super) id: i64,
    pub(super) host: String,
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) timeout: Option<String>,
    pub(super) inputs: Option<Value>,
    pub(super) outputs: Option<Value>,
}

/// A schedule there.
pub(super) struct TheirSchedule {
    pub(super) id: i64,
    pub(super) operation: String,
    pub(super) domain: String,
    pub(super) input: Option<Vec<u8>>,
    pub(super) host: Option<String>,
    pub(super) metadata: Option<String>,
    pub(super) rule: String,
}

/// A queued task there.
pub(super) struct TheirTask {
    pub(super) id: i64,
    pub(super) operation: i64,
    pub(super) input: Option<Vec<u8>>,
    pub(super) metadata: Option<String>,
}

impl<'a> Source<'a> {
    /// Begins to read, if it is the schema of a Python `rework` that is there.
    pub(super) async fn begin(db: &'a mut Db) -> Result<Source<'a>, ImportError> {
        let beginning = db
            .client_mut()
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start();
        let transaction = answer_within(DEADLINE, beginning).await?;
        let sql = include_str!("sql/import_source.sql");
        let row = one(rows(&transaction, sql, &[]).await?)?;
        let row = Columns::new(&row);
        let (database, missing): (String, Vec<String>) =
            (row.get("database")?, row.get("missing")?);
        if row.get("ours")? {
            return Err(ImportError::Ours { database });
        }
        if !row.get::<bool>("theirs")? {
            return Err(ImportError::Absent { database });
        }
        if !missing.is_empty() {
            return Err(ImportError::Other { database, missing: missing.join(", ") });
        }
        Ok(Source { transaction, database, identity: row.get("identity")? })
    }

    /// Its operations, the newest last.
    pub(super) async fn operations(&self) -> Result<Vec<TheirOperation>> {
        let sql = include_str!("sql/import_operations.sql");
        let found = rows(&self.transaction, sql, &[]).await?;
        found.iter().map(|row| operation(Columns::of("operation", "id", row))).collect()
    }

    /// Its schedules.
    pub(super) async fn schedules(&self) -> Result<Vec<TheirSchedule>> {
        let sql = include_str!("sql/import_schedules.sql");
        let found = rows(&self.transaction, sql, &[]).await?;
        found.iter().map(|row| schedule(Columns::of("sched", "id", row))).collect()
    }

    /// The next of its queued tasks, behind the one with this id; none: there are no more.
    pub(super) async fn queued(&self, after: i64) -> Result<Vec<TheirTask>> {
        let params: [Param<'_>; 3] =
            [(&after, Type::INT8), (&PAGE, Type::INT8), (&PAGE_BYTES, Type::INT8)];
        let sql = include_str!("sql/import_tasks.sql");
        let found = rows(&self.transaction, sql, &params).await?;
        found.iter().map(|row| task(Columns::of("task", "id", row))).collect()
    }

    /// The tasks that stay there, and how many monitors were seen in the last minute.
    pub(super) async fn others(&self) -> Result<(NotQueued, i64)> {
        let sql = include_str!("sql/import_others.sql");
        let row = one(rows(&self.transaction, sql, &[]).await?)?;
        let row = Columns::new(&row);
        let not_queued = NotQueued {
            running: row.get("running")?,
            aborting: row.get("aborting")?,
            ended: row.get("ended")?,
        };
        Ok((not_queued, row.get("monitors")?))
    }
}

fn operation(row: Columns<'_>) -> Result<TheirOperation> {
    Ok(TheirOperation {
        id: row.get("id")?,
        host: row.get("host")?,
        name: row.get("name")?,
        domain: row.get("domain")?,
        timeout: row.get("timeout")?,
        inputs: row.get("inputs")?,
        outputs: row.get("outputs")?,
    })
}

fn schedule(row: Columns<'_>) -> Result<TheirSchedule> {
    Ok(TheirSchedule {
        id: row.get("id")?,
        operation: row.get("name")?,
        domain: row.get("domain")?,
        input: row.get("inputdata")?,
        host: row.get("host")?,
        metadata: row.get("metadata")?,
        rule: row.get("rule")?,
    })
}

fn task(row: Columns<'_>) -> Result<TheirTask> {
    Ok(TheirTask {
        id: row.get("id")?,
        operation: row.get("operation")?,
        input: row.get("input")?,
        metadata: row.get("metadata")?,
    })
}

async fn rows(transaction: &Transaction<'_>, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
    answer_within(DEADLINE, transaction.query_typed(sql, params)).await
}

fn one(rows: Vec<Row>) -> Result<Row> {
    rows.into_iter().next().ok_or(Error::NoRow)
}
