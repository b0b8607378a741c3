//! The rows of monitors: registration, the domains that a monitor serves, and its end.
//!
//! Each domain of a host is served by one monitor. So a monitor is registered only if no other monitor of its host
//! serves one of its domains. `monitor/src/registration.rs` decides whether the monitors that it conflicts with are
//! alive.

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
        row::{Lease, LeaseSnapshot},
    },
};
use rework_wire::lease::LeaseTerms;

/// The identity of a process, as it is stored in the rows of monitors and workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRecord {
    /// The random name that the kernel gives to each boot.
    pub boot_id: String,
    /// The pid namespace.
    pub pid_ns: String,
    /// The pid in the namespace `pid_ns`.
    pub pid: i32,
    /// The start of the process, in clock ticks since the boot.
    pub pid_start: i64,
}

/// A monitor whose end is not recorded. Its process may be dead.
#[derive(Debug, Clone)]
pub struct RegisteredMonitor {
    pub id: i64,
    pub process: ProcessRecord,
    /// The domains that the monitor serves.
    pub domains: Vec<String>,
    /// Whether the monitor serves every domain of which an operation is registered on its host.
    pub every_domain: bool,
    /// The lease of the monitor at the time of the query.
    pub lease: LeaseSnapshot,
    /// Whether `lease` was taken away.
    pub lease_is_taken: bool,
}

/// A monitor that is to be registered.
#[derive(Debug, Clone)]
pub struct NewMonitor {
    /// The name of the host of the monitor.
    pub host: String,
    pub process: ProcessRecord,
    /// The domains to serve. If empty, the monitor serves every domain of which an operation is registered on its host.
    pub domains: Vec<String>,
    /// The capabilities that the host of the monitor offers, by their names (option `--capability`). The host does not
    /// run tasks that need others.
    pub capabilities: Vec<String>,
    /// The options that `rework list-monitors` shows, as a JSON object.
    pub options: Value,
    /// How the process trees of the monitor's runners are found and killed: `cgroup` or
    /// `processes`.
    pub containment: String,
    /// How memory limits are enforced: `cgroup2`, `cgroup1` or `sampled`.
    pub memory: String,
    /// The version of the binary.
    pub version: String,
    /// The terms of the monitor's lease.
    pub terms: LeaseTerms,
}

/// An earlier monitor that is dead, and whose row is to be ended.
#[derive(Debug, Clone)]
pub struct DeadMonitor {
    pub id: i64,
    /// The lease to take away, as it was last observed. `None` if it was taken away already, or if the death of the
    /// process itself was observed. In the latter case the lease stays, so that busy workers of the dead monitor can
    /// still create leases of their own.
    pub lease_to_take: Option<LeaseSnapshot>,
}

/// The result of an attempt to register a monitor.
#[derive(Debug)]
pub enum RegisterResult {
    /// The monitor is registered.
    Registered {
        /// The id of the monitor.
        id: i64,
        /// The lease of the monitor and its workers.
        lease: Lease,
        /// The domains that the monitor serves.
        domains: Vec<String>,
    },
    /// These monitors serve one of the domains. The caller finds out whether they are alive, and tries again.
    Conflict(Vec<RegisteredMonitor>),
}

/// The reason that is recorded for an earlier monitor that is dead.
pub const MONITOR_GONE: &str = "monitor gone";

/// Returns the monitors of a host whose ends are not recorded.
pub async fn registered(db: &Db, host: &str) -> Result<Vec<RegisteredMonitor>> {
    let sql = include_str!("sql/registered_monitors.sql");
    let rows = db.query(sql, &[(&host, Type::TEXT)]).await?;
    rows.iter().map(registered_monitor).collect()
}

/// Returns the domains of which an operation is registered on a host.
pub async fn placed_domains(db: &Db, host: &str) -> Result<Vec<String>> {
    let sql = include_str!("sql/placed_domains.sql");
    let row = db.query_one(sql, &[(&host, Type::TEXT)]).await?;
    Columns::new(&row).get("domains")
}

/// Registers a monitor, unless another monitor of the host serves one of its domains. The rows of
/// the `dead` monitors are ended first. All of it is one transaction, and a lock admits one
/// registration at a time. `Err` if the database fails; a conflict with another monitor is a
/// result.
pub async fn register(
    db: &mut Db,
    new: &NewMonitor,
    dead: &[DeadMonitor],
) -> Result<RegisterResult> {
    let registering = tokio::time::timeout(DEADLINE, try_register(db, new, dead));
    registering.await.unwrap_or(Err(Error::Deadline { seconds: DEADLINE.as_secs() }))
}

async fn try_register(
    db: &mut Db,
    new: &NewMonitor,
    dead: &[DeadMonitor],
) -> Result<RegisterResult> {
    let transaction = db.client_mut().transaction().await?;
    transaction.query_typed_one(include_str!("sql/lock_monitor_registration.sql"), &[]).await?;
    lease::recovery::start(&transaction).await?;
    let host = [(&new.host as _, Type::TEXT)];
    for monitor in dead {
        end_dead(&transaction, monitor).await?;
    }
    let every_domain = new.domains.is_empty();
    let domains = if every_domain {
        let sql = include_str!("sql/placed_domains.sql");
        Columns::new(&transaction.query_typed_one(sql, &host).await?).get("domains")?
    } else {
        new.domains.clone()
    };
    let rows = transaction.query_typed(include_str!("sql/registered_monitors.sql"), &host).await?;
    let mut others = rows.iter().map(registered_monitor).collect::<Result<Vec<_>>>()?;
    others.retain(|other| other.conflicts_with(&domains, every_domain));
    if !others.is_empty() {
        // The rollback also restores the leases that were taken away above. The next attempt takes them again.
        transaction.rollback().await?;
        return Ok(RegisterResult::Conflict(others));
    }
    let registered = insert(&transaction, new, &domains).await?;
    transaction.commit().await?;
    Ok(registered)
}

impl RegisteredMonitor {
    /// Returns whether this monitor and a new one cannot run at the same time: they serve the same domain, or both
    /// serve every domain.
    pub fn conflicts_with(&self, domains: &[String], every_domain: bool) -> bool {
        (self.every_domain && every_domain)
            || self.domains.iter().any(|domain| domains.contains(domain))
    }
}

/// Ends the row of a dead monitor. If its lease has changed in the meantime, the monitor is alive and its row stays.
async fn end_dead(transaction: &Transaction<'_>, dead: &DeadMonitor) -> Result<()> {
    if let Some(snapshot) = &dead.lease_to_take {
        let sql = include_str!("../lease/sql/take_lease.sql");
        if transaction.query_typed(sql, &lease::row::take_params(snapshot)).await?.is_empty() {
            return Ok(());
        }
    }
    let sql = include_str!("sql/finish_monitor.sql");
    transaction.query_typed(sql, &[(&dead.id, Type::INT8), (&MONITOR_GONE, Type::TEXT)]).await?;
    Ok(())
}

async fn insert(
    transaction: &Transaction<'_>,
    new: &NewMonitor,
    domains: &[String],
) -> Result<RegisterResult> {
    let options = new.options.to_string();
    let length_ms = new.terms.length.as_millis() as i64;
    let epoch = lease::row::first_epoch();
    let params: [Param<'_>; 13] = [
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
        (&length_ms, Type::INT8),
        (&epoch, Type::INT8),
    ];
    let sql = include_str!("sql/register_monitor.sql");
    let row = transaction.query_typed_one(sql, &params).await?;
    let row = Columns::of("monitor", "id", &row);
    let lease = Lease { id: row.get("lease")?, epoch: row.get("epoch")? };
    Ok(RegisterResult::Registered { id: row.get("id")?, lease, domains: row.get("domains")? })
}

/// Adds to the domains of a monitor those that no other monitor of the host serves. Returns all
/// domains that the monitor serves now. `Err` with [`Error::NoRow`] if there is no such monitor.
pub async fn add_domains(
    db: &mut Db,
    monitor: i64,
    host: &str,
    wanted: &[String],
) -> Result<Vec<String>> {
    let params: [Param<'_>; 3] =
        [(&monitor, Type::INT8), (&host, Type::TEXT), (&wanted, Type::TEXT_ARRAY)];
    let adding = async {
        let transaction = db.client_mut().transaction().await?;
        transaction.query_typed_one(include_str!("sql/lock_monitor_registration.sql"), &[]).await?;
        let sql = include_str!("sql/add_domains.sql");
        let row = transaction.query_typed_opt(sql, &params).await?.ok_or(Error::NoRow)?;
        transaction.commit().await?;
        Columns::new(&row).get("domains")
    };
    let adding = tokio::time::timeout(DEADLINE, adding);
    adding.await.unwrap_or(Err(Error::Deadline { seconds: DEADLINE.as_secs() }))
}

/// Stores in which domains the monitor has an idle worker. Tasks that are scheduled there are notified from the next
/// commit on.
pub async fn publish_idle_domains(db: &Db, monitor: i64, domains: &[String]) -> Result<()> {
    let params: [Param<'_>; 2] = [(&monitor, Type::INT8), (&domains, Type::TEXT_ARRAY)];
    db.query(include_str!("sql/publish_idle_domains.sql"), &params).await.map(drop)
}

/// Records the end of a monitor, and closes its lease if no worker depends on it.
pub async fn finish(db: &Db, monitor: i64, reason: &str) -> Result<()> {
    let params: [Param<'_>; 2] = [(&monitor, Type::INT8), (&reason, Type::TEXT)];
    match db.query_opt(include_str!("sql/finish_monitor.sql"), &params).await? {
        Some(row) => lease::row::close(db, Columns::new(&row).get("lease")?).await,
        None => Ok(()),
    }
}

fn registered_monitor(row: &Row) -> Result<RegisteredMonitor> {
    let row = Columns::of("monitor", "id", row);
    let lease = Lease { id: row.get("lease")?, epoch: row.get("epoch")? };
    Ok(RegisteredMonitor {
        id: row.get("id")?,
        process: ProcessRecord {
            boot_id: row.get("boot_id")?,
            pid_ns: row.get("pid_ns")?,
            pid: row.get("pid")?,
            pid_start: row.get("pid_start")?,
        },
        domains: row.get("domains")?,
        every_domain: row.get("every_domain")?,
        lease: LeaseSnapshot { lease, renewals: row.get("renewals")? },
        lease_is_taken: row.get("lease_is_taken")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(domains: &[&str], every_domain: bool) -> RegisteredMonitor {
        RegisteredMonitor {
            id: 1,
            process: ProcessRecord {
                boot_id: String::new(),
                pid_ns: String::new(),
                pid: 1,
                pid_start: 1,
            },
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            every_domain,
            lease: LeaseSnapshot { lease: Lease { id: 1, epoch: 1 }, renewals: 0 },
            lease_is_taken: false,
        }
    }

    #[test]
    fn monitors_of_different_domains_do_not_conflict() {
        let images = ["images".to_owned()];
        for (other, every_domain, conflict) in [
            (registered(&["default"], false), false, false),
            (registered(&["default", "images"], false), false, true),
            (registered(&["default"], true), false, false),
            (registered(&[], true), true, true),
            (registered(&["default"], false), true, false),
            (registered(&[], false), false, false),
        ] {
            assert_eq!(other.conflicts_with(&images, every_domain), conflict, "{other:?}");
        }
    }
}
