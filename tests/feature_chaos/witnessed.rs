//! Reads what the runs of a feature chaos test have written (`tests/operations/src/witness_features.rs`), and what
//! Postgres has recorded about the features.

use std::collections::BTreeMap;

use super::pauses::Paused;
use crate::chaos::history::History;
use crate::chaos::lines::{self, Line};
use crate::support::session::Session;

/// The operation and the number in the input of a task, as its runs have written them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) operation: String,
    /// The unique key, or the task that ends before.
    pub(crate) number: i64,
}

/// Everything that the judge of the features compares.
#[derive(Debug, Default, Clone)]
pub(crate) struct Features {
    pub(crate) history: History,
    /// The labels of the tasks that have written lines, by the ids of the tasks.
    pub(crate) labels: BTreeMap<i64, Label>,
    /// The times in which something was paused.
    pub(crate) pauses: Vec<Paused>,
    /// The ended tasks that are followed if they are done.
    pub(crate) followed: Vec<Followed>,
    /// The tasks of which runs were put off.
    pub(crate) put_off: Vec<PutOff>,
}

/// A task whose operation declares a follower, as Postgres has recorded it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Followed {
    pub(crate) task: i64,
    pub(crate) is_done: bool,
    /// The number of its followers.
    pub(crate) followers: i64,
}

/// A task of which runs were put off, as Postgres has recorded it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PutOff {
    pub(crate) task: i64,
    /// The number of its latest run, so also the number of its runs.
    pub(crate) runs: i64,
    /// How many of its runs were put off.
    pub(crate) uncounted_runs: i64,
    pub(crate) attempt: i64,
}

/// Reads the lines and the labels of their tasks. `Err` with the first line that is not one of them, or that has
/// another label than an earlier line of its task.
pub(crate) fn parse(text: &str) -> Result<(Vec<Line>, BTreeMap<i64, Label>), String> {
    let mut parsed = Vec::new();
    let mut labels = BTreeMap::<i64, Label>::new();
    for text in text.lines() {
        let (line, label) = parse_line(text).ok_or_else(|| text.to_owned())?;
        if *labels.entry(line.task).or_insert_with(|| label.clone()) != label {
            return Err(text.to_owned());
        }
        parsed.push(line);
    }
    Ok((parsed, labels))
}

fn parse_line(text: &str) -> Option<(Line, Label)> {
    let (text, number) = text.rsplit_once(' ')?;
    let (text, operation) = text.rsplit_once(' ')?;
    let label = Label { operation: operation.to_owned(), number: number.parse().ok()? };
    Some((lines::parse_line(text)?, label))
}

/// Reads the tasks whose operation declares a follower.
pub(crate) fn followed(session: &Session) -> Vec<Followed> {
    let sql = "select task.id, task.state = 'done',
                      (select count(*) from rework.task f where f.parent = task.id and f.parent_number < 0)
                 from rework.task
                 join rework.operation on operation.id = task.operation
                where operation.run_after <> '{}'";
    let rows = session.query(sql, &[]);
    let of = |row: &tokio_postgres::Row| Followed {
        task: row.get(0),
        is_done: row.get(1),
        followers: row.get(2),
    };
    rows.iter().map(of).collect()
}

/// Reads the tasks of which runs were put off.
pub(crate) fn put_off(session: &Session) -> Vec<PutOff> {
    let sql = "select task.id, task.run, count(*), task.attempt::bigint
                 from rework.task
                 join rework.run on run.task = task.id and run.outcome = 'put_off'
                group by task.id, task.run, task.attempt";
    let rows = session.query(sql, &[]);
    let of = |row: &tokio_postgres::Row| PutOff {
        task: row.get(0),
        runs: row.get(1),
        uncounted_runs: row.get(2),
        attempt: row.get(3),
    };
    rows.iter().map(of).collect()
}
