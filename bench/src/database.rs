//! The Postgres server on which everything is measured, and a fresh database for each measurement.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail, ensure};
use tokio_postgres::{Client, NoTls};

use crate::cpu::Cpu;

static CREATED: AtomicU32 = AtomicU32::new(0);

/// A connection to the server, as a superuser.
pub(crate) struct Server {
    dsn: String,
    admin: Client,
}

/// A database for one measurement. [`Server::drop`] drops it.
pub(crate) struct Database {
    name: String,
    pub(crate) dsn: String,
    /// The DSN with which the monitor connects, which may lead through a pooler or over TLS.
    pub(crate) monitor_dsn: String,
}

impl Server {
    pub(crate) async fn connect(dsn: &str) -> anyhow::Result<Server> {
        let admin = connect(dsn).await?;
        Ok(Server { dsn: dsn.to_owned(), admin })
    }

    /// Returns a description of the server and the machine, with the date. `Err` if commits are not durable.
    pub(crate) async fn describe(&self) -> anyhow::Result<String> {
        let mut settings = Vec::new();
        for name in ["server_version", "fsync", "synchronous_commit", "shared_buffers"] {
            let row = self.admin.query_one("select current_setting($1)", &[&name]).await?;
            settings.push((name, row.get::<_, String>(0)));
        }
        for (name, value) in &settings[1..3] {
            ensure!(
                value == "on",
                "`{name}` is {value}, so commits are not durable: set it to `on`"
            );
        }
        let settings: Vec<String> = settings.iter().map(|(n, v)| format!("{n} {v}")).collect();
        let cpus = std::thread::available_parallelism()?;
        let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = model.lines().find_map(|line| line.strip_prefix("model name\t: "));
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(format!(
            "Postgres: {}\nmachine: {cpus} × {}, load {}\ndate: {}",
            settings.join(", "),
            model.unwrap_or("?"),
            load.split(' ').next().unwrap_or("?"),
            chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
        ))
    }

    /// Creates an empty database.
    pub(crate) async fn create(&self) -> anyhow::Result<Database> {
        let number = CREATED.fetch_add(1, Ordering::Relaxed);
        let name = format!("rework_bench_{}_{number}", std::process::id());
        self.admin.batch_execute(&format!("create database {name}")).await?;
        let Some((server, _)) = self.dsn.rsplit_once('/') else {
            bail!("REWORK_TEST_DSN does not have the form postgres://…/DATABASE");
        };
        let dsn = format!("{server}/{name}");
        self.admin.batch_execute("checkpoint").await?;
        let monitor_dsn = monitor_dsn(&dsn)?;
        Ok(Database { name, dsn, monitor_dsn })
    }

    /// Changes a setting of a database, for connections that are opened from now on.
    pub(crate) async fn set(
        &self,
        database: &Database,
        name: &str,
        value: &str,
    ) -> anyhow::Result<()> {
        let set = format!("alter database {} set {name} = '{value}'", database.name);
        Ok(self.admin.batch_execute(&set).await?)
    }

    /// Returns the processes of this server and of this program, in order to measure their CPU
    /// time. `Err` if the server runs on another machine.
    pub(crate) async fn cpu(&self) -> anyhow::Result<Cpu> {
        Cpu::of_server_and_self(self.backend().await?)
            .context("the server does not run on this machine")
    }

    /// Returns the processes of this server, in order to measure their CPU time. `Err` if it runs
    /// on another machine.
    pub(crate) async fn server_cpu(&self) -> anyhow::Result<Cpu> {
        Cpu::of_server(self.backend().await?).context("the server does not run on this machine")
    }

    async fn backend(&self) -> anyhow::Result<i32> {
        Ok(self.admin.query_one("select pg_backend_pid()", &[]).await?.get(0))
    }

    /// Drops a database, and closes the connections to it.
    pub(crate) async fn drop(&self, database: Database) -> anyhow::Result<()> {
        let drop = format!("drop database {} with (force)", database.name);
        Ok(self.admin.batch_execute(&drop).await?)
    }

    /// Returns how many transactions have ended in a database so far. Those of this connection are not among them: it
    /// is connected to another database.
    pub(crate) async fn transactions(&self, database: &Database) -> anyhow::Result<i64> {
        let sql = "select xact_commit + xact_rollback from pg_stat_database where datname = $1";
        let row = self.admin.query_one(sql, &[&database.name]).await?;
        Ok(row.get(0))
    }
}

/// Returns the DSN of the monitor: with the port of a pooler if `REWORK_BENCH_PORT` is set, and with more options (for
/// TLS) if `REWORK_BENCH_OPTIONS` is set. `bench/through-pgbouncer` and `bench/over-tls` set them.
fn monitor_dsn(dsn: &str) -> anyhow::Result<String> {
    let mut result = dsn.to_owned();
    if let Ok(port) = std::env::var("REWORK_BENCH_PORT") {
        let (server, database) = result.rsplit_once('/').context("the DSN names no database")?;
        let (host, _) = server.rsplit_once(':').context("the DSN names no port")?;
        result = format!("{host}:{port}/{database}");
    }
    if let Ok(options) = std::env::var("REWORK_BENCH_OPTIONS") {
        result = format!("{result}?{options}");
    }
    Ok(result)
}

/// Opens a connection, and spawns the task that drives it.
pub(crate) async fn connect(dsn: &str) -> anyhow::Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(dsn, NoTls).await.context("cannot connect")?;
    tokio::spawn(connection);
    Ok(client)
}
