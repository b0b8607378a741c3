//! The options about the unique key of a task, and the answer of a request that may find another task with its key.
//! `migrations/V18__unique_keys.sql` carries them out.

use std::{str::FromStr, time::Duration};

use crate::{
    db::{error::Result, row::Columns},
    task::state::State,
};

/// How long a task keeps its unique key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniqueWhile {
    /// Until the task is deleted.
    Exists,
    /// Until the task has ended.
    Unfinished,
    /// Until a worker claims the task. If the task goes back to the queue before another task has taken the key, it has
    /// the key again.
    Queued,
}

/// The treatment of the task that already has the unique key of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The task stays as it is.
    Keep,
    /// The task gets the input, the priority, the metadata and the time of the request, unless a worker has claimed it
    /// or it has ended.
    Replace,
}

/// The options about a unique key. By default, a task keeps its key until it is deleted, and stays as it is if its key
/// is scheduled again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UniqueOptions {
    /// How long the task keeps its key. `None` for [`UniqueWhile::Exists`], or with `debounce` for
    /// [`UniqueWhile::Queued`].
    pub unique_while: Option<UniqueWhile>,
    /// The task loses its key at the latest when this time has passed since it was scheduled. `None` for no such time.
    pub unique_for: Option<Duration>,
    /// The treatment of a task that has the key. `None` for [`OnConflict::Keep`], or with `debounce` for
    /// [`OnConflict::Replace`].
    pub on_conflict: Option<OnConflict>,
    /// The task starts when nobody has scheduled the key for this long. `None` if the task does not wait for that.
    pub debounce: Option<Duration>,
    /// The limit of `debounce`: the task does not wait longer than this after it was scheduled first. `None` for no
    /// limit.
    pub at_most: Option<Duration>,
}

/// The answer to a request that may find another task with its unique key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduled {
    /// The id of the task: the new one, or the one that has the key.
    pub task: i64,
    /// Whether the request has created the task. If not, and if it was to replace the task, it has done so if the task
    /// is `Delayed`, `Waiting` or `Queued`.
    pub created: bool,
    /// The state of the task.
    pub state: State,
    /// How long the task has been in this state, by the clock of the server.
    pub state_for: Duration,
}

impl Scheduled {
    /// Reads a row of `sql/schedule_once.sql` or `sql/schedule_many_once.sql`.
    pub(crate) fn from_row(row: Columns<'_>) -> Result<Scheduled> {
        let milliseconds: i64 = row.get("state_ms")?;
        Ok(Scheduled {
            task: row.get("task")?,
            created: row.get("created")?,
            state: row.parsed("state")?,
            state_for: Duration::from_millis(milliseconds.max(0).unsigned_abs()),
        })
    }
}

impl UniqueWhile {
    /// Returns the name under which the database stores the rule.
    pub fn as_str(self) -> &'static str {
        match self {
            UniqueWhile::Exists => "exists",
            UniqueWhile::Unfinished => "unfinished",
            UniqueWhile::Queued => "queued",
        }
    }
}

impl OnConflict {
    /// Returns the name by which the SQL functions know the rule.
    pub fn as_str(self) -> &'static str {
        match self {
            OnConflict::Keep => "keep",
            OnConflict::Replace => "replace",
        }
    }
}

impl UniqueOptions {
    /// Returns whether a task that has the key is replaced, if no worker has claimed it.
    pub fn replaces(&self) -> bool {
        self.debounce.is_some() || self.on_conflict == Some(OnConflict::Replace)
    }
}

impl FromStr for UniqueWhile {
    type Err = String;

    fn from_str(text: &str) -> Result<UniqueWhile, String> {
        let known = [UniqueWhile::Exists, UniqueWhile::Unfinished, UniqueWhile::Queued];
        known
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| "must be `exists`, `unfinished` or `queued`".to_owned())
    }
}

impl FromStr for OnConflict {
    type Err = String;

    fn from_str(text: &str) -> Result<OnConflict, String> {
        [OnConflict::Keep, OnConflict::Replace]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| "must be `keep` or `replace`".to_owned())
    }
}
