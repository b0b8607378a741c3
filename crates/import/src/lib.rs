//! Import from: what a database of the Python `rework` 0.17 holds (operations, schedules, queued tasks) comes here.
//! There, it is only read, and stays as it is.
//!
//! All that can be carried over is, or at an error nothing. What cannot be is told with the reason why, and holds up
//! nothing else. Asked again, it carries over what has come since.

mod carry;
mod packed;
mod source;
mod targets;
mod values;

use std::collections::BTreeMap;

use serde::Serialize;
use tokio_postgres::types::Type;

use carry::Carrying;
use rework_core::{
    cron::list::list_scheduled,
    db::{
        connect::{Db, Param},
        deadline::within_deadline,
        error::{Error, Result},
    },
};
use source::Source;

/// How it is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where it is the time that rules name: there, where their monitor ran.
    pub zone: &'a str,
    /// What hosts are called here, by what they are called there.
    pub hosts: &'a BTreeMap<String, String>,
    /// Nothing is to change here either.
    pub dry_run: bool,
}

impl<'a> Wanted<'a> {
    /// What a host there is called here, if somebody said so.
    fn named(&self, theirs: &str) -> Option<&'a str> {
        self.hosts.get(theirs).map(String::as_str)
    }
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Imported {
    /// Nothing has changed: this is what would have come of it.
    pub dry_run: bool,
    /// The name of the other database.
    pub database: String,
    /// The operations.
    pub operations: Vec<Defined>,
    /// The schedules.
    pub schedules: Vec<Carried>,
    /// The tasks that are queued there.
    pub tasks: Vec<Carried>,
    /// What could not be carried over.
    pub left: Vec<Left>,
    /// The tasks there that are not queued, and stay there.
    pub not_queued: NotQueued,
    /// Monitors there that were seen in the last minute.
    pub monitors: i64,
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defined {
    /// Its domain.
    pub domain: String,
    /// Its name.
    pub name: String,
    /// It was not here before.
    pub new: bool,
}

/// A schedule or a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// Its id there.
    pub from: i64,
    /// Its id here; none: it was here before, or nothing changes.
    pub id: Option<i64>,
    /// The domain of its operation.
    pub domain: String,
    /// The name of its operation.
    pub operation: String,
    /// The only host here that may run it.
    pub host: Option<String>,
    /// The rule of a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// It was not here before.
    pub new: bool,
}

/// What cannot be carried over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What it is.
    pub kind: Kind,
    /// Its id there.
    pub from: i64,
    /// The domain of its operation.
    pub domain: String,
    /// The name of its operation.
    pub operation: String,
    /// Why.
    pub reason: String,
}

/// What can be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An operation.
    Operation,
    /// A schedule.
    Schedule,
    /// A task.
    Task,
}

/// How many tasks there are not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NotQueued {
    /// Of them run.
    pub running: i64,
    /// Of them are to end, and have not.
    pub aborting: i64,
    /// Of them have ended, well or not.
    pub ended: i64,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Operation => "operation",
            Kind::Schedule => "schedule",
            Kind::Task => "task",
        }
    }
}

impl Carried {
    fn new(from: i64, (domain, operation): &targets::Key, host: Option<&str>) -> Carried {
        Carried {
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

impl Left {
    fn new(kind: Kind, from: i64, (domain, operation): &targets::Key, reason: String) -> Left {
        Left { kind, from, domain: domain.clone(), operation: operation.clone(), reason }
    }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is one of our own.
    #[error("database `{database}` is one of this rework, not of the Python one")]
    Ours {
        /// Its name.
        database: String,
    },
    /// There is nothing.
    #[error("there is no schema of the Python rework in database `{database}`")]
    Absent {
        /// Its name.
        database: String,
    },
    /// It is of another version.
    #[error(
        "the rework schema in database `{database}` is not that of the Python rework 0.17: it has no {missing}"
    )]
    Other {
        /// Its name.
        database: String,
        /// The columns.
        missing: String,
    },
    /// Anything else.
    #[error(transparent)]
    Core(#[from] Error),
}

impl ImportError {
    /// What to do about it, as a sentence with a command to type.
    pub fn hint(&self) -> Option<String> {
        match self {
            ImportError::Ours { .. } => Some(
                "name the database that the Python rework used; from one of ours, schedules go by \
                 `rework export-scheduled`"
                    .to_owned(),
            ),
            ImportError::Absent { .. } => Some(
                "name the database that the Python rework used: `rework import-from postgres://…`"
                    .to_owned(),
            ),
            ImportError::Other { .. } => Some(
                "bring it to rework 0.17 first, by what that version says of upgrades".to_owned(),
            ),
            ImportError::Core(error) => error.hint(),
        }
    }
}

/// Imports what `source` holds, in one transaction here and one there.
pub async fn import_from(
    db: &mut Db,
    source: &mut Db,
    wanted: &Wanted<'_>,
) -> Result<Imported, ImportError> {
    let source = Source::begin(source).await?;
    let standing = list_scheduled(db, None).await?;
    let transaction = within_deadline(db.client_mut().transaction()).await?;
    let operations = source.operations().await?;
    let targets = targets::make(&transaction, &operations, &source.identity).await?;
    let mut carrying = Carrying {
        transaction: &transaction,
        wanted,
        operations: &operations,
        targets: &targets.known,
        left: targets.left,
    };
    let mut schedules = carrying.schedules(&source, &standing).await?;
    let mut tasks = carrying.tasks(&source).await?;
    let left = carrying.left;
    let (not_queued, monitors) = source.others().await?;
    if wanted.dry_run {
        within_deadline(transaction.rollback()).await?;
        // What these ids stood for is gone.
        schedules.iter_mut().chain(&mut tasks).for_each(|one| one.id = None);
    } else {
        let new = |all: &[Carried]| -> Vec<i64> {
            all.iter().filter(|one| one.new).map(|one| one.from).collect()
        };
        let (tasks, schedules) = (new(&tasks), new(&schedules));
        if !tasks.is_empty() || !schedules.is_empty() {
            let params: [Param<'_>; 3] = [
                (&source.identity, Type::TEXT),
                (&tasks, Type::INT8_ARRAY),
                (&schedules, Type::INT8_ARRAY),
            ];
            let sql = include_str!("sql/import_noted.sql");
            within_deadline(transaction.query_typed(sql, &params)).await?;
        }
        within_deadline(transaction.commit()).await?;
    }
    Ok(Imported {
        dry_run: wanted.dry_run,
        database: source.database,
        operations: targets.defined,
        schedules,
        tasks,
        left,
        not_queued,
        monitors,
    })
}
