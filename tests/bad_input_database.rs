//! Databases that cannot be used: unnamed, unknown, closed, absent, silent, or with another schema.

use std::net::TcpListener;
use std::time::Duration;

use rework_core::task::state::State;

use crate::bad_input::{WRONG_PASSWORD, refused, refused_within};
use crate::support::database::Database;
use crate::support::{Installation, installation, server};

/// Commands of every sort, and one that would run long.
const COMMANDS: [&[&str]; 5] = [
    &["list-tasks"],
    &["schedule", "hello"],
    &["show-task", "1"],
    &["register-operations", "hello.toml"],
    &["monitor", "--domain", "default"],
];

/// A place whose folder has what the commands name.
fn place(database: Database) -> Installation {
    let place = Installation::on(database);
    std::fs::copy(installation::manifest("hello.toml"), place.folder().join("hello.toml")).unwrap();
    place
}

#[track_caller]
fn each_refused(place: &Installation, dsn: &str, words: &[&str]) {
    for command in COMMANDS {
        let call = place.rework(command).env("REWORK_DSN", dsn);
        refused(place, call, 1, words);
        // As it was typed by users of the first `rework`; a monitor hides it, and warns.
        let call = place.rework([command[0], dsn]).args(&command[1..]).without_env("REWORK_DSN");
        refused(place, call, 1, words);
    }
}

#[test]
fn no_database_is_named() {
    let place = place(Database::new());
    for command in COMMANDS {
        let call = place.rework(command).without_env("REWORK_DSN");
        refused(&place, call, 1, &["no database is named", "--db", "rework dev"]);
    }
    let call = place.rework(["list-tasks", "--dsn-file", "no-such"]);
    refused(&place, call, 1, &["cannot read `no-such`"]);
}

#[test]
fn what_names_no_database() {
    let place = place(Database::new());
    let secret = WRONG_PASSWORD;
    for dsn in [
        format!("postgres://me:{secret}@db:port/jobs"),
        format!("host=db password={secret} port=x"),
        format!("host=db password = '{secret}' nonsense=1"),
        format!("postgres://me:{secret}@db/jobs?password={secret}&nonsense=1"),
    ] {
        each_refused(&place, &dsn, &["does not name a database", "postgres://user:password@"]);
    }
    let call = place.rework(["list-tasks", "--db", "nonsense"]);
    refused(&place, call, 1, &["`nonsense` is no database", "give a DSN, `postgres://…`"]);
}

#[test]
fn a_wrong_password() {
    let place = place(Database::new());
    let dsn = server::dsn("rework", WRONG_PASSWORD, place.database_name());
    each_refused(&place, &dsn, &["does not let us in", "password authentication failed"]);
    refused(&place, place.rework(["init-db"]).env("REWORK_DSN", &dsn), 1, &["does not let us in"]);
}

#[test]
fn nobody_listens() {
    let place = place(Database::new());
    // A port that is ours, and is closed again.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dsn = format!("postgres://me:{WRONG_PASSWORD}@127.0.0.1:{port}/jobs");
    let place_of_it = format!("127.0.0.1:{port}");
    each_refused(&place, &dsn, &["cannot connect to Postgres at", &place_of_it, "rework dev"]);
    let dsn = format!("host=/no/such/folder password={WRONG_PASSWORD} user=me dbname=jobs");
    each_refused(&place, &dsn, &["cannot connect to Postgres at /no/such/folder"]);
}

#[test]
fn somebody_listens_and_says_nothing() {
    let place = place(Database::new());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let dsn = format!("postgres://me:{WRONG_PASSWORD}@{}/jobs", silent.local_addr().unwrap());
    let call = place.rework(["list-tasks"]).env("REWORK_DSN", &dsn);
    refused_within(&place, call, 1, &["did not answer in time"], Duration::from_secs(15));
}

#[test]
fn no_such_database() {
    let place = place(Database::new());
    let dsn = server::own_dsn("no_such_database");
    each_refused(&place, &dsn, &["there is no database `no_such_database`", "createdb"]);
}

#[test]
fn no_schema() {
    let place = place(Database::empty());
    each_refused(&place, place.dsn(), &["there is no rework schema in database", "rework init-db"]);
    let sql = "select count(*) from pg_namespace where nspname = 'rework'";
    assert_eq!(place.session().one::<i64>(sql, &[]), 0, "and none was made");
}

#[test]
fn an_old_schema() {
    let place = place(Database::new());
    place.session().run("update rework.version set schema = 1, serves = 1");
    each_refused(&place, place.dsn(), &["at version 1, this `rework` needs", "rework init-db"]);
}

#[test]
fn a_new_schema() {
    let place = place(Database::new());
    place.session().run("update rework.version set schema = 999, serves = 998");
    let words = ["at version 999 and serves binaries from 998 on", "use a newer `rework`"];
    each_refused(&place, place.dsn(), &words);
    refused(&place, place.rework(["init-db"]), 1, &words);

    place.session().run("update rework.version set serves = 1");
    place.rework(["register-operations", "hello.toml"]).ok();
    let task = place.schedule_plain("hello");
    assert_eq!(place.task(task).state, State::Queued, "one that still serves us is used");
}

#[test]
fn a_role_that_may_not() {
    let place = place(Database::new());
    let role = format!("nobody_of_{}", place.database_name());
    place.session().run(&format!("create role {role} login password '{WRONG_PASSWORD}'"));
    let dsn = server::dsn(&role, WRONG_PASSWORD, place.database_name());
    for command in COMMANDS {
        let call = place.rework(command).env("REWORK_DSN", &dsn);
        refused(&place, call, 1, &["permission denied"]);
    }
    place.session().run(&format!("drop role {role}"));
}
