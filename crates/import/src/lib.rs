//! Imports operations, schedules and queued tasks from a database of the Python `rework` 0.17 (`rework import-from`).
//!
//! The database of the Python `rework` is called the source. It is only read. The import is one transaction in our
//! database: after an error nothing is imported. An item that cannot be imported is skipped and reported with its
//! reason; it does not stop the others. A second import adds what is new in the source since the first one.
//!
//! `source.rs` reads the source, `operations.rs` creates missing operations, `copy.rs` copies schedules and tasks, and
//! `convert_input.rs` and `unpack.rs` convert their inputs.

mod copy;
mod unpack;
mod source;
mod operations;
mod convert_input;

use std::collections::BTreeMap;

use serde::Serialize;
use tokio_postgres::types::Type;

use copy::Importer;
use rework_core::{
    cron::list::list_scheduled,
    db::{
        connect::{Db, Param},
        deadline::within_deadline,
        error::{Error, Result},
    },
};
use source::Source;

/// The options of an import.
#[derive(Debug, Clone, Copy)]
pub struct ImportOptions<'a> {
    /// The time zone of the source's cron rules. The Python rework does not store one: it used that of its monitor.
    pub zone: &'a str,
    /// New names of hosts, by their names in the source.
    pub hosts: &'a BTreeMap<String, String>,
    /// Whether to only report what an import would do. Nothing is changed.
    pub dry_run: bool,
}

impl<'a> ImportOptions<'a> {
    /// Returns the new name of a host of the source, or `None` if none was given.
    fn new_host_name(&self, source_name: &str) -> Option<&'a str> {
        self.hosts.get(source_name).map(String::as_str)
    }
}

/// The result of an import. This is also the JSON that `rework import-from` prints.
#[derive(Debug, Clone, Serialize)]
pub struct ImportSummary {
    /// Whether this was a dry run: then nothing was changed.
    pub dry_run: bool,
    /// The name of the source database.
    pub database: String,
    pub operations: Vec<ImportedOperation>,
    pub schedules: Vec<ImportedItem>,
    /// The tasks that are queued in the source.
    pub tasks: Vec<ImportedItem>,
    /// The items that could not be imported.
    #[serde(rename = "left")]
    pub skipped: Vec<SkippedItem>,
    /// The tasks of the source that are not imported, because they run, have ended, or must not
    /// start.
    pub not_queued: NotQueued,
    /// The number of monitors in the source that updated their row within the last minute.
    pub monitors: i64,
}

/// An operation of the source that exists in our database after the import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedOperation {
    pub domain: String,
    pub name: String,
    /// Whether this import created the operation.
    pub new: bool,
}

/// A schedule or task of the source that exists in our database after the import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedItem {
    /// The id in the source.
    pub from: i64,
    /// The id in our database. `None` if this import did not create the item.
    pub id: Option<i64>,
    /// The domain of the operation.
    pub domain: String,
    /// The name of the operation.
    pub operation: String,
    /// The only host that may run the schedule or task, by its new name. `None` if every host may.
    pub host: Option<String>,
    /// The cron rule of a schedule. `None` for a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether this import created the item.
    pub new: bool,
}

/// An operation, schedule or task that could not be imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedItem {
    pub kind: ItemKind,
    /// The id in the source.
    pub from: i64,
    /// The domain of the operation.
    pub domain: String,
    /// The name of the operation.
    pub operation: String,
    /// The reason as a phrase, such as `its input is larger than 100 MiB`.
    pub reason: String,
}

/// The kinds of items that an import can skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemKind {
    Operation,
    Schedule,
    Task,
}

/// Numbers of the tasks in the source that are not imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NotQueued {
    /// The number of running tasks.
    pub running: i64,
    /// The number of tasks whose abort was requested and that have not ended. Some may be queued.
    pub aborting: i64,
    /// The number of tasks that have ended, with any result.
    pub ended: i64,
}

impl ItemKind {
    /// Returns the name of the kind for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemKind::Operation => "operation",
            ItemKind::Schedule => "schedule",
            ItemKind::Task => "task",
        }
    }
}

impl ImportedItem {
    fn new(from: i64, (domain, operation): &operations::Key, host: Option<&str>) -> ImportedItem {
        ImportedItem {
            from,
            id: None,
            domain: domain.clone(),
            operation: operation.clone(),
            host: host.map(str::to_owned),
            rule: None,
            new: false,
        }
    }
}

impl SkippedItem {
    fn new(
        kind: ItemKind,
        from: i64,
        (domain, operation): &operations::Key,
        reason: String,
    ) -> SkippedItem {
        SkippedItem { kind, from, domain: domain.clone(), operation: operation.clone(), reason }
    }
}

/// The error of an import. Nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source has our own schema, not that of the Python rework.
    #[error("database `{database}` is one of this rework, not of the Python one")]
    OwnSchema { database: String },
    /// The source has no schema of any rework.
    #[error("there is no schema of the Python rework in database `{database}`")]
    NoSchema { database: String },
    /// The source has the schema of another version of the Python rework.
    #[error(
        "the rework schema in database `{database}` is not that of the Python rework 0.17: it has no {missing}"
    )]
    OtherVersion {
        database: String,
        /// The missing columns, as text.
        missing: String,
    },
    /// Any other error of one of the two databases.
    #[error(transparent)]
    Core(#[from] Error),
}

impl ImportError {
    /// Returns advice for the user, as a sentence with a command to type. `None` if there is no
    /// advice.
    pub fn hint(&self) -> Option<String> {
        match self {
            ImportError::OwnSchema { .. } => Some(
                "name the database that the Python rework used; to copy schedules from a database of this rework, \
                 use `rework export-scheduled`"
                    .to_owned(),
            ),
            ImportError::NoSchema { .. } => Some(
                "name the database that the Python rework used: `rework import-from postgres://…`"
                    .to_owned(),
            ),
            ImportError::OtherVersion { .. } => Some(
                "upgrade it to rework 0.17 first, as the documentation of that version describes"
                    .to_owned(),
            ),
            ImportError::Core(error) => error.hint(),
        }
    }
}

/// Imports the contents of `source` into `db`, in one transaction on each side.
///
/// # Errors
///
/// `Err` if `source` is not a database of the Python rework 0.17, or if one of the databases fails. Nothing is imported
/// then.
pub async fn import_from(
    db: &mut Db,
    source: &mut Db,
    options: &ImportOptions<'_>,
) -> Result<ImportSummary, ImportError> {
    let source = Source::open(source).await?;
    let existing_schedules = list_scheduled(db, None).await?;
    let transaction = within_deadline(db.client_mut().transaction()).await?;
    let source_operations = source.operations().await?;
    let targets =
        operations::create_missing(&transaction, &source_operations, &source.identity).await?;
    let mut importer = Importer {
        transaction: &transaction,
        options,
        operations: &source_operations,
        targets: &targets.by_key,
        skipped: targets.skipped,
    };
    let mut schedules = importer.schedules(&source, &existing_schedules).await?;
    let mut tasks = importer.tasks(&source).await?;
    let skipped = importer.skipped;
    let (not_queued, monitors) = source.counts().await?;
    if options.dry_run {
        within_deadline(transaction.rollback()).await?;
        // The rollback has removed the items with these ids.
        schedules.iter_mut().chain(&mut tasks).for_each(|item| item.id = None);
    } else {
        let new_ids = |items: &[ImportedItem]| -> Vec<i64> {
            items.iter().filter(|item| item.new).map(|item| item.from).collect()
        };
        let (tasks, schedules) = (new_ids(&tasks), new_ids(&schedules));
        if !tasks.is_empty() || !schedules.is_empty() {
            let params: [Param<'_>; 3] = [
                (&source.identity, Type::TEXT),
                (&tasks, Type::INT8_ARRAY),
                (&schedules, Type::INT8_ARRAY),
            ];
            let sql = include_str!("sql/import_record.sql");
            within_deadline(transaction.query_typed(sql, &params)).await?;
        }
        within_deadline(transaction.commit()).await?;
    }
    Ok(ImportSummary {
        dry_run: options.dry_run,
        database: source.database,
        operations: targets.operations,
        schedules,
        tasks,
        skipped,
        not_queued,
        monitors,
    })
}
