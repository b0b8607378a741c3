//! The password: in nobody's arguments, and in no environment of operation code.

use serde_json::json;

use crate::support::installation::{fixture, manifest};
use crate::support::session::Session;
use crate::support::{Installation, processes, server};

/// A role of its own, so that its password is in no other test's hands.
struct Role(String);

impl Role {
    fn new(session: &Session, database: &str) -> (Role, String, String) {
        let (name, password) = (format!("secretive_{database}"), format!("s3cret-{database}"));
        session.run(&format!("create role {name} superuser login password '{password}'"));
        let dsn = server::dsn(&name, &password, database);
        (Role(name), dsn, password)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let server = Session::open(&server::own_dsn("postgres"));
        if let Err(error) = server.try_run(&format!("drop role {}", self.0)) {
            eprintln!("{error:?}");
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn assert_in_no_arguments(password: &str) {
    for (pid, arguments) in processes::all_arguments() {
        let shown = String::from_utf8_lossy(&arguments);
        assert!(!contains(&arguments, password), "pid {pid}: {shown}");
    }
}

#[test]
fn the_password_is_in_no_arguments_and_in_no_operation() {
    let place = Installation::new();
    let (_role, dsn, password) = Role::new(place.session(), place.database_name());
    let mut place = place;
    place.use_dsn(&dsn);
    place.register([fixture(), manifest("environment.toml")]);
    let _monitor = place.monitor(&["--maxworkers", "2"]);
    let gate = place.folder().join("gate");
    let held = place.schedule("hold", json!(gate));
    place.writes(held, "holding");
    assert_in_no_arguments(&password);
    for process in processes::marked(place.host()) {
        let is_ours = process.command.contains("rework monitor");
        let seen = contains(&processes::environment(process.pid), &password);
        assert!(is_ours || !seen, "{process:?}");
    }
    let variables = place.done(place.schedule_plain("environment")).output.to_string();
    assert!(variables.contains("PATH") && !variables.contains(&password), "{variables}");
    assert!(!variables.contains("REWORK_DSN") && !variables.contains("PGPASSWORD"), "{variables}");
    let printed = place.done(place.schedule_plain("print_environment")).id;
    let printed = place.log(printed).join("\n");
    assert!(printed.contains("PATH=") && !printed.contains(&password), "{printed}");
    assert!(!printed.contains("REWORK_DSN"), "{printed}");
}

#[test]
fn a_password_in_the_arguments_of_a_monitor_is_moved_out_of_sight() {
    let place = Installation::new();
    let (_role, dsn, password) = Role::new(place.session(), place.database_name());
    let mut place = place;
    place.use_dsn("");
    let monitor = place.awaited_monitor(&["--db", &dsn, "--maxworkers", "1"]);
    assert_in_no_arguments(&password);
    assert!(
        monitor.said().starts_with("warning: a password in the arguments"),
        "{}",
        monitor.said()
    );
    drop(monitor);
}
