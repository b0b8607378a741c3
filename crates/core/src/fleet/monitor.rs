//! Monitors: who keeps the workers of a host, and for which domains.

use serde_json::Value;
use tokio_postgres::{Row, Transaction, types::Type};

use crate::{
    db::{
        connect::{Db, Param},
        deadline::DEADLINE,
        error::{Error, Result},
        row::Columns,
    },
    lease::{
        self,
        row::{Lease, Seen},
    },
};
use rework_wire::lease::Terms;

/// Who a process is, as the rows of monitors and workers say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The kernel's random name for the boot.
    pub boot_id: String,
    /// The pid namespace.
    pub pid_ns: String,
    /// The pid in that namespace.
    pub pid: i32,
    /// When it started, in clock ticks since the boot.
    pub pid_start: i64,
}

/// A monitor that has not ended, as far as its row says.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its row.
    pub id: i64,
    pub process: Process,
    /// What it serves.
    pub domains: Vec<String>,
    /// It serves whatever is registered on its host.
    pub every_domain: bool,
    /// Its lease now.
    pub seen: Seen,
    /// That was taken away.
    pub taken: bool,
}

/// A monitor that begins.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Its host's name.
    pub host: String,
    pub process: Process,
    /// What it is to serve; empty: whatever is registered on its host.
    pub domains: Vec<String>,
    /// What its host offers.
    pub capabilities: Vec<String>,
    /// What `list-monitors` shows of its options; an object.
    pub options: Value,
    /// `cgroup` or `processes`.
    pub containment: String,
    /// `cgroup2`, `cgroup1` or `sampled`.
    pub memory: String,
    /// Of the binary.
    pub version: String,
    /// How long its lease is.
    pub terms: Terms,
}

/// An earlier monitor that is gone.
#[derive(Debug, Clone)]
pub struct Gone {
    /// Its row.
    pub id: i64,
    /// The lease as it was when it was found dead, to be taken away; none where the process itself
    /// was seen to be gone, whose busy workers may still make leases of their own.
    pub take: Option<Seen>,
}

/// What came of beginning.
#[derive(Debug)]
pub enum Begun {
    /// The row is made.
    Ours {
        /// The monitor's row.
        id: i64,
        /// What its workers live by.
        lease: Lease,
        /// What it serves.
        domains: Vec<String>,
    },
    /// Others stand in the way: look at them.
    Contested(Vec<Standing>),
}

/// Why an earlier monitor's row ended.
pub const GONE: &str = "monitor gone";

/// The monitors of a host that have not ended, as far as their rows say.
pub async fn standing(db: &Db, host: &str) -> Result<Vec<Standing>> {
    let rows = db.query(include_str!("sql/standing_monitors.sql"), &[(&host, Type::TEXT)]).await?;
    rows.iter().map(read).collect()
}

/// The domains of which a host runs an operation.
pub async fn placed_domains(db: &Db, host: &str) -> Result<Vec<String>> {
    let sql = include_str!("sql/placed_domains.sql");
    let row = db.query_one(sql, &[(&host, Type::TEXT)]).await?;
    Columns::new(&row).get("domains")
}

/// Ends the rows of those that are gone and makes the new one, unless another monitor of the host
/// serves one of its domains. All in one transaction, one monitor at a time.
pub async fn begin(db: &mut Db, new: &Beginning, gone: &[Gone]) -> Result<Begun> {
    let within = tokio::time::timeout(DEADLINE, try_begin(db, new, gone));
    within.await.unwrap_or(Err(Error::Deadline { seconds: DEADLINE.as_secs() }))
}

async fn try_begin(db: &mut Db, new: &Beginning, gone: &[Gone]) -> Result<Begun> {
    let transaction = db.client_mut().transaction().await?;
    transaction.query_typed(include_str!("sql/lock_monitors.sql"), &[]).await?;
    let host = [(&new.host as _, Type::TEXT)];
    for one in gone {
        end_gone(&transaction, one).await?;
    }
    let every_domain = new.domains.is_empty();
    let domains = if every_domain {
        let sql = include_str!("sql/placed_domains.sql");
        Columns::new(&transaction.query_typed_one(sql, &host).await?).get("domains")?
    } else {
        new.domains.clone()
    };
    let rows = transaction.query_typed(include_str!("sql/standing_monitors.sql"), &host).await?;
    let mut others = rows.iter().map(read).collect::<Result<Vec<Standing>>>()?;
    others.retain(|other| other.stands_in_the_way(&domains, every_domain));
    if !others.is_empty() {
        // What was taken away above comes back with the rollback, and is looked at again.
        transaction.rollback().await?;
        return Ok(Begun::Contested(others));
    }
    let begun = insert(&transaction, new, &domains).await?;
    transaction.commit().await?;
    Ok(begun)
}

impl Standing {
    /// Whether both cannot stand side by side: they share a domain, or both take whatever comes.
    pub fn stands_in_the_way(&self, domains: &[String], every_domain: bool) -> bool {
        (self.every_domain && every_domain)
            || self.domains.iter().any(|domain| domains.contains(domain))
    }
}

/// A lease that moved meanwhile stays, and with it the row: its monitor lives.
async fn end_gone(transaction: &Transaction<'_>, gone: &Gone) -> Result<()> {
    if let Some(seen) = &gone.take {
        let sql = include_str!("../lease/sql/take_lease.sql");
        if transaction.query_typed(sql, &lease::row::take_params(seen)).await?.is_empty() {
            return Ok(());
        }
    }
    let sql = include_str!("sql/finish_monitor.sql");
    transaction.query_typed(sql, &[(&gone.id, Type::INT8), (&GONE, Type::TEXT)]).await?;
    Ok(())
}

async fn insert(
    transaction: &Transaction<'_>,
    new: &Beginning,
    domains: &[String],
) -> Result<Begun> {
    let options = new.options.to_string();
    let length = new.terms.length.as_millis() as i64;
    let params: [Param<'_>; 12] = [
        (&new.host, Type::TEXT),
        (&new.process.boot_id, Type::TEXT),
        (&new.process.pid_ns, Type::TEXT),
        (&new.process.pid, Type::INT4),
        (&new.process.pid_start, Type::INT8),
        (&domains, Type::TEXT_ARRAY),
        (&new.capabilities, Type::TEXT_ARRAY),
        (&options, Type::TEXT),
        (&new.containment, Type::TEXT),
        (&new.memory, Type::TEXT),
        (&new.version, Type::TEXT),
        (&length, Type::INT8),
    ];
    let row = transaction.query_typed_one(include_str!("sql/begin_monitor.sql"), &params).await?;
    let row = Columns::of("monitor", "id", &row);
    let lease = Lease { id: row.get("lease")?, epoch: row.get("epoch")? };
    Ok(Begun::Ours { id: row.get("id")?, lease, domains: row.get("domains")? })
}

/// Serves those of these domains too that no other monitor of the host serves; answers all that it
/// serves now.
pub async fn take_domains(
    db: &mut Db,
    monitor: i64,
    host: &str,
    wished: &[String],
) -> Result<Vec<String>> {
    let params: [Param<'_>; 3] =
        [(&monitor, Type::INT8), (&host, Type::TEXT), (&wished, Type::TEXT_ARRAY)];
    let taking = async {
        let transaction = db.client_mut().transaction().await?;
        transaction.query_typed(include_str!("sql/lock_monitors.sql"), &[]).await?;
        let sql = include_str!("sql/take_domains.sql");
        let row = transaction.query_typed_opt(sql, &params).await?.ok_or(Error::NoRow)?;
        transaction.commit().await?;
        Columns::new(&row).get("domains")
    };
    let within = tokio::time::timeout(DEADLINE, taking);
    within.await.unwrap_or(Err(Error::Deadline { seconds: DEADLINE.as_secs() }))
}

/// Says in which domains a worker is idle: what is scheduled there is notified from the next
/// commit on.
pub async fn publish_wants(db: &Db, monitor: i64, domains: &[String]) -> Result<()> {
    let params: [Param<'_>; 2] = [(&monitor, Type::INT8), (&domains, Type::TEXT_ARRAY)];
    db.query(include_str!("sql/publish_wants.sql"), &params).await.map(drop)
}

/// A monitor's last word.
pub async fn finish(db: &Db, monitor: i64, reason: &str) -> Result<()> {
    let params: [Param<'_>; 2] = [(&monitor, Type::INT8), (&reason, Type::TEXT)];
    match db.query_opt(include_str!("sql/finish_monitor.sql"), &params).await? {
        Some(row) => lease::row::close(db, Columns::new(&row).get("lease")?).await,
        None => Ok(()),
    }
}

fn read(row: &Row) -> Result<Standing> {
    let row = Columns::of("monitor", "id", row);
    let lease = Lease { id: row.get("lease")?, epoch: row.get("epoch")? };
    Ok(Standing {
        id: row.get("id")?,
        process: Process {
            boot_id: row.get("boot_id")?,
            pid_ns: row.get("pid_ns")?,
            pid: row.get("pid")?,
            pid_start: row.get("pid_start")?,
        },
        domains: row.get("domains")?,
        every_domain: row.get("every_domain")?,
        seen: Seen { lease, renewals: row.get("renewals")? },
        taken: row.get("taken")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(domains: &[&str], every_domain: bool) -> Standing {
        Standing {
            id: 1,
            process: Process {
                boot_id: String::new(),
                pid_ns: String::new(),
                pid: 1,
                pid_start: 1,
            },
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            every_domain,
            seen: Seen { lease: Lease { id: 1, epoch: 1 }, renewals: 0 },
            taken: false,
        }
    }

    #[test]
    fn monitors_of_different_domains_stand_side_by_side() {
        let images = ["images".to_owned()];
        for (other, every_domain, refused) in [
            (standing(&["default"], false), false, false),
            (standing(&["default", "images"], false), false, true),
            (standing(&["default"], true), false, false),
            (standing(&[], true), true, true),
            (standing(&["default"], false), true, false),
            (standing(&[], false), false, false),
        ] {
            assert_eq!(other.stands_in_the_way(&images, every_domain), refused, "{other:?}");
        }
    }
}
