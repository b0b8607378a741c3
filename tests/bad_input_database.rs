//! Commands whose database cannot be used: it is not named, does not exist, does not answer, refuses the login, or has
//! another version of the schema.

use std::net::TcpListener;
use std::time::Duration;

use rework_core::task::state::State;

use crate::bad_input::{WRONG_PASSWORD, assert_refused, assert_refused_within};
use crate::support::database::Database;
use crate::support::{Installation, installation, server};

/// One command of each kind: it lists, schedules, shows, registers, or runs until it is stopped.
const COMMANDS: [&[&str]; 5] = [
    &["list-tasks"],
    &["schedule", "hello"],
    &["show-task", "1"],
    &["register-operations", "hello.toml"],
    &["monitor", "--domain", "default"],
];

/// Makes an installation whose folder has the manifest that `COMMANDS` names.
fn setup_with_manifest(database: Database) -> Installation {
    let setup = Installation::with_database(database);
    std::fs::copy(installation::manifest_path("hello.toml"), setup.folder().join("hello.toml"))
        .unwrap();
    setup
}

/// Asserts that each of `COMMANDS` is refused with `texts` if `dsn` names the database.
#[track_caller]
fn assert_all_refused(setup: &Installation, dsn: &str, texts: &[&str]) {
    for command in COMMANDS {
        let by_variable = setup.rework(command).env("REWORK_DSN", dsn);
        assert_refused(setup, by_variable, 1, texts);
        // The first argument may be the DSN, as in the original rework in Python.
        let by_argument =
            setup.rework([command[0], dsn]).args(&command[1..]).without_env("REWORK_DSN");
        assert_refused(setup, by_argument, 1, texts);
    }
}

#[test]
fn a_command_without_a_dsn_is_refused() {
    let setup = setup_with_manifest(Database::new());
    for command in COMMANDS {
        let command = setup.rework(command).without_env("REWORK_DSN");
        assert_refused(&setup, command, 1, &["no database is given", "--db", "rework dev"]);
    }
    let command = setup.rework(["list-tasks", "--dsn-file", "no-such"]);
    assert_refused(&setup, command, 1, &["cannot read `no-such`"]);
}

#[test]
fn an_invalid_dsn_is_refused_without_its_password() {
    let setup = setup_with_manifest(Database::new());
    let secret = WRONG_PASSWORD;
    for dsn in [
        format!("postgres://me:{secret}@db:port/jobs"),
        format!("host=db password={secret} port=x"),
        format!("host=db password = '{secret}' nonsense=1"),
        format!("postgres://me:{secret}@db/jobs?password={secret}&nonsense=1"),
    ] {
        assert_all_refused(
            &setup,
            &dsn,
            &["does not name a database", "postgres://user:password@"],
        );
    }
    let command = setup.rework(["list-tasks", "--db", "nonsense"]);
    assert_refused(
        &setup,
        command,
        1,
        &["no database named `nonsense` in rework.toml", "`--db postgres://…`"],
    );
}

#[test]
fn a_wrong_password_is_refused() {
    let setup = setup_with_manifest(Database::new());
    let dsn = server::dsn("rework", WRONG_PASSWORD, setup.database_name());
    assert_all_refused(&setup, &dsn, &["refused the login", "password authentication failed"]);
    assert_refused(
        &setup,
        setup.rework(["init-db"]).env("REWORK_DSN", &dsn),
        1,
        &["refused the login"],
    );
}

#[test]
fn a_server_that_cannot_be_reached_is_named() {
    let setup = setup_with_manifest(Database::new());
    // The listener is dropped at once, so nothing listens on this port.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dsn = format!("postgres://me:{WRONG_PASSWORD}@127.0.0.1:{port}/jobs");
    let address = format!("127.0.0.1:{port}");
    assert_all_refused(&setup, &dsn, &["cannot connect to Postgres at", &address, "rework dev"]);
    let dsn = format!("host=/no/such/folder password={WRONG_PASSWORD} user=me dbname=jobs");
    assert_all_refused(&setup, &dsn, &["cannot connect to Postgres at /no/such/folder"]);
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let setup = setup_with_manifest(Database::new());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let dsn = format!("postgres://me:{WRONG_PASSWORD}@{}/jobs", silent.local_addr().unwrap());
    let command = setup.rework(["list-tasks"]).env("REWORK_DSN", &dsn);
    assert_refused_within(&setup, command, 1, &["did not answer in time"], Duration::from_secs(15));
}

#[test]
fn a_database_that_does_not_exist_is_refused() {
    let setup = setup_with_manifest(Database::new());
    let dsn = server::superuser_dsn("no_such_database");
    assert_all_refused(&setup, &dsn, &["there is no database `no_such_database`", "createdb"]);
}

#[test]
fn a_database_without_the_schema_is_refused() {
    let setup = setup_with_manifest(Database::empty());
    assert_all_refused(
        &setup,
        setup.dsn(),
        &["there is no rework schema in database", "rework init-db"],
    );
    let sql = "select count(*) from pg_namespace where nspname = 'rework'";
    assert_eq!(setup.session().query_value::<i64>(sql, &[]), 0, "a command created the schema");
}

#[test]
fn an_old_schema_is_refused() {
    let setup = setup_with_manifest(Database::new());
    setup.session().execute("update rework.version set schema = 1, serves = 1");
    assert_all_refused(
        &setup,
        setup.dsn(),
        &["at version 1, this `rework` needs", "rework init-db"],
    );
}

#[test]
fn a_newer_schema_is_used_only_if_it_serves_this_binary() {
    let setup = setup_with_manifest(Database::new());
    setup.session().execute("update rework.version set schema = 999, serves = 998");
    let texts = ["at version 999 and serves binaries from 998 on", "use a newer `rework`"];
    assert_all_refused(&setup, setup.dsn(), &texts);
    assert_refused(&setup, setup.rework(["init-db"]), 1, &texts);

    setup.session().execute("update rework.version set serves = 1");
    setup.rework(["register-operations", "hello.toml"]).run_ok();
    let task = setup.schedule_without_input("hello");
    assert_eq!(setup.task(task).state, State::Queued, "the newer schema was not used");
}

#[test]
fn a_role_without_privileges_is_refused() {
    let setup = setup_with_manifest(Database::new());
    let role = format!("nobody_of_{}", setup.database_name());
    setup.session().execute(&format!("create role {role} login password '{WRONG_PASSWORD}'"));
    let dsn = server::dsn(&role, WRONG_PASSWORD, setup.database_name());
    for command in COMMANDS {
        let command = setup.rework(command).env("REWORK_DSN", &dsn);
        assert_refused(&setup, command, 1, &["permission denied"]);
    }
    setup.session().execute(&format!("drop role {role}"));
}

#[test]
fn a_server_that_allows_only_reads_is_refused_with_a_hint() {
    let setup = setup_with_manifest(Database::new());
    setup.rework(["register-operations", "hello.toml"]).run_ok();
    let dsn = format!("{}?options=-c%20default_transaction_read_only%3Don", setup.dsn());
    let hint = "target_session_attrs=read-write";
    for (command, text) in [
        (vec!["schedule", "hello"], "read-only transaction"),
        (vec!["monitor", "--domain", "default"], "cannot be used: the session allows only reads"),
        (vec!["init-db"], "cannot be used: the session allows only reads"),
    ] {
        let command = setup.rework(command).env("REWORK_DSN", &dsn);
        assert_refused(&setup, command, 1, &[text, hint]);
    }
    let dsn = format!("{}?target_session_attrs=standby", setup.dsn());
    let command = setup.rework(["list-tasks"]).env("REWORK_DSN", &dsn);
    assert_refused(&setup, command, 1, &["the server is not a standby"]);
}

#[test]
fn a_connection_parameter_is_used_ignored_or_refused() {
    let setup = setup_with_manifest(Database::new());
    for parameter in ["require_auth=password", "gssencmode=require", "sslpassword=x"] {
        let dsn = format!("{}?{parameter}", setup.dsn());
        let name = parameter.split('=').next().unwrap();
        let text = format!("the connection parameter `{name}` is not supported");
        let command = setup.rework(["list-tasks"]).env("REWORK_DSN", &dsn);
        assert_refused(&setup, command, 1, &[&text, "docs/cli.md"]);
    }
    let used = "connect_timeout=5&keepalives=1&keepalives_count=3&tcp_user_timeout=5000&sslsni=0\
                &gssencmode=prefer&target_session_attrs=primary&application_name=mine";
    let output =
        setup.rework(["list-tasks"]).env("REWORK_DSN", &format!("{}?{used}", setup.dsn())).run_ok();
    let note = "the connection parameter `application_name` has no effect";
    assert!(output.stderr().contains(note), "{output}");
}
