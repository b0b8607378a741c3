//! Kinds of connections to Postgres: TLS with and without verification, client certificates, a transaction pooler, and
//! a password file. The main scenarios run with TLS and through the pooler.

use rework_core::task::state::State;
use serde_json::json;

use crate::support::certificates::CertificateAuthority;
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture_program};
use crate::support::pooler::Pooler;
use crate::support::{processes, scale, wait};

/// Runs the scenarios RW-1, 3, 5 and 9 of the original rework in Python: log output, exactly one run per task, abort,
/// and a monitor that is killed.
pub(crate) fn assert_main_scenarios(setup: &Installation) {
    setup.register([fixture_program()]);
    let mut monitor = setup.start_monitor(&["--maxworkers", "2"]);
    assert_output_and_log(setup);
    assert_each_task_runs_once(setup);
    assert_abort_ends_all_processes(setup);
    let gate = setup.folder().join("gate");
    let busy = setup.schedule("hold", json!(gate));
    setup.wait_until_logged(busy, "holding");
    monitor.kill();
    std::fs::write(&gate, "").unwrap();
    assert_eq!(setup.wait_until_done(busy).run, 1, "RW-9: the run did not survive its monitor");
    setup.wait_until("RW-9: all workers have exited", || {
        let sql = "select count(*) = 0 from rework.worker where finished_at is null";
        setup.session().query_value(sql, &[])
    });
    let _next = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule("double", 1));
}

/// Scenario RW-1: runs two tasks and checks their outputs and the output of `log-task`.
fn assert_output_and_log(setup: &Installation) {
    let hello = setup.schedule("double", "hello");
    let number = setup.schedule("double", 100);
    assert_eq!(setup.wait_until_done(hello).output, json!("hellohello"));
    assert_eq!(setup.wait_until_done(number).output, json!(200));
    let lines = setup.rework(["log-task", &hello.to_string()]).run_ok().lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, end) in lines.iter().zip(["I am running", "I am done"]) {
        assert!(line.starts_with("stdout:INFO: ") && line.ends_with(end), "{line}");
    }
}

/// Scenario RW-3: schedules many tasks by one command and checks that each runs once.
fn assert_each_task_runs_once(setup: &Installation) {
    let numbers = 1..=scale::count(100, 1000);
    let lines: Vec<String> = numbers.clone().map(|number| number.to_string()).collect();
    let command = setup.rework(["schedule", "double", "--many", "-"]).stdin(lines.join("\n"));
    let scheduled = command.run_ok().lines();
    assert_eq!(scheduled.len(), numbers.clone().count());
    for (task, number) in scheduled.iter().zip(numbers) {
        let task = setup.wait_until_done(task.parse().unwrap());
        assert_eq!((task.attempt, task.output), (1, json!(number * 2)));
        assert_eq!(
            setup.log_lines(task.id),
            ["I am running", "I am done"],
            "the code did not run exactly once"
        );
    }
}

/// Scenario RW-5: aborts a task with several processes and checks that all of them have ended.
fn assert_abort_ends_all_processes(setup: &Installation) {
    let task = setup.schedule_without_input("family");
    setup.wait_until_logged(task, "all there");
    setup.wait_until("the operation has saved its output", || setup.task(task).output.is_object());
    let family = setup.task(task).output;
    setup.rework(["abort-task", "--wait", &task.to_string()]).run_ok();
    let ended = setup.wait_until_ended(task);
    assert_eq!((ended.state, ended.reason()), (State::Aborted, "aborted from the command line"));
    for member in ["parent", "child", "grandchild"] {
        let pid = i32::try_from(family[member].as_i64().unwrap()).unwrap();
        assert!(!processes::is_alive(pid), "process {pid}, the {member}, is still running");
    }
    setup.wait_until_done(setup.schedule("double", 1));
}

/// A Postgres server with TLS, and a folder with certificates.
struct TlsServer {
    /// Has two certificate authorities: `authority`, which signed the certificate of the server, and `stranger`.
    folder: tempfile::TempDir,
    cluster: Cluster,
}

impl TlsServer {
    fn new() -> TlsServer {
        let folder = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::new(folder.path(), "authority");
        CertificateAuthority::new(folder.path(), "stranger");
        authority.issue("server", &["localhost", "127.0.0.1"], "the server");
        authority.issue("elsewhere", &["elsewhere.example"], "another server");
        authority.issue("certified", &[], "certified");
        let cluster = TlsServer::start(folder.path(), "server");
        TlsServer { folder, cluster }
    }

    /// Starts a server with this certificate of the folder. Role `certified` must log in with a client certificate.
    fn start(folder: &std::path::Path, certificate: &str) -> Cluster {
        let options = [
            "ssl=on",
            "ssl_cert_file=server.crt",
            "ssl_key_file=server.key",
            "ssl_ca_file=authority.crt",
        ];
        Cluster::with_settings(&options, |data| {
            for (from, to) in [
                (format!("{certificate}.crt"), "server.crt"),
                (format!("{certificate}.key"), "server.key"),
                ("authority.crt".to_owned(), "authority.crt"),
            ] {
                std::fs::copy(folder.join(from), data.join(to)).unwrap();
            }
            let rules =
                "host all rework 127.0.0.1/32 trust\nhostssl all certified 127.0.0.1/32 cert\n";
            std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        })
    }

    /// Returns the parameters of a DSN that set the TLS mode and the file of the root certificate.
    fn dsn_parameters(&self, mode: &str, root: &str) -> String {
        let root = self.folder.path().join(root);
        format!("sslmode={mode}&sslrootcert={}", root.display())
    }
}

#[test]
fn the_main_scenarios_work_over_tls_with_verify_full() {
    let server = TlsServer::new();
    let mut setup = Installation::with_database(Database::on_cluster(&server.cluster));
    let dsn = format!("{}?{}", setup.dsn(), server.dsn_parameters("verify-full", "authority.crt"));
    setup.use_dsn(&dsn);
    assert_main_scenarios(&setup);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let sql = "select array_agg(ssl) from pg_stat_ssl join pg_stat_activity using (pid)
                where application_name ~ '^rework '";
    let are_encrypted: Vec<bool> = wait::until_some(
        "the monitor and its worker are connected",
        wait::TIMEOUT,
        || setup.diagnostics(),
        || setup.session().query_value::<Option<Vec<bool>>>(sql, &[]).filter(|all| all.len() >= 2),
    );
    assert!(are_encrypted.iter().all(|is_encrypted| *is_encrypted), "{are_encrypted:?}");
}

#[test]
fn a_server_that_cannot_be_verified_is_refused() {
    let server = TlsServer::new();
    let mut setup = Installation::with_database(Database::on_cluster(&server.cluster));
    let plain = setup.dsn().to_owned();
    let server_elsewhere = TlsServer::start(server.folder.path(), "elsewhere");
    let with_other_name = Database::on_cluster(&server_elsewhere);
    let server_without_tls = Cluster::new();
    let without_tls = Database::on_cluster(&server_without_tls);
    let (authority, stranger) = ("authority.crt", "stranger.crt");
    for (dsn, mode, root, error) in [
        (plain.as_str(), "verify-full", authority, None),
        (&plain, "verify-ca", authority, None),
        (&plain, "verify-full", stranger, Some("UnknownIssuer")),
        (&plain, "verify-ca", stranger, Some("UnknownIssuer")),
        (&plain, "require", stranger, Some("UnknownIssuer")),
        (&plain, "require", authority, None),
        (&plain, "verify-full", "no-such.crt", Some("No such file")),
        (&with_other_name.dsn(), "verify-full", authority, Some("not valid for name")),
        (&with_other_name.dsn(), "verify-ca", authority, None),
        (&without_tls.dsn(), "require", authority, Some("server does not support TLS")),
        (&without_tls.dsn(), "prefer", authority, None),
        (&plain, "sometimes", authority, Some("`sslmode=sometimes` is not valid")),
    ] {
        setup.use_dsn(&format!("{dsn}?{}", server.dsn_parameters(mode, root)));
        let output = setup.rework(["list-tasks"]).run();
        match error {
            None => assert_eq!(output.code(), Some(0), "{mode} {root}: {output}"),
            Some(text) => {
                assert_eq!(output.code(), Some(1), "{mode} {root}: {output}");
                assert!(output.stderr().contains(text), "{mode} {root}: {output}");
                assert!(output.stderr().contains("hint: "), "{output}");
            }
        }
    }
}

#[test]
fn a_client_can_log_in_with_a_certificate() {
    let server = TlsServer::new();
    let mut setup = Installation::with_database(Database::on_cluster(&server.cluster));
    setup.session().execute("create role certified login superuser");
    let plain = setup.dsn().replace("rework@", "certified@");
    let parameters = server.dsn_parameters("verify-full", "authority.crt");
    let file = |name: &str| server.folder.path().join(name).display().to_string();
    let (certificate, key) = (file("certified.crt"), file("certified.key"));
    setup.use_dsn(&format!("{plain}?{parameters}&sslcert={certificate}&sslkey={key}"));
    setup.rework(["list-tasks"]).run_ok();
    setup.use_dsn(&format!("{plain}?{parameters}"));
    let stderr = setup.rework(["list-tasks"]).run_expecting(1).stderr();
    assert!(stderr.contains("certificate"), "{stderr}");
    // The same options can come from environment variables, or from a service file.
    setup.use_dsn(&plain);
    let root = file("authority.crt");
    setup
        .rework(["list-tasks"])
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", &root)
        .env("PGSSLCERT", &certificate)
        .env("PGSSLKEY", &key)
        .run_ok();
    let services = setup.folder().join("services");
    let text = format!(
        "[jobs]\nhost=127.0.0.1\nport={}\ndbname=jobs\nuser=certified\nsslmode=verify-full\n\
         sslrootcert={root}\nsslcert={certificate}\nsslkey={key}\n",
        server.cluster.port()
    );
    std::fs::write(&services, text).unwrap();
    setup.use_dsn("service=jobs");
    setup.rework(["list-tasks"]).env("PGSERVICEFILE", services.to_str().unwrap()).run_ok();
}

#[test]
fn the_main_scenarios_work_through_a_pooler() {
    let mut setup = Installation::new();
    let folder = tempfile::tempdir().unwrap();
    let pooler = Pooler::start(folder.path());
    let dsn = pooler.dsn(setup.dsn());
    assert_ne!(dsn, setup.dsn());
    setup.use_dsn(&dsn);
    assert_main_scenarios(&setup);
}

#[test]
fn a_password_file_is_used_only_if_no_other_user_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut setup = Installation::new();
    let (password, file) = (crate::support::server::password(), setup.folder().join("passwords"));
    let dsn = setup.dsn().replace(&format!(":{password}@"), "@");
    setup.use_dsn(&dsn);
    std::fs::write(&file, format!("127.0.0.1:*:*:*:{password}\n")).unwrap();
    let list = || setup.rework(["list-tasks"]).env("PGPASSFILE", file.to_str().unwrap());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    list().run_ok();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let stderr = list().run_expecting(1).stderr();
    assert!(stderr.contains("refused the login"), "{stderr}");
}
