//! All that a test needs of rework: a database, a host name of its own, a folder, commands and
//! monitors that belong to them, and what the tables say. When it goes, everything goes.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use super::command::{self, Call};
use super::database::Database;
use super::invariants;
use super::leftovers;
use super::monitor::Monitor;
use super::password_watch;
use super::processes;
use super::session::Session;
use super::task::Task;

/// A database and a host, for one test.
pub(crate) struct Installation {
    database: Database,
    folder: TempDir,
    host: String,
    monitors: Cell<u32>,
    dsn: String,
}

/// Variables that would lead a command elsewhere.
const MISLEADING: [&str; 9] = [
    "DATABASE_URL",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGDATABASE",
    "REWORK_TEST_DSN",
    "RUST_LOG",
    "RUST_BACKTRACE",
];

impl Installation {
    /// With the schema, and without operations.
    pub(crate) fn new() -> Installation {
        Installation::on(Database::new())
    }

    /// With the operations of `tests/operations`.
    pub(crate) fn with_fixture() -> Installation {
        let installation = Installation::new();
        installation.register([fixture()]);
        installation
    }

    /// Over a database that a test has made by itself.
    pub(crate) fn on(database: Database) -> Installation {
        static MADE: AtomicU32 = AtomicU32::new(0);
        password_watch::begin();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let host = format!("host-{}-{number}", std::process::id());
        let folder = tempfile::Builder::new().prefix("rework-test-").tempdir().unwrap();
        let (monitors, dsn) = (Cell::new(0), database.dsn());
        Installation { database, folder, host, monitors, dsn }
    }

    /// The name of its host, which is also the mark of its processes.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// A folder that goes with the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Commands and monitors get this DSN from now on; it leads to the same database.
    pub(crate) fn use_dsn(&mut self, dsn: &str) {
        dsn.clone_into(&mut self.dsn);
    }

    /// Where its database is.
    pub(crate) fn dsn(&self) -> &str {
        &self.dsn
    }

    /// The name of its database.
    pub(crate) fn database_name(&self) -> &str {
        self.database.name()
    }

    /// The test's own connection.
    pub(crate) fn session(&self) -> &Session {
        self.database.session()
    }

    /// A `rework` command: `rework(["list-tasks"]).ok()`.
    pub(crate) fn rework<I: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = I>,
    ) -> Call {
        let mut command = self.process();
        command.env("REWORK_DSN", self.dsn());
        Call::new(command).args(args)
    }

    /// The bare program: on this host, with the mark, and without a database.
    pub(crate) fn process(&self) -> Command {
        let mut command = Command::new(command::program());
        for name in MISLEADING {
            command.env_remove(name);
        }
        command
            .current_dir(self.folder())
            .env("REWORK_HOST", &self.host)
            .env(processes::VARIABLE, &self.host)
            .env("TZ", "UTC");
        command
    }

    /// Registers files on its host.
    #[track_caller]
    pub(crate) fn register<P: AsRef<Path>>(&self, files: impl IntoIterator<Item = P>) {
        let files: Vec<PathBuf> = files.into_iter().map(|file| file.as_ref().to_owned()).collect();
        self.rework(["register-operations"]).args(files).ok();
    }

    /// Starts a monitor of the domain `default`, and waits until it is there.
    #[track_caller]
    pub(crate) fn monitor(&self, args: &[&str]) -> Monitor {
        self.awaited_monitor(&[&["--domain", "default"], args].concat())
    }

    /// Starts a monitor with just these arguments, and waits until it is there.
    #[track_caller]
    pub(crate) fn awaited_monitor(&self, args: &[&str]) -> Monitor {
        let before: i64 = self.session().one("select count(*) from rework.monitor", &[]);
        let mut monitor = self.unawaited_monitor(args);
        self.until("the monitor is there", || {
            assert!(monitor.has_ended().is_none(), "the monitor ended:\n{}", monitor.said());
            let now: i64 = self.session().one("select count(*) from rework.monitor", &[]);
            now > before
        });
        monitor
    }

    /// Starts a monitor on its host, which may not get far.
    pub(crate) fn unawaited_monitor(&self, args: &[&str]) -> Monitor {
        self.unawaited_monitor_on(&self.host, args)
    }

    /// Starts a monitor on another host, as far as it is told.
    pub(crate) fn unawaited_monitor_on(&self, host: &str, args: &[&str]) -> Monitor {
        let number = self.monitors.get() + 1;
        self.monitors.set(number);
        let mut command = self.process();
        command.env("REWORK_DSN", self.dsn()).args(["monitor", "--host", host]).args(args);
        Monitor::start(command, &self.folder().join(format!("monitor-{number}.stderr")))
    }

    /// Schedules by the command line, and gives the task's id.
    #[track_caller]
    pub(crate) fn schedule(&self, operation: &str, input: impl Into<Value>) -> i64 {
        let input = input.into().to_string();
        self.rework(["schedule", operation, "--input", &input]).ok().id()
    }

    /// Schedules without an input.
    #[track_caller]
    pub(crate) fn schedule_plain(&self, operation: &str) -> i64 {
        self.rework(["schedule", operation]).ok().id()
    }

    /// Schedules many at once, in SQL.
    pub(crate) fn schedule_many(&self, operation: &str, inputs: &[Value]) -> Vec<i64> {
        let sql = "select rework.schedule_many($1, $2)";
        self.session().all(sql, &[&operation, &inputs])
    }

    /// What the tables say of a task.
    #[track_caller]
    pub(crate) fn task(&self, id: i64) -> Task {
        Task::read(self.session(), id)
    }

    /// The lines of a task, in the order of their ids, as text.
    pub(crate) fn log(&self, task: i64) -> Vec<String> {
        let sql = "select line from rework.log where task = $1 order by id";
        let lines: Vec<Vec<u8>> = self.session().all(sql, &[&task]);
        lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let left = processes::kill_marked(&self.host);
        if !std::thread::panicking() {
            leftovers::remove(self.session());
            assert_eq!(invariants::of_tasks(self.session()), 0, "tasks contradict themselves");
            assert_eq!(invariants::of_lanes(self.session()), 0, "lanes that no range has");
        }
        // In a panic a second one would hide the first.
        let seen = password_watch::seen();
        assert!(seen.is_empty() || std::thread::panicking(), "{seen:#?}");
        assert!(left.is_empty() || std::thread::panicking(), "they do not die: {left:?}");
    }
}

/// The program of `tests/operations`.
pub(crate) fn fixture() -> PathBuf {
    command::sibling("fixture-operations")
}

/// A file of `tests/manifests`.
pub(crate) fn manifest(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(name)
}
