//! The server that is measured on, and a fresh database of it for each measurement.

use std::fmt;

use clap::ValueEnum;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// What the server is asked about, so that a figure says what it was measured on.
const SETTINGS: [&str; 6] =
    ["server_version", "fsync", "shared_buffers", "wal_buffers", "max_wal_size", "jit"];

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sync {
    On,
    Off,
}

impl fmt::Display for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sync::On => "on",
            Sync::Off => "off",
        })
    }
}

/// A server on which we may do anything.
pub(crate) struct Server {
    options: PgConnectOptions,
    admin: PgConnection,
    created: u32,
}

/// A database of our own.
pub(crate) struct Database {
    name: String,
    options: PgConnectOptions,
}

impl Server {
    pub(crate) async fn connect(dsn: &str) -> anyhow::Result<Server> {
        let options: PgConnectOptions = dsn.parse()?;
        let admin = options.connect().await?;
        Ok(Server { options, admin, created: 0 })
    }

    /// Which server, how it is set, and how busy the machine is.
    pub(crate) async fn describe(&mut self) -> anyhow::Result<String> {
        let mut settings = Vec::new();
        for name in SETTINGS {
            let value: String = sqlx::query_scalar("select current_setting($1)")
                .bind(name)
                .fetch_one(&mut self.admin)
                .await?;
            settings.push(format!("{name} {value}"));
        }
        let cpus = std::thread::available_parallelism()?;
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("?");
        Ok(format!("Postgres: {}\nmachine: {cpus} CPUs, load {load}", settings.join(", ")))
    }

    /// A new, empty database, all of whose sessions commit in this way.
    pub(crate) async fn create(&mut self, sync: Sync) -> anyhow::Result<Database> {
        self.created += 1;
        let name = format!("bench_peers_{}_{}", std::process::id(), self.created);
        self.run(format!("create database {name}")).await?;
        self.run(format!("alter database {name} set synchronous_commit = {sync}")).await?;
        let options = self.options.clone().database(&name);
        Ok(Database { name, options })
    }

    /// Drops it, with whoever is still connected.
    pub(crate) async fn drop(&mut self, database: &Database) -> anyhow::Result<()> {
        self.run(format!("drop database {} with (force)", database.name)).await
    }

    async fn run(&mut self, sql: String) -> anyhow::Result<()> {
        self.admin.execute(AssertSqlSafe(sql)).await?;
        Ok(())
    }
}

impl Database {
    /// A connection that is no peer's.
    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.options).await?)
    }

    /// A pool whose connections are all open: no peer pays for opening them while it is measured.
    pub(crate) async fn pool(&self, size: u32) -> anyhow::Result<PgPool> {
        let pool =
            PgPoolOptions::new().max_connections(size).connect_with(self.options.clone()).await?;
        let mut opened = Vec::new();
        for _ in 0..size {
            opened.push(pool.acquire().await?);
        }
        drop(opened);
        Ok(pool)
    }

    /// Leaves nothing of the queueing for the server to do while the queue is drained.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        connection.execute("vacuum analyze").await?;
        connection.execute("checkpoint").await?;
        Ok(connection.close().await?)
    }
}
