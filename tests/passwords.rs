//! The password of the database does not appear in the arguments of any process, nor in the environment of an
//! operation.
//!
//! `support/password_leaks.rs` checks the same for all tests in the background.

use serde_json::json;

use crate::support::installation::{fixture_program, manifest_path};
use crate::support::session::Session;
use crate::support::{Installation, processes, server};

/// A superuser with a password that no other test uses, so that a process with this password belongs to this test. It
/// is dropped with the value.
struct PasswordRole(String);

impl PasswordRole {
    /// Returns the role, the DSN for it, and its password.
    fn new(session: &Session, database: &str) -> (PasswordRole, String, String) {
        let (name, password) = (format!("secretive_{database}"), format!("s3cret-{database}"));
        session.execute(&format!("create role {name} superuser login password '{password}'"));
        let dsn = server::dsn(&name, &password, database);
        (PasswordRole(name), dsn, password)
    }
}

impl Drop for PasswordRole {
    fn drop(&mut self) {
        let server = Session::open(&server::superuser_dsn("postgres"));
        if let Err(error) = server.try_execute(&format!("drop role {}", self.0)) {
            eprintln!("{error:?}");
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Asserts that no process on this machine has the password in its arguments.
fn assert_not_in_arguments(password: &str) {
    for (pid, arguments) in processes::all_arguments() {
        let line = String::from_utf8_lossy(&arguments);
        assert!(!contains(&arguments, password), "process {pid}: {line}");
    }
}

#[test]
fn operations_and_arguments_do_not_contain_the_password() {
    let setup = Installation::new();
    let (_role, dsn, password) = PasswordRole::new(setup.session(), setup.database_name());
    let mut setup = setup;
    setup.use_dsn(&dsn);
    setup.register([fixture_program(), manifest_path("environment.toml")]);
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let gate = setup.folder().join("gate");
    let running = setup.schedule("hold", json!(gate));
    setup.wait_until_logged(running, "holding");
    assert_not_in_arguments(&password);
    for process in processes::tagged(setup.host()) {
        // The test gives the DSN to the monitor in its environment, so only other processes are checked.
        let is_monitor = process.command.contains("rework monitor");
        let has_password = contains(&processes::environment(process.pid), &password);
        assert!(is_monitor || !has_password, "{process:?}");
    }
    let variables =
        setup.wait_until_done(setup.schedule_without_input("environment")).output.to_string();
    assert!(variables.contains("PATH") && !variables.contains(&password), "{variables}");
    assert!(!variables.contains("REWORK_DSN") && !variables.contains("PGPASSWORD"), "{variables}");
    let task = setup.wait_until_done(setup.schedule_without_input("print_environment")).id;
    let printed = setup.log_lines(task).join("\n");
    assert!(printed.contains("PATH=") && !printed.contains(&password), "{printed}");
    assert!(!printed.contains("REWORK_DSN"), "{printed}");
}

#[test]
fn a_monitor_hides_the_password_of_its_arguments_and_warns() {
    let setup = Installation::new();
    let (_role, dsn, password) = PasswordRole::new(setup.session(), setup.database_name());
    let mut setup = setup;
    setup.use_dsn("");
    let monitor = setup.start_monitor_with_args(&["--db", &dsn, "--maxworkers", "1"]);
    assert_not_in_arguments(&password);
    assert!(
        monitor.output().starts_with("warning: other users can see a password in the arguments"),
        "{}",
        monitor.output()
    );
    drop(monitor);
}
