//! The tick: all that a monitor tells and asks each second, in one round trip. It is the only
//! standing poll, and the fallback of every lost hint.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use tokio_postgres::types::{Json, Type};

use crate::{
    db::{
        connect::{Db, Param},
        error::{Error, Result},
        row::Columns,
    },
    lease::row::{Lease, Seen},
};
use rework_wire::lease::Terms;

/// What a monitor tells and asks.
#[derive(Debug, Clone)]
pub struct Ask {
    pub monitor: i64,
    pub lease: Lease,
    /// How long that is.
    pub terms: Terms,
    /// It is time to renew that.
    pub renew: bool,
    /// The domains of which it wants to hear; none: they stay as they are.
    pub wants: Option<Vec<String>>,
    /// Its workers, those that it took over from earlier monitors too.
    pub workers: Vec<i64>,
    /// What changed of their trees.
    pub measured: Vec<Measured>,
    /// Workers that died a short while ago: a claim that one of them sent may still come to light.
    pub dead: Vec<i64>,
    pub host: String,
    /// What it offers.
    pub capabilities: Vec<String>,
    /// The domains in which to count what waits, each lane up to a number.
    pub count: Vec<(String, i64)>,
    /// Every domain that it serves, where others are looked for that its host could serve.
    pub beyond: Option<Vec<String>>,
    /// Every run of its workers is to end.
    pub abort_all: bool,
    /// Domains whose schedules it fires.
    pub fires: Vec<String>,
    /// It watches the leases of others.
    pub watches: bool,
}

/// What the process tree of a worker uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    pub worker: i64,
    /// Resident.
    pub memory_bytes: i64,
    /// Of one processor.
    pub cpu_percent: i32,
}

/// What a monitor learns.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The lease is still its own.
    pub held: bool,
    /// How many delayed tasks became due; as many as are looked at: there may be more.
    pub promoted: i64,
    /// Runs of its workers that are to end.
    pub aborts: Vec<Abort>,
    /// Its workers that are to end.
    pub asked: Vec<Asked>,
    /// What waits, where something does.
    pub waiting: Vec<Waiting>,
    /// Those of the dead workers that still hold a task.
    pub stray: Vec<i64>,
    /// Domains that its host could serve, and it does not yet.
    pub found: Vec<String>,
    /// A schedule is due.
    pub fires: bool,
    /// Leases of others by which somebody may live: those that this one watches.
    pub leases: Vec<(Seen, Terms)>,
    /// A lease was taken away: who lived by it may have left something.
    pub swept: bool,
}

/// A run that is to end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Abort {
    /// The worker that has it.
    pub worker: i64,
    pub task: i64,
    pub run: i64,
    /// Somebody asked for it; else it is one of all.
    pub asked: bool,
    /// Why, in words, where somebody asked.
    pub reason: Option<String>,
}

/// A worker that is to end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Asked {
    pub worker: i64,
    pub asked: Wish,
}

/// How a worker is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// When its task has ended.
    Shutdown,
    /// Now.
    Kill,
}

/// What waits in a domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Waiting {
    pub domain: String,
    /// Queued tasks that this host could run, counted as far as was asked.
    pub tasks: i64,
}

/// How many delayed tasks one tick looks at.
pub const MOST_PROMOTED: i64 = 1000;

/// Tells and asks.
pub async fn tick(db: &Db, ask: &Ask) -> Result<Answer> {
    let measured: Vec<i64> = ask.measured.iter().map(|m| m.worker).collect();
    let bytes: Vec<i64> = ask.measured.iter().map(|m| m.memory_bytes).collect();
    let percent: Vec<i32> = ask.measured.iter().map(|m| m.cpu_percent).collect();
    let domains: Vec<&str> = ask.count.iter().map(|(domain, _)| domain.as_str()).collect();
    let most: Vec<i64> = ask.count.iter().map(|(_, most)| *most).collect();
    let params: [Param<'_>; 18] = [
        (&ask.monitor, Type::INT8),
        (&ask.lease.id, Type::INT8),
        (&ask.lease.epoch, Type::INT8),
        (&ask.renew, Type::BOOL),
        (&ask.wants, Type::TEXT_ARRAY),
        (&ask.workers, Type::INT8_ARRAY),
        (&measured, Type::INT8_ARRAY),
        (&bytes, Type::INT8_ARRAY),
        (&percent, Type::INT4_ARRAY),
        (&ask.dead, Type::INT8_ARRAY),
        (&ask.host, Type::TEXT),
        (&ask.capabilities, Type::TEXT_ARRAY),
        (&domains, Type::TEXT_ARRAY),
        (&most, Type::INT8_ARRAY),
        (&ask.beyond, Type::TEXT_ARRAY),
        (&ask.abort_all, Type::BOOL),
        (&ask.fires, Type::TEXT_ARRAY),
        (&ask.watches, Type::BOOL),
    ];
    let rows = db.query_soon(ask.terms.deadline(), include_str!("sql/tick.sql"), &params).await?;
    let row = Columns::new(rows.first().ok_or(Error::NoRow)?);
    let leases: Vec<LeaseRow> = list(row, "leases")?;
    Ok(Answer {
        held: row.get("held")?,
        promoted: row.get("promoted")?,
        aborts: list(row, "aborts")?,
        asked: list(row, "asked")?,
        waiting: list(row, "waiting")?,
        stray: row.get("stray")?,
        found: row.get("found")?,
        fires: row.get("fires")?,
        leases: leases.into_iter().map(LeaseRow::read).collect(),
        swept: row.get("swept")?,
    })
}

#[derive(Deserialize)]
struct LeaseRow {
    id: i64,
    epoch: i64,
    renewals: i64,
    length_ms: u64,
}

impl LeaseRow {
    fn read(self) -> (Seen, Terms) {
        let lease = Lease { id: self.id, epoch: self.epoch };
        let terms = Terms { length: Duration::from_millis(self.length_ms) };
        (Seen { lease, renewals: self.renewals }, terms)
    }
}

fn list<T: DeserializeOwned>(row: Columns<'_>, column: &'static str) -> Result<Vec<T>> {
    Ok(row.get::<Json<Vec<T>>>(column)?.0)
}
