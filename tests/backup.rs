//! Backup with `pg_dump` and restore into another server.
//!
//! After the restore, the runs that were running during the dump are recorded as lost, and queued tasks run.

use std::path::Path;
use std::process::Command;

use rework_core::task::state::State;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture_program};
use crate::support::session::Session;

/// Returns a client program of Postgres: from the folder of the server programs, or from `PATH`.
fn client_program(name: &str) -> Command {
    let folder = std::env::var_os("REWORK_TEST_PG_BIN").expect("run the tests by `make test`");
    let in_server_folder = Path::new(&folder).join(name);
    Command::new(if in_server_folder.exists() {
        in_server_folder.as_path()
    } else {
        Path::new(name)
    })
}

/// Runs a command and asserts that it succeeds.
fn run_ok(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn after_a_restore_started_runs_are_lost_and_queued_tasks_run() {
    let (from, to) = (Cluster::new(), Cluster::new());
    let setup = Installation::with_database(Database::on_cluster(&from));
    setup.register([fixture_program()]);
    let monitor = setup.start_monitor(&["--maxworkers", "2", "--lease", "2s"]);
    let gate = json!(setup.folder().join("gate"));
    let lost = setup.schedule("hold", gate.clone());
    let repeatable = setup.schedule("hold_retry_lost", gate);
    setup.wait_until_logged(lost, "holding");
    setup.wait_until_logged(repeatable, "holding");
    let queued = setup.schedule("double", 21);
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump.sql");
    run_ok(
        client_program("pg_dump")
            .args(["--schema=rework", "--no-owner", "-f"])
            .arg(&dump)
            .arg(setup.dsn()),
    );
    drop(monitor);
    drop(setup);

    Session::open(&to.dsn("postgres")).execute("create database jobs");
    run_ok(
        client_program("psql")
            .args(["-q", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(&dump)
            .arg(to.dsn("jobs")),
    );
    let restored = Installation::with_database(Database::restored_on(&to));
    assert_eq!(
        restored.rework(["init-db"]).run_ok().stdout().trim(),
        format!("already at version {}", rework_core::admin::schema::VERSION)
    );
    restored.register([fixture_program()]);
    // The path of the gate is in the input. Its folder was removed together with the first installation.
    let gate = restored
        .session()
        .query_value::<String>("select input #>> '{}' from rework.task where id = 1", &[]);
    std::fs::create_dir_all(Path::new(&gate).parent().unwrap()).unwrap();
    std::fs::write(&gate, "").unwrap();
    let _monitor = restored.start_monitor(&["--maxworkers", "2", "--lease", "2s"]);
    assert_eq!(restored.wait_until_done(queued).output, json!(42));
    let ended = restored.wait_until_ended(lost);
    assert_eq!((ended.state, ended.reason()), (State::Lost, "host lost"));
    let ended = restored.wait_until_done(repeatable);
    assert_eq!((ended.run, ended.attempt), (2, 1));
    let log = restored.log_lines(repeatable);
    assert_eq!(log, ["holding", "holding", "released"], "lines of both runs");
    std::fs::remove_dir_all(Path::new(&gate).parent().unwrap()).unwrap();
}
