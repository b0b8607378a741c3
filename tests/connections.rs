//! The main scenarios by every way to Postgres: encrypted and verified, through a pooler.

use rework_core::task::state::State;
use serde_json::json;

use crate::support::certificates::Authority;
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture};
use crate::support::pooler::Pooler;
use crate::support::{processes, scale};

/// RW-1, 3, 5 and 9, however the database is reached.
pub(crate) fn main_scenarios(place: &Installation) {
    place.register([fixture()]);
    let mut monitor = place.monitor(&["--maxworkers", "2"]);
    quick_start(place);
    each_task_once(place);
    abort(place);
    let gate = place.folder().join("gate");
    let busy = place.schedule("hold", json!(gate));
    place.writes(busy, "holding");
    monitor.kill();
    std::fs::write(&gate, "").unwrap();
    assert_eq!(place.done(busy).run, 1, "RW-9: it finished though its monitor was killed");
    place.until("RW-9: its worker has left", || {
        let sql = "select count(*) = 0 from rework.worker where finished_at is null";
        place.session().one(sql, &[])
    });
    let _next = place.monitor(&["--maxworkers", "1"]);
    place.done(place.schedule("double", 1));
}

/// Scenario RW-1.
fn quick_start(place: &Installation) {
    let hello = place.schedule("double", "hello");
    let number = place.schedule("double", 100);
    assert_eq!(place.done(hello).output, json!("hellohello"));
    assert_eq!(place.done(number).output, json!(200));
    let lines = place.rework(["log-task", &hello.to_string()]).ok().lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, end) in lines.iter().zip(["I am running", "I am done"]) {
        assert!(line.starts_with("stdout:INFO: ") && line.ends_with(end), "{line}");
    }
}

/// Scenario RW-3.
fn each_task_once(place: &Installation) {
    let numbers = 1..=scale::count(100, 1000);
    let lines: Vec<String> = numbers.clone().map(|number| number.to_string()).collect();
    let call = place.rework(["schedule", "double", "--many", "-"]).stdin(lines.join("\n"));
    let scheduled = call.ok().lines();
    assert_eq!(scheduled.len(), numbers.clone().count());
    for (task, number) in scheduled.iter().zip(numbers) {
        let task = place.done(task.parse().unwrap());
        assert_eq!((task.run, task.output), (1, json!(number * 2)));
        assert_eq!(place.log(task.id), ["I am running", "I am done"], "executed once");
    }
}

/// Scenario RW-5.
fn abort(place: &Installation) {
    let task = place.schedule_plain("family");
    place.writes(task, "all there");
    place.until("its output is saved", || place.task(task).output.is_object());
    let family = place.task(task).output;
    place.rework(["abort-task", "--wait", &task.to_string()]).ok();
    let ended = place.ended(task);
    assert_eq!((ended.state, ended.reason()), (State::Aborted, "aborted from the command line"));
    for who in ["parent", "child", "grandchild"] {
        let pid = i32::try_from(family[who].as_i64().unwrap()).unwrap();
        assert!(!processes::is_alive(pid), "{who} is gone");
    }
    place.done(place.schedule("double", 1));
}

/// A server that can encrypt, with the files of its authority.
struct Encrypted {
    folder: tempfile::TempDir,
    cluster: Cluster,
}

impl Encrypted {
    fn new() -> Encrypted {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "authority");
        Authority::new(folder.path(), "stranger");
        authority.issue("server", &["localhost", "127.0.0.1"], "the server");
        authority.issue("elsewhere", &["elsewhere.example"], "another server");
        authority.issue("certified", &[], "certified");
        let cluster = Encrypted::server(folder.path(), "server");
        Encrypted { folder, cluster }
    }

    fn server(folder: &std::path::Path, certificate: &str) -> Cluster {
        let options = [
            "ssl=on",
            "ssl_cert_file=server.crt",
            "ssl_key_file=server.key",
            "ssl_ca_file=authority.crt",
        ];
        Cluster::with(&options, |data| {
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

    fn options(&self, mode: &str, root: &str) -> String {
        let root = self.folder.path().join(root);
        format!("sslmode={mode}&sslrootcert={}", root.display())
    }
}

#[test]
fn the_main_scenarios_over_tls_with_verify_full() {
    let encrypted = Encrypted::new();
    let mut place = Installation::on(Database::on(&encrypted.cluster));
    let dsn = format!("{}?{}", place.dsn(), encrypted.options("verify-full", "authority.crt"));
    place.use_dsn(&dsn);
    main_scenarios(&place);
    let sql = "select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid)
                where application_name ~ '^rework '";
    assert_eq!(place.session().one::<Option<bool>>(sql, &[]), Some(true), "all of it is encrypted");
}

#[test]
fn what_cannot_be_verified_is_refused() {
    let encrypted = Encrypted::new();
    let mut place = Installation::on(Database::on(&encrypted.cluster));
    let plain = place.dsn().to_owned();
    let elsewhere = Encrypted::server(encrypted.folder.path(), "elsewhere");
    let other = Database::on(&elsewhere);
    let bare = Cluster::new();
    let unable = Database::on(&bare);
    let (own, stranger) = ("authority.crt", "stranger.crt");
    for (dsn, mode, root, refused) in [
        (plain.as_str(), "verify-full", own, None),
        (&plain, "verify-ca", own, None),
        (&plain, "verify-full", stranger, Some("UnknownIssuer")),
        (&plain, "verify-ca", stranger, Some("UnknownIssuer")),
        (&plain, "require", stranger, Some("UnknownIssuer")),
        (&plain, "require", own, None),
        (&plain, "verify-full", "no-such.crt", Some("No such file")),
        (&other.dsn(), "verify-full", own, Some("not valid for name")),
        (&other.dsn(), "verify-ca", own, None),
        (&unable.dsn(), "require", own, Some("server does not support TLS")),
        (&unable.dsn(), "prefer", own, None),
        (&plain, "sometimes", own, Some("`sslmode=sometimes` is none of")),
    ] {
        place.use_dsn(&format!("{dsn}?{}", encrypted.options(mode, root)));
        let said = place.rework(["list-tasks"]).run();
        match refused {
            None => assert_eq!(said.code(), Some(0), "{mode} {root}: {said}"),
            Some(words) => {
                assert_eq!(said.code(), Some(1), "{mode} {root}: {said}");
                assert!(said.stderr().contains(words), "{mode} {root}: {said}");
                assert!(said.stderr().contains("hint: "), "{said}");
            }
        }
    }
}

#[test]
fn a_client_may_have_a_certificate() {
    let encrypted = Encrypted::new();
    let mut place = Installation::on(Database::on(&encrypted.cluster));
    place.session().run("create role certified login superuser");
    let plain = place.dsn().replace("rework@", "certified@");
    let options = encrypted.options("verify-full", "authority.crt");
    let file = |name: &str| encrypted.folder.path().join(name).display().to_string();
    let (certificate, key) = (file("certified.crt"), file("certified.key"));
    place.use_dsn(&format!("{plain}?{options}&sslcert={certificate}&sslkey={key}"));
    place.rework(["list-tasks"]).ok();
    place.use_dsn(&format!("{plain}?{options}"));
    let said = place.rework(["list-tasks"]).exits(1).stderr();
    assert!(said.contains("certificate"), "{said}");
    // As variables, and as a service.
    place.use_dsn(&plain);
    let root = file("authority.crt");
    place
        .rework(["list-tasks"])
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", &root)
        .env("PGSSLCERT", &certificate)
        .env("PGSSLKEY", &key)
        .ok();
    let services = place.folder().join("services");
    let text = format!(
        "[jobs]\nhost=127.0.0.1\nport={}\ndbname=jobs\nuser=certified\nsslmode=verify-full\n\
         sslrootcert={root}\nsslcert={certificate}\nsslkey={key}\n",
        encrypted.cluster.port()
    );
    std::fs::write(&services, text).unwrap();
    place.use_dsn("service=jobs");
    place.rework(["list-tasks"]).env("PGSERVICEFILE", services.to_str().unwrap()).ok();
}

#[test]
fn the_main_scenarios_through_a_pooler() {
    let mut place = Installation::new();
    let folder = tempfile::tempdir().unwrap();
    let pooler = Pooler::start(folder.path());
    let dsn = pooler.dsn(place.dsn());
    assert_ne!(dsn, place.dsn());
    place.use_dsn(&dsn);
    main_scenarios(&place);
}

#[test]
fn a_password_may_stand_in_a_file_of_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut place = Installation::new();
    let (password, file) = (crate::support::server::password(), place.folder().join("passwords"));
    let dsn = place.dsn().replace(&format!(":{password}@"), "@");
    place.use_dsn(&dsn);
    std::fs::write(&file, format!("127.0.0.1:*:*:*:{password}\n")).unwrap();
    let list = || place.rework(["list-tasks"]).env("PGPASSFILE", file.to_str().unwrap());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    list().ok();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = list().exits(1).stderr();
    assert!(said.contains("does not let us in"), "{said}");
}
