//! Backup and restore: what was under way when the dump was made is closed, and what waited runs.

use std::path::Path;
use std::process::Command;

use rework_core::task::state::State;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture};

/// A client program: beside the server's, else wherever the machine has it.
fn program(name: &str) -> Command {
    let folder = std::env::var_os("REWORK_TEST_PG_BIN").expect("run the tests by `make test`");
    let beside = Path::new(&folder).join(name);
    Command::new(if beside.exists() { beside.as_path() } else { Path::new(name) })
}

fn run(command: &mut Command) {
    let said = command.output().unwrap();
    assert!(said.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn a_restore_closes_what_ran_and_runs_what_waited() {
    let (from, to) = (Cluster::new(), Cluster::new());
    let place = Installation::on(Database::on(&from));
    place.register([fixture()]);
    let monitor = place.monitor(&["--maxworkers", "2", "--lease", "2s"]);
    let gate = json!(place.folder().join("gate"));
    let lost = place.schedule("hold", gate.clone());
    let again = place.schedule("hold_again", gate);
    place.writes(lost, "holding");
    place.writes(again, "holding");
    let waiting = place.schedule("double", 21);
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump.sql");
    run(program("pg_dump")
        .args(["--schema=rework", "--no-owner", "-f"])
        .arg(&dump)
        .arg(place.dsn()));
    drop(monitor);
    drop(place);

    crate::support::session::Session::open(&to.dsn("postgres")).run("create database jobs");
    run(program("psql").args(["-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&dump).arg(to.dsn("jobs")));
    let restored = Installation::on(Database::restored(&to));
    assert_eq!(
        restored.rework(["init-db"]).ok().stdout().trim(),
        format!("already at version {}", rework_core::admin::schema::VERSION)
    );
    restored.register([fixture()]);
    let gate = restored
        .session()
        .one::<String>("select input #>> '{}' from rework.task where id = 1", &[]);
    std::fs::create_dir_all(Path::new(&gate).parent().unwrap()).unwrap();
    std::fs::write(&gate, "").unwrap();
    let _monitor = restored.monitor(&["--maxworkers", "2", "--lease", "2s"]);
    assert_eq!(restored.done(waiting).output, json!(42));
    let ended = restored.ended(lost);
    assert_eq!((ended.state, ended.reason()), (State::Lost, "host lost"));
    let ended = restored.done(again);
    assert_eq!((ended.run, ended.attempt), (2, 1));
    assert_eq!(restored.log(again), ["holding", "holding", "released"], "its log is all there");
    std::fs::remove_dir_all(Path::new(&gate).parent().unwrap()).unwrap();
}
