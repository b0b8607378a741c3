//! A fleet that stands in the books alone: hosts, workers and operations, and tasks that are done or
//! run, of which no process exists. What monitors and workers would send is sent by who measures.

use rework_core::{
    admin::schema,
    db::{connect::Db, dsn::Dsn},
    fleet::heartbeat::Ask,
    lease::row::Lease,
    task::claim::{Batches, Claimant},
};
use rework_wire::lease::Terms;
use tokio_postgres::Client;

use crate::database::{Database, connect};

/// The domain of all its operations.
const DOMAIN: &str = "default";

/// How much stands in the books.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) hosts: i32,
    /// Workers of each host.
    pub(crate) workers: i32,
    pub(crate) operations: i32,
    /// Tasks that are done.
    pub(crate) done: i64,
    /// Tasks that run, for as long as one looks.
    pub(crate) running: i64,
}

/// What was made.
pub(crate) struct Fleet {
    dsn: Dsn,
    /// For what is not measured.
    admin: Client,
    hosts: Vec<Host>,
    operations: Vec<i64>,
    /// The last task of those that stay.
    last: i64,
}

struct Host {
    monitor: i64,
    lease: Lease,
    name: String,
    workers: Vec<i64>,
}

impl Fleet {
    /// Fills an empty database.
    pub(crate) async fn fill(database: &Database, size: &Size) -> anyhow::Result<Fleet> {
        let dsn = Dsn::parse(&database.dsn)?;
        schema::migrate(&dsn).await?;
        let admin = connect(&database.dsn).await?;
        let fleet = include_str!("sql/scale_fleet.sql");
        admin.execute(fleet, &[&size.hosts, &size.workers, &size.operations]).await?;
        admin.batch_execute("analyze").await?;
        let tasks = include_str!("sql/scale_tasks.sql");
        admin.execute(tasks, &[&size.done, &size.running]).await?;
        admin.batch_execute("vacuum analyze").await?;
        let read = |row: tokio_postgres::Row| Host {
            monitor: row.get(0),
            lease: Lease { id: row.get(1), epoch: row.get(2) },
            name: row.get(3),
            workers: row.get(4),
        };
        let hosts = admin.query(include_str!("sql/scale_hosts.sql"), &[]).await?;
        let operations = "select array(select id from rework.operation order by id)";
        let operations = admin.query_one(operations, &[]).await?.get(0);
        let last = "select coalesce(max(id), 0) from rework.task";
        let last = admin.query_one(last, &[]).await?.get(0);
        let hosts = hosts.into_iter().map(read).collect();
        Ok(Fleet { dsn, admin, hosts, operations, last })
    }

    /// A connection as a worker has one.
    pub(crate) async fn connect(&self) -> anyhow::Result<Db> {
        Ok(Db::connect(&self.dsn, "rework worker").await?)
    }

    /// As if every monitor had just renewed its lease: they do so every few seconds, however long
    /// anything is measured.
    pub(crate) async fn renew(&self) -> anyhow::Result<()> {
        let renew =
            "update rework.lease set renewals = renewals + 1, renewed_at = clock_timestamp()";
        self.admin.execute(renew, &[]).await?;
        Ok(())
    }

    /// Makes tasks ready.
    pub(crate) async fn queue(&self, tasks: i64) -> anyhow::Result<()> {
        self.admin.execute(include_str!("sql/scale_queue.sql"), &[&tasks]).await?;
        Ok(())
    }

    /// Puts the books back to what they were filled with.
    pub(crate) async fn tidy(&self) -> anyhow::Result<()> {
        self.admin.execute("delete from rework.task where id > $1", &[&self.last]).await?;
        self.admin.batch_execute("vacuum analyze").await?;
        Ok(())
    }

    pub(crate) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// What a monitor asks whose workers have nothing to do, each second (`standing`) or at a hint.
    pub(crate) fn ask(&self, host: usize, renew: bool, standing: bool) -> Ask {
        let Host { monitor, lease, name, workers } = &self.hosts[host];
        let domains = || vec![DOMAIN.to_owned()];
        Ask {
            monitor: *monitor,
            lease: *lease,
            terms: Terms::default(),
            renew,
            wants: standing.then(domains),
            workers: workers.clone(),
            measured: Vec::new(),
            dead: Vec::new(),
            host: name.clone(),
            capabilities: Vec::new(),
            // As many as it may have, and as many again as could take one.
            count: standing
                .then(|| (DOMAIN.to_owned(), 2 * workers.len() as i64))
                .into_iter()
                .collect(),
            beyond: Some(domains()),
            abort_all: false,
            fires: domains(),
            watches: standing,
        }
    }

    /// Any worker of it.
    pub(crate) fn worker(&self, random: &mut fastrand::Rng) -> Claimant {
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

    /// So many tasks at once, of every operation.
    pub(crate) fn batches(&self, most: i32) -> Batches {
        if most == 1 {
            return Batches::default();
        }
        Batches {
            short: self.operations.clone(),
            most: vec![most; self.operations.len()],
            sole: None,
        }
    }
}
