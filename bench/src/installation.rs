//! Starts rework as users do: the program `rework` with nothing but a DSN, and a monitor. Its workers are warm: each
//! has run a task, so that its runner has started.

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

/// The longest time that starting and stopping may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often the state in the database is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The duration of the tasks that warm the workers, in milliseconds. It is long enough that each worker claims one
/// before another worker claims a second one.
const WARM_UP_MS: i64 = 300;

/// The paths of the programs that are measured.
pub(crate) struct Programs {
    rework: PathBuf,
    operations: PathBuf,
}

impl Programs {
    /// Finds the programs in a folder; `None` for the folder of this program.
    pub(crate) fn find(folder: Option<PathBuf>) -> anyhow::Result<Programs> {
        let here = std::env::current_exe()?;
        let folder = folder.or_else(|| here.parent().map(Path::to_owned)).unwrap_or_default();
        let find = |name: &str| {
            let path = folder.join(name);
            ensure!(path.is_file(), "`{}` does not exist: `make bench` builds it", path.display());
            Ok(path)
        };
        Ok(Programs { rework: find("rework")?, operations: find("bench-operations")? })
    }

    /// Returns a command that runs `rework` with a database.
    pub(crate) fn command(&self, database: &Database) -> Command {
        let mut command = Command::new(&self.rework);
        command.env("REWORK_DSN", &database.dsn).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Creates the schema and registers the operations.
    pub(crate) async fn set_up(&self, database: &Database) -> anyhow::Result<()> {
        self.run(database, &["init-db"]).await?;
        let operations = self.operations.to_string_lossy().into_owned();
        self.run(database, &["register-operations", &operations]).await
    }

    async fn run(&self, database: &Database, args: &[&str]) -> anyhow::Result<()> {
        let output = self.command(database).args(args).output().await?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`rework {}` failed: {stderr}", args.join(" "));
        Ok(())
    }
}

/// A running monitor with a fixed number of warm workers.
pub(crate) struct Installation {
    monitor: Child,
    /// The folder of the monitor's log.
    log_folder: TempDir,
    /// A connection for scheduling tasks and for reading their state.
    pub(crate) client: Client,
}

impl Installation {
    /// Sets up the database, starts a monitor, and waits until each worker has done a task and all are idle.
    pub(crate) async fn start(
        database: &Database,
        programs: &Programs,
        workers: usize,
        options: &[&str],
    ) -> anyhow::Result<Installation> {
        programs.set_up(database).await?;
        let log_folder = tempfile::tempdir()?;
        let log = File::create(log_folder.path().join("monitor"))?;
        let count = workers.to_string();
        let monitor = programs
            .command(database)
            .env("REWORK_DSN", &database.monitor_dsn)
            .args(["monitor", "--minworkers", &count, "--maxworkers", &count])
            .args(options)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let client = connect(&database.dsn).await?;
        let mut installation = Installation { monitor, log_folder, client };
        if let Err(error) = installation.warm_up(workers as i64).await {
            return Err(error.context(installation.log_tail()));
        }
        Ok(installation)
    }

    /// Returns the process id of the monitor.
    pub(crate) fn pid(&self) -> anyhow::Result<i32> {
        Ok(i32::try_from(self.monitor.id().context("the monitor has exited")?)?)
    }

    /// Waits until no task is ready or running. `Err` after `timeout`, or if the monitor has exited.
    pub(crate) async fn wait_until_drained(&mut self, timeout: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        let unfinished = include_str!("sql/rework_unfinished.sql");
        while self.client.query_one(unfinished, &[]).await?.get(0) {
            self.ensure_monitor_runs()?;
            ensure!(Instant::now() < deadline, "tasks are not done after {timeout:?}");
            // Rarely, because each poll takes CPU time from what is measured.
            sleep(POLL_INTERVAL * 5).await;
        }
        Ok(())
    }

    /// Stops the monitor with SIGTERM, as users do, and waits for its exit.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.pid()?), Signal::SIGTERM)?;
        match timeout(TIMEOUT, self.monitor.wait()).await {
            Ok(status) => ensure!(status?.success(), "the monitor failed: {}", self.log_tail()),
            Err(_) => bail!("the monitor does not exit: {}", self.log_tail()),
        }
        Ok(())
    }

    /// Schedules tasks until each worker has run one.
    async fn warm_up(&mut self, workers: i64) -> anyhow::Result<()> {
        self.wait_for_workers(|started, _| started == workers).await?;
        let hold = "select rework.schedule_many('hold', array_fill(to_json($1::bigint), array[$2::integer]))";
        let deadline = Instant::now() + TIMEOUT;
        loop {
            self.client.query(hold, &[&WARM_UP_MS, &i32::try_from(workers)?]).await?;
            self.wait_until_drained(TIMEOUT).await?;
            let all_warm = |started: i64, warm: i64| started == workers && warm == workers;
            if self.wait_for_workers(all_warm).await.is_ok() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not every worker has run a task");
        }
    }

    /// Waits until a condition holds for the numbers of started and of warm workers.
    async fn wait_for_workers(
        &mut self,
        is_enough: impl Fn(i64, i64) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + TIMEOUT / 10;
        loop {
            let row = self.client.query_one(include_str!("sql/rework_warm.sql"), &[]).await?;
            let (started, warm) = (row.get(0), row.get(1));
            if is_enough(started, warm) {
                return Ok(());
            }
            self.ensure_monitor_runs()?;
            ensure!(Instant::now() < deadline, "{started} workers have started, {warm} are warm");
            sleep(POLL_INTERVAL).await;
        }
    }

    fn ensure_monitor_runs(&mut self) -> anyhow::Result<()> {
        let status = self.monitor.try_wait()?;
        ensure!(status.is_none(), "the monitor has exited");
        Ok(())
    }

    /// Returns the last lines of the monitor's log.
    fn log_tail(&self) -> String {
        let path = self.log_folder.path().join("monitor");
        let log = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
