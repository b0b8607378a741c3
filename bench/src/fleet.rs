//! A fleet that exists only in the database: rows of hosts, workers, operations, and tasks that are done or running,
//! without any process. `clients.rs` sends the statements that its monitors and workers would send.

use rework_core::{
    admin::schema,
    db::{connect::Db, dsn::Dsn},
    fleet::monitor_poll::PollRequest,
    lease::row::Lease,
    task::claim::{BatchLimits, Claimant},
};
use rework_wire::lease::LeaseTerms;
use tokio_postgres::Client;

use crate::database::{Database, connect};

/// The domain of all operations of the fleet.
const DOMAIN: &str = "default";

/// The size of a fleet: how many hosts, workers, operations and tasks it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FleetSize {
    pub(crate) hosts: i32,
    /// Workers of each host.
    pub(crate) workers: i32,
    pub(crate) operations: i32,
    /// Number of tasks that are done.
    pub(crate) done: i64,
    /// Number of tasks that are running. They do not end during the measurement.
    pub(crate) running: i64,
}

/// A database that is filled with a fleet.
pub(crate) struct Fleet {
    dsn: Dsn,
    /// A connection for preparations, which are not measured.
    admin: Client,
    hosts: Vec<Host>,
    operations: Vec<i64>,
    /// The highest id of the tasks with which the database was filled.
    last_task: i64,
}

struct Host {
    monitor: i64,
    lease: Lease,
    name: String,
    workers: Vec<i64>,
}

impl Fleet {
    /// Fills an empty database with a fleet.
    pub(crate) async fn fill(database: &Database, size: &FleetSize) -> anyhow::Result<Fleet> {
        let dsn = Dsn::parse(&database.dsn)?;
        schema::migrate(&dsn).await?;
        let admin = connect(&database.dsn).await?;
        let fleet = include_str!("sql/scale_fleet.sql");
        admin.execute(fleet, &[&size.hosts, &size.workers, &size.operations]).await?;
        // Without statistics the next statement, which joins these tables, would take very long.
        admin.batch_execute("analyze").await?;
        let tasks = include_str!("sql/scale_tasks.sql");
        admin.execute(tasks, &[&size.done, &size.running]).await?;
        admin.batch_execute("vacuum analyze").await?;
        let read_host = |row: tokio_postgres::Row| Host {
            monitor: row.get(0),
            lease: Lease { id: row.get(1), epoch: row.get(2) },
            name: row.get(3),
            workers: row.get(4),
        };
        let hosts = admin.query(include_str!("sql/scale_hosts.sql"), &[]).await?;
        let operations = "select array(select id from rework.operation order by id)";
        let operations = admin.query_one(operations, &[]).await?.get(0);
        let last_task = "select coalesce(max(id), 0) from rework.task";
        let last_task = admin.query_one(last_task, &[]).await?.get(0);
        let hosts = hosts.into_iter().map(read_host).collect();
        Ok(Fleet { dsn, admin, hosts, operations, last_task })
    }

    /// Connects as a worker does.
    pub(crate) async fn connect(&self) -> anyhow::Result<Db> {
        Ok(Db::connect(&self.dsn, "rework worker").await?)
    }

    /// Renews the leases of all monitors. Real monitors do so every few seconds, but a measurement may take longer than
    /// a lease lasts.
    pub(crate) async fn renew_leases(&self) -> anyhow::Result<()> {
        let renew =
            "update rework.lease set renewals = renewals + 1, renewed_at = clock_timestamp()";
        self.admin.execute(renew, &[]).await?;
        Ok(())
    }

    /// Adds ready tasks.
    pub(crate) async fn queue(&self, tasks: i64) -> anyhow::Result<()> {
        self.admin.execute(include_str!("sql/scale_queue.sql"), &[&tasks]).await?;
        Ok(())
    }

    /// Deletes the tasks that were added since the database was filled.
    pub(crate) async fn delete_added_tasks(&self) -> anyhow::Result<()> {
        self.admin.execute("delete from rework.task where id > $1", &[&self.last_task]).await?;
        self.admin.batch_execute("vacuum analyze").await?;
        Ok(())
    }

    pub(crate) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Returns the request of an idle monitor: that of each second (`regular`), or that after a notification.
    pub(crate) fn poll_request(
        &self,
        host: usize,
        renew_lease: bool,
        regular: bool,
    ) -> PollRequest {
        let Host { monitor, lease, name, workers } = &self.hosts[host];
        let domains = || vec![DOMAIN.to_owned()];
        PollRequest {
            monitor: *monitor,
            lease: *lease,
            terms: LeaseTerms::default(),
            known_renewals: 0,
            renew_lease,
            checked_recovery: None,
            idle_domains: regular.then(domains),
            workers: workers.clone(),
            usage: Vec::new(),
            dead_workers: Vec::new(),
            host: name.clone(),
            capabilities: Vec::new(),
            // A monitor counts ready tasks up to twice the number of its workers: one for each, and one more each.
            count_ready: regular
                .then(|| (DOMAIN.to_owned(), 2 * workers.len() as i64))
                .into_iter()
                .collect(),
            known_domains: Some(domains()),
            abort_all: false,
            schedule_domains: domains(),
            watch_leases: regular,
        }
    }

    /// Returns a random worker of the fleet.
    pub(crate) fn random_worker(&self, random: &mut fastrand::Rng) -> Claimant {
        let Host { lease, name, workers, .. } = &self.hosts[random.usize(..self.hosts.len())];
        Claimant {
            worker: workers[random.usize(..workers.len())],
            lease: lease.id,
            epoch: lease.epoch,
            host: name.clone(),
            domain: DOMAIN.to_owned(),
            capabilities: Vec::new(),
        }
    }

    /// Returns the limits with which a claim takes up to `batch` tasks of any operation.
    pub(crate) fn batch_limits(&self, batch: i32) -> BatchLimits {
        if batch == 1 {
            return BatchLimits::default();
        }
        BatchLimits {
            operations: self.operations.clone(),
            sizes: vec![batch; self.operations.len()],
            only_operation: None,
            excluded: Vec::new(),
        }
    }
}
