//! The Postgres server on which everything is measured, and a fresh database for each measurement.

use std::fmt;

use clap::ValueEnum;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// The settings of the server that are printed with the figures.
const SETTINGS: [&str; 6] =
    ["server_version", "fsync", "shared_buffers", "wal_buffers", "max_wal_size", "jit"];

/// The value of `synchronous_commit`: whether a commit waits for the disk.
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

/// A connection to the server, as a superuser.
pub(crate) struct Server {
    options: PgConnectOptions,
    admin: PgConnection,
    created: u32,
}

/// A database for one measurement.
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

    /// Returns a description of the server, its settings, and the load of the machine.
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

    /// Creates an empty database, with `synchronous_commit` set for all its sessions.
    pub(crate) async fn create(&mut self, sync: Sync) -> anyhow::Result<Database> {
        self.created += 1;
        let name = format!("bench_peers_{}_{}", std::process::id(), self.created);
        self.run(format!("create database {name}")).await?;
        self.run(format!("alter database {name} set synchronous_commit = {sync}")).await?;
        let options = self.options.clone().database(&name);
        Ok(Database { name, options })
    }

    /// Drops a database, and closes the connections to it.
    pub(crate) async fn drop(&mut self, database: &Database) -> anyhow::Result<()> {
        self.run(format!("drop database {} with (force)", database.name)).await
    }

    async fn run(&mut self, sql: String) -> anyhow::Result<()> {
        self.admin.execute(AssertSqlSafe(sql)).await?;
        Ok(())
    }
}

impl Database {
    /// Opens a connection that the peer does not use.
    pub(crate) async fn connect(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.options).await?)
    }

    /// Returns a pool whose connections are all open, so that opening them is not measured.
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

    /// Lets the server finish the work that queueing the jobs has caused, so that it is not measured.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        connection.execute("vacuum analyze").await?;
        connection.execute("checkpoint").await?;
        Ok(connection.close().await?)
    }
}
