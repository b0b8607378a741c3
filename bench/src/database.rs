//! The server that is measured on, and a fresh database of it for each measurement.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail, ensure};
use tokio_postgres::{Client, NoTls};

use crate::cpu::Cpu;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A server on which we may do anything.
pub(crate) struct Server {
    dsn: String,
    admin: Client,
}

/// A database of our own. Dropped by [`Server::drop`], when nobody is connected any more.
pub(crate) struct Database {
    name: String,
    pub(crate) dsn: String,
    /// By which way the monitor that is measured reaches it.
    pub(crate) way: String,
}

impl Server {
    pub(crate) async fn connect(dsn: &str) -> anyhow::Result<Server> {
        let admin = connect(dsn).await?;
        Ok(Server { dsn: dsn.to_owned(), admin })
    }

    /// Which server, which machine, when. A server that does not commit durably is refused.
    pub(crate) async fn describe(&self) -> anyhow::Result<String> {
        let mut settings = Vec::new();
        for name in ["server_version", "fsync", "synchronous_commit", "shared_buffers"] {
            let row = self.admin.query_one("select current_setting($1)", &[&name]).await?;
            settings.push((name, row.get::<_, String>(0)));
        }
        for (name, value) in &settings[1..3] {
            ensure!(value == "on", "`{name}` is {value}: what is not durable is not measured");
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

    /// A new, empty database.
    pub(crate) async fn create(&self) -> anyhow::Result<Database> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("rework_bench_{}_{number}", std::process::id());
        self.admin.batch_execute(&format!("create database {name}")).await?;
        let Some((server, _)) = self.dsn.rsplit_once('/') else {
            bail!("REWORK_TEST_DSN is not of the form postgres://…/DATABASE");
        };
        let dsn = format!("{server}/{name}");
        self.admin.batch_execute("checkpoint").await?;
        let way = way(&dsn)?;
        Ok(Database { name, dsn, way })
    }

    /// A setting of all who connect to a database from now on.
    pub(crate) async fn set(
        &self,
        database: &Database,
        name: &str,
        value: &str,
    ) -> anyhow::Result<()> {
        let set = format!("alter database {} set {name} = '{value}'", database.name);
        Ok(self.admin.batch_execute(&set).await?)
    }

    /// The CPU time of this server and of us; an error where it runs on another machine.
    pub(crate) async fn cpu(&self) -> anyhow::Result<Cpu> {
        Cpu::beside(self.backend().await?).context("the server does not run on this machine")
    }

    /// The CPU time of this server alone.
    pub(crate) async fn own_cpu(&self) -> anyhow::Result<Cpu> {
        Cpu::of_server(self.backend().await?).context("the server does not run on this machine")
    }

    async fn backend(&self) -> anyhow::Result<i32> {
        Ok(self.admin.query_one("select pg_backend_pid()", &[]).await?.get(0))
    }

    /// Drops it, with whoever is still connected.
    pub(crate) async fn drop(&self, database: Database) -> anyhow::Result<()> {
        let drop = format!("drop database {} with (force)", database.name);
        Ok(self.admin.batch_execute(&drop).await?)
    }

    /// Transactions that were committed or rolled back in a database so far, by others: we are
    /// connected to another one.
    pub(crate) async fn transactions(&self, database: &Database) -> anyhow::Result<i64> {
        let sql = "select xact_commit + xact_rollback from pg_stat_database where datname = $1";
        let row = self.admin.query_one(sql, &[&database.name]).await?;
        Ok(row.get(0))
    }
}

/// The same, by another port (of a pooler), and with more options (of encryption).
fn way(dsn: &str) -> anyhow::Result<String> {
    let mut way = dsn.to_owned();
    if let Ok(port) = std::env::var("REWORK_BENCH_PORT") {
        let (server, database) = way.rsplit_once('/').context("a DSN has a database")?;
        let (host, _) = server.rsplit_once(':').context("a DSN has a port")?;
        way = format!("{host}:{port}/{database}");
    }
    if let Ok(options) = std::env::var("REWORK_BENCH_OPTIONS") {
        way = format!("{way}?{options}");
    }
    Ok(way)
}

/// A connection with a driver of its own.
pub(crate) async fn connect(dsn: &str) -> anyhow::Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(dsn, NoTls).await.context("cannot connect")?;
    tokio::spawn(connection);
    Ok(client)
}
