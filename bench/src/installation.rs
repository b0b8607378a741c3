//! rework as its users have it: its own program, told nothing but the database, and a monitor whose
//! workers are up and have run something.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_postgres::Client;

use crate::database::{Database, connect};

/// How long things may take that take a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is asked whether they are there.
const LOOK: Duration = Duration::from_millis(20);

/// Long enough that no worker gets a second task before every other one has its first.
const HOLD_MS: i64 = 300;

/// The programs that are measured.
pub(crate) struct Programs {
    rework: PathBuf,
    operations: PathBuf,
}

impl Programs {
    /// In a folder, or beside this program.
    pub(crate) fn find(folder: Option<PathBuf>) -> anyhow::Result<Programs> {
        let here = std::env::current_exe()?;
        let folder = folder.or_else(|| here.parent().map(Path::to_owned)).unwrap_or_default();
        let found = |name: &str| {
            let path = folder.join(name);
            ensure!(path.is_file(), "`{}` is not there: `make build` makes it", path.display());
            Ok(path)
        };
        Ok(Programs { rework: found("rework")?, operations: found("bench-operations")? })
    }

    pub(crate) fn command(&self, database: &Database) -> Command {
        let mut command = Command::new(&self.rework);
        command.env("REWORK_DSN", &database.dsn).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Makes the schema, with the operations.
    pub(crate) async fn set_up(&self, database: &Database) -> anyhow::Result<()> {
        self.run(database, &["init-db"]).await?;
        let operations = self.operations.to_string_lossy().into_owned();
        self.run(database, &["register-operations", &operations]).await
    }

    async fn run(&self, database: &Database, args: &[&str]) -> anyhow::Result<()> {
        let output = self.command(database).args(args).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`rework {}` failed: {said}", args.join(" "));
        Ok(())
    }
}

/// A monitor with a fixed number of workers, all warm.
pub(crate) struct Installation {
    monitor: Child,
    said: TempDir,
    /// For scheduling and for looking on.
    pub(crate) client: Client,
}

impl Installation {
    /// Sets the database up and waits until each worker has done a task and all are idle.
    pub(crate) async fn start(
        database: &Database,
        programs: &Programs,
        workers: usize,
        options: &[&str],
    ) -> anyhow::Result<Installation> {
        programs.set_up(database).await?;
        let said = tempfile::tempdir()?;
        let log = File::create(said.path().join("monitor"))?;
        let workers_word = workers.to_string();
        let monitor = programs
            .command(database)
            .env("REWORK_DSN", &database.way)
            .args(["monitor", "--minworkers", &workers_word, "--maxworkers", &workers_word])
            .args(options)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let client = connect(&database.dsn).await?;
        let mut installation = Installation { monitor, said, client };
        if let Err(error) = installation.warm(workers as i64).await {
            return Err(error.context(installation.words()));
        }
        Ok(installation)
    }

    /// The process of the monitor.
    pub(crate) fn pid(&self) -> anyhow::Result<i32> {
        Ok(i32::try_from(self.monitor.id().context("the monitor has ended")?)?)
    }

    /// Waits until no task is ready or running. Looking costs something, too.
    pub(crate) async fn drained(&mut self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        let left = include_str!("sql/rework_left.sql");
        while self.client.query_one(left, &[]).await?.get(0) {
            self.still_there()?;
            ensure!(Instant::now() < deadline, "tasks are left after {patience:?}");
            sleep(LOOK * 5).await;
        }
        Ok(())
    }

    /// Drains it as its users do.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.pid()?), Signal::SIGTERM)?;
        match timeout(PATIENCE, self.monitor.wait()).await {
            Ok(ended) => ensure!(ended?.success(), "the monitor ended badly: {}", self.words()),
            Err(_) => bail!("the monitor does not end: {}", self.words()),
        }
        Ok(())
    }

    async fn warm(&mut self, workers: i64) -> anyhow::Result<()> {
        self.until(|up, _| up == workers).await?;
        let hold = "select rework.schedule_many('hold', array_fill(to_json($1::bigint), array[$2::integer]))";
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.client.query(hold, &[&HOLD_MS, &i32::try_from(workers)?]).await?;
            self.drained(PATIENCE).await?;
            if self.until(|up, warm| up == workers && warm == workers).await.is_ok() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not every worker took a task");
        }
    }

    async fn until(&mut self, enough: impl Fn(i64, i64) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE / 10;
        loop {
            let row = self.client.query_one(include_str!("sql/rework_warm.sql"), &[]).await?;
            let (up, warm) = (row.get(0), row.get(1));
            if enough(up, warm) {
                return Ok(());
            }
            self.still_there()?;
            ensure!(Instant::now() < deadline, "{up} workers are up, {warm} are warm");
            sleep(LOOK).await;
        }
    }

    fn still_there(&mut self) -> anyhow::Result<()> {
        let ended = self.monitor.try_wait()?;
        ensure!(ended.is_none(), "the monitor has ended");
        Ok(())
    }

    /// The last that the monitor said.
    fn words(&self) -> String {
        let said = std::fs::read_to_string(self.said.path().join("monitor")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
