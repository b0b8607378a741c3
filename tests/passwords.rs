//! The password of the database does not appear in the arguments and the environment of a process that runs long, nor
//! in any message. Operations cannot read the memory of the processes of rework, which hold it.
//!
//! `support/password_leaks.rs` checks the same for all tests in the background.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};

use crate::support::containment_modes::ContainmentMode;
use crate::support::installation::{fixture_program, manifest_path};
use crate::support::monitor::Monitor;
use crate::support::monitored_host::MonitoredHost;
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
fn arguments_and_environments_do_not_contain_the_password() {
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
        assert!(!contains(&processes::environment(process.pid), &password), "{process:?}");
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

#[test]
fn a_variable_with_only_the_password_is_removed_and_completes_each_dsn() {
    let setup = Installation::new();
    let (_role, dsn, password) = PasswordRole::new(setup.session(), setup.database_name());
    let without_password = dsn.replace(&format!(":{password}@"), "@");
    assert_ne!(without_password, dsn);
    // An empty password counts as none.
    let empty_password = dsn.replace(&format!(":{password}@"), ":@");
    let mut command = setup.bare_command();
    command.env("REWORK_DSN", &empty_password).env("PGPASSWORD", &password);
    command.args(["monitor", "--listen-dsn", &without_password]);
    let monitor = Monitor::start(command, &setup.folder().join("monitor-1.stderr"));
    setup.wait_until("the monitor listens for notifications", || {
        let sql = "select exists (select from pg_stat_activity
                    where datname = current_database() and application_name like '%(notifications)')";
        setup.session().query_value(sql, &[])
    });
    assert!(!contains(&processes::environment(monitor.pid()), &password));
    assert_not_in_arguments(&password);
}

/// Returns the user who owns the files of a process in `/proc`. Root owns those of a process that no other process of
/// its user may read.
fn owner(pid: i32) -> u32 {
    fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid()
}

#[test]
fn only_runners_can_be_read_by_other_processes_of_their_user() {
    let is_root = nix::unistd::Uid::effective().is_root();
    let mode = if is_root { ContainmentMode::AsNobody } else { ContainmentMode::Processes };
    let host = MonitoredHost::on(mode, &[]);
    let run = host.start_run("shell_sleeps_until_killed", Value::Null);
    assert_eq!(owner(host.monitor.pid()), 0, "operations can read the memory of the monitor");
    let worker = host.worker_pid(run.worker);
    assert_eq!(owner(worker), 0, "operations can read the memory of the worker");
    assert_ne!(owner(run.pid), 0, "a debugger cannot read the memory of the operation");
}

#[test]
fn no_message_shows_a_password() {
    let setup = Installation::new();
    for dsn in [
        "postgresql+psycopg2://user:s3cret@127.0.0.1:1/jobs",
        "POSTGRES://user:s3cret@127.0.0.1:1/jobs",
        "postgres://user:s3cret@127.0.0.1:99999/jobs",
        "postgres://user:s3cret@",
        "jdbc:postgresql://127.0.0.1:1/jobs?user=user&password=s3cret",
        "host=127.0.0.1 port=1 user=user password='a s3cret' dbname=jobs",
        "host=127.0.0.1 port=one password = s3cret",
    ] {
        let run = |args: &[&str]| setup.rework(args).without_env("REWORK_DSN");
        for command in [
            run(&["list-tasks", "--db", dsn]),
            run(&["list-tasks", "--dsn-file", dsn]),
            run(&["list-tasks", dsn]),
            run(&["monitor", "--no-such-option", dsn]),
            run(&[dsn]),
            run(&["list-tasks"]).env("REWORK_DSN", dsn),
            run(&["list-tasks"]).env("DATABASE_URL", dsn),
            setup.rework(["monitor", "--no-such-option"]).env("REWORK_LISTEN_DSN", dsn),
        ] {
            let output = command.run();
            assert_ne!(output.code(), Some(0), "{dsn}: {output}");
            let text = output.to_string();
            let shown = output.stdout() + &output.stderr();
            assert!(!shown.is_empty() && !shown.contains("s3cret"), "{text}");
        }
    }
}
