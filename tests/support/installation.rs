//! A test's own installation of rework: a database, a host name, a temporary folder, and functions that run `rework`
//! commands and monitors with them.
//!
//! Tests run at the same time on one machine. Each has its own database and host name, so they do not disturb each
//! other. Everything is removed when the `Installation` is dropped.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use super::command::{self, TestCommand};
use super::database::Database;
use super::invariants;
use super::leftovers;
use super::monitor::Monitor;
use super::password_leaks;
use super::processes;
use super::session::Session;
use super::task::Task;

/// A database and a host name for one test. Dropping it kills all processes of the test and asserts that the rows of
/// its database are consistent.
pub(crate) struct Installation {
    database: Database,
    folder: TempDir,
    host: String,
    /// The number of monitors that were started. It is part of the name of each monitor's output file.
    monitors: Cell<u32>,
    /// The DSN that commands and monitors get.
    dsn: String,
}

/// Environment variables of the tests that would change the database or the output of a command.
const REMOVED_VARIABLES: [&str; 9] = [
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
    /// Makes an installation without operations.
    pub(crate) fn new() -> Installation {
        Installation::with_database(Database::new())
    }

    /// Makes an installation and registers the operations of `tests/operations`.
    pub(crate) fn with_fixture() -> Installation {
        let installation = Installation::new();
        installation.register([fixture_program()]);
        installation
    }

    /// Makes an installation with this database, for tests that need an empty one or their own server.
    pub(crate) fn with_database(database: Database) -> Installation {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        password_leaks::start_scanning();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let host = format!("host-{}-{number}", std::process::id());
        let folder = tempfile::Builder::new().prefix("rework-test-").tempdir().unwrap();
        let (monitors, dsn) = (Cell::new(0), database.dsn());
        Installation { database, folder, host, monitors, dsn }
    }

    /// Returns the host name, which is also the tag of the test's processes (`processes.rs`).
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the temporary folder of the test. Commands run in it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Gives this DSN to the commands and monitors that are started from now on. It must name the same database, for
    /// example through a proxy.
    pub(crate) fn use_dsn(&mut self, dsn: &str) {
        dsn.clone_into(&mut self.dsn);
    }

    /// Returns the DSN that commands and monitors get.
    pub(crate) fn dsn(&self) -> &str {
        &self.dsn
    }

    pub(crate) fn database_name(&self) -> &str {
        self.database.name()
    }

    /// Returns the test's own connection to the database.
    pub(crate) fn session(&self) -> &Session {
        self.database.session()
    }

    /// Prepares a `rework` command with these arguments, for example `rework(["list-tasks"]).run_ok()`.
    pub(crate) fn rework<I: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = I>,
    ) -> TestCommand {
        let mut command = self.bare_command();
        command.env("REWORK_DSN", self.dsn());
        TestCommand::new(command).args(args)
    }

    /// Prepares the program `rework` with the host name, the process tag and the folder of the test, but without
    /// arguments and without a DSN.
    pub(crate) fn bare_command(&self) -> Command {
        let mut command = Command::new(command::program());
        for name in REMOVED_VARIABLES {
            command.env_remove(name);
        }
        command
            .current_dir(self.folder())
            .env("REWORK_HOST", &self.host)
            .env(processes::TAG_VARIABLE, &self.host)
            .env("TZ", "UTC");
        command
    }

    /// Registers the operations of these files on the host of the test.
    #[track_caller]
    pub(crate) fn register<P: AsRef<Path>>(&self, files: impl IntoIterator<Item = P>) {
        let files: Vec<PathBuf> = files.into_iter().map(|file| file.as_ref().to_owned()).collect();
        self.rework(["register-operations"]).args(files).run_ok();
    }

    /// Starts a monitor of the domain `default` and waits until its row is in `rework.monitor`. Panics if it ends
    /// before. `args` are more arguments for the monitor.
    #[track_caller]
    pub(crate) fn start_monitor(&self, args: &[&str]) -> Monitor {
        self.start_monitor_with_args(&[&["--domain", "default"], args].concat())
    }

    /// Starts a monitor with only these arguments and waits until its row is in `rework.monitor`. Panics if it ends
    /// before.
    #[track_caller]
    pub(crate) fn start_monitor_with_args(&self, args: &[&str]) -> Monitor {
        let before: i64 = self.session().query_value("select count(*) from rework.monitor", &[]);
        let mut monitor = self.spawn_monitor(args);
        self.wait_until("the monitor is registered", || {
            assert!(monitor.exit_status().is_none(), "the monitor ended:\n{}", monitor.output());
            let now: i64 = self.session().query_value("select count(*) from rework.monitor", &[]);
            now > before
        });
        monitor
    }

    /// Starts a monitor with only these arguments and does not wait. For tests in which it may fail to start.
    pub(crate) fn spawn_monitor(&self, args: &[&str]) -> Monitor {
        self.spawn_monitor_on(&self.host, args)
    }

    /// Starts a monitor that has another host name, and does not wait.
    pub(crate) fn spawn_monitor_on(&self, host: &str, args: &[&str]) -> Monitor {
        let mut command = self.bare_command();
        command.env("REWORK_DSN", self.dsn()).args(["monitor", "--host", host]).args(args);
        self.spawn_prepared_monitor(command)
    }

    /// Starts a monitor with a command that the caller has prepared, and does not wait. `diagnostics` prints its
    /// output.
    pub(crate) fn spawn_prepared_monitor(&self, command: Command) -> Monitor {
        let number = self.monitors.get() + 1;
        self.monitors.set(number);
        Monitor::start(command, &self.folder().join(format!("monitor-{number}.stderr")))
    }

    /// Schedules an operation with `rework schedule` and returns the id of the task.
    #[track_caller]
    pub(crate) fn schedule(&self, operation: &str, input: impl Into<Value>) -> i64 {
        let input = input.into().to_string();
        self.rework(["schedule", operation, "--input", &input]).run_ok().id()
    }

    /// Schedules an operation without an input with `rework schedule` and returns the id of the task.
    #[track_caller]
    pub(crate) fn schedule_without_input(&self, operation: &str) -> i64 {
        self.rework(["schedule", operation]).run_ok().id()
    }

    /// Schedules an operation once for each input, in one SQL statement, and returns the ids of the tasks.
    pub(crate) fn schedule_many(&self, operation: &str, inputs: &[Value]) -> Vec<i64> {
        let sql = "select rework.schedule_many($1, $2::json[])";
        self.session().query_values(sql, &[&operation, &inputs])
    }

    /// Reads the current row of a task. Does not wait.
    #[track_caller]
    pub(crate) fn task(&self, id: i64) -> Task {
        Task::read(self.session(), id)
    }

    /// Reads the rows that a task has logged so far, in all its runs, in the order of their ids. Does not wait. A row
    /// is a line, or a piece of a line that stayed without its newline for a moment.
    pub(crate) fn log_lines(&self, task: i64) -> Vec<String> {
        let sql = "select line from rework.log where task = $1 order by id";
        let lines: Vec<Vec<u8>> = self.session().query_values(sql, &[&task]);
        lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let left = processes::kill_tagged(&self.host);
        if !std::thread::panicking() {
            leftovers::remove(self.session());
            assert_eq!(
                invariants::contradictory_tasks(self.session()),
                0,
                "tasks with contradictory columns"
            );
            assert_eq!(
                invariants::contradictory_flows(self.session()),
                0,
                "flows with contradictory phases"
            );
            assert_eq!(
                invariants::wrong_lanes(self.session()),
                0,
                "wrong ranges in rework.host_lanes"
            );
        }
        // A panic during a panic aborts the process, and the message of the failed test would be lost.
        let leaks = password_leaks::found();
        assert!(leaks.is_empty() || std::thread::panicking(), "{leaks:#?}");
        assert!(
            left.is_empty() || std::thread::panicking(),
            "SIGKILL did not end these processes: {left:?}"
        );
    }
}

/// Returns the path of the program that is built from `tests/operations`.
pub(crate) fn fixture_program() -> PathBuf {
    command::workspace_program("fixture-operations")
}

/// Returns the path of a file in `tests/manifests`.
pub(crate) fn manifest_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(name)
}
