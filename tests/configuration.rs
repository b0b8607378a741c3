//! The configuration file: databases by name, one of production, and how monitors are started.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::Installation;
use crate::support::command::Call;

fn configured(text: &str) -> Installation {
    let place = Installation::with_fixture();
    let text = text.replace("DSN", place.dsn());
    fs::write(place.folder().join("rework.toml"), text).unwrap();
    place
}

/// A command that no variable tells of a database.
fn typed(place: &Installation, words: &[&str]) -> Call {
    place.rework(words).without_env("REWORK_DSN")
}

#[test]
fn databases_have_names() {
    let place = configured(
        "database = 'jobs'\n[databases.jobs]\ndsn = 'DSN'\n[databases.filed]\ndsn_file = 'where'\n",
    );
    let task = place.schedule("double", 1).to_string();
    fs::write(place.folder().join("where"), place.dsn()).unwrap();
    for words in [
        vec!["list-tasks", "-q"],
        vec!["list-tasks", "-q", "--db", "jobs"],
        vec!["--db", "filed", "list-tasks", "-q"],
    ] {
        assert_eq!(typed(&place, &words).ok().stdout().trim(), task, "{words:?}");
    }
    let said = typed(&place, &["list-tasks", "--db", "jbos"]).exits(1).stderr();
    assert!(said.contains("`jbos` is no database") && said.contains("`filed`, `jobs`"), "{said}");
    // What is named by a variable wins over what the file prefers.
    let elsewhere = place.rework(["list-tasks"]).env("REWORK_DSN", "postgres://127.0.0.1:1/x");
    assert!(elsewhere.exits(1).stderr().contains("cannot connect"));
}

#[test]
fn what_the_file_does_not_know_is_an_error() {
    for (text, words) in [
        ("[monitor]\nmaxworker = 2\n", "unknown field `maxworker`"),
        ("[database.jobs]\n", "is no configuration"),
        ("[databases.jobs]\nproduction = true\n", "needs either `dsn` or `dsn_file`"),
        ("[databases.jobs]\ndsn = 'nonsense'\n", "does not name a database"),
    ] {
        let place = configured(text);
        let said = typed(&place, &["list-tasks", "--db", "jobs"]).exits(1).stderr();
        assert!(said.contains(words) && said.contains("hint: "), "{text}: {said}");
    }
    let place = Installation::new();
    let said = place.rework(["list-tasks"]).env("REWORK_CONFIG", "/no/such").exits(1).stderr();
    assert!(said.contains("cannot read `/no/such`"), "{said}");
}

#[test]
fn production_asks_before_it_destroys() {
    let place = configured("[databases.prod]\ndsn = 'DSN'\nproduction = true\n");
    let id = place.rework(["prepare", "double", "--input", "1", "--rule", "0 8 * * *"]).ok().id();
    let id = id.to_string();
    let destroys = [
        vec!["vacuum", "--tasks", "--queued"],
        vec!["vacuum", "--workers"],
        vec!["unprepare", &id],
        vec!["kill-worker", "1"],
    ];
    place.schedule("double", 1);
    for words in &destroys {
        let said = typed(&place, &[words.as_slice(), &["--db", "prod"]].concat()).exits(1).stderr();
        assert!(
            said.contains("`prod` is a database of production") && said.contains("--yes"),
            "{said}"
        );
    }
    assert_eq!(place.session().one::<i64>("select count(*) from rework.task", &[]), 1);
    assert_eq!(place.session().one::<i64>("select count(*) from rework.schedule", &[]), 1);
    typed(&place, &["list-tasks", "--db", "prod"]).ok();
    typed(&place, &["vacuum", "--tasks", "--queued", "--db", "prod", "--yes"]).ok();
    assert_eq!(place.session().one::<i64>("select count(*) from rework.task", &[]), 0);
}

#[test]
fn a_monitor_is_started_as_the_file_says_and_read_anew_by_a_reload() {
    let text = |maxworkers: u32| {
        format!(
            "[monitor]\ndomain = ['default']\nmaxworkers = {maxworkers}\nminworkers = 0\nlease = '30s'\n"
        )
    };
    let place = configured(&text(3));
    let monitor = place.unawaited_monitor(&["--minworkers", "1"]);
    let options = |count: i64| {
        place.until("the monitor is there", || {
            let sql = "select count(*) = $1 and count(*) filter (where finished_at is null) = 1
                         from rework.monitor";
            place.session().one(sql, &[&count])
        });
        let sql = "select options from rework.monitor where finished_at is null";
        let options: serde_json::Value = place.session().one(sql, &[]);
        (options["minworkers"].clone(), options["maxworkers"].clone(), options["lease_ms"].clone())
    };
    assert_eq!(options(1), (json!(1), json!(3), json!(30_000)), "what is typed wins");
    fs::write(place.folder().join("rework.toml"), text(5)).unwrap();
    monitor.signal(Signal::SIGHUP);
    assert_eq!(options(2), (json!(1), json!(5), json!(30_000)));
}

#[test]
fn a_domain_may_be_kept_in_its_own_way() {
    let place = configured("[domains.default]\nmaxworkers = 3\nminworkers = 0\n");
    let _monitor = place.unawaited_monitor(&["--maxworkers", "1"]);
    let workers = |domain: &str| {
        let sql = "select count(*) from rework.worker where domain = $1";
        place.session().one::<i64>(sql, &[&domain])
    };
    place.until("the usual one is there", || workers("nondefault") == 1);
    assert_eq!(workers("default"), 0);
    let shown: serde_json::Value = place.session().one("select options from rework.monitor", &[]);
    assert_eq!(shown["maxworkers"], json!(1));
    assert_eq!(shown["domains.default"]["maxworkers"], json!(3));
    let gate = place.folder().join("gate");
    let tasks = place.schedule_many("hold", &vec![json!(gate); 4]);
    place.until("as many run as may", || {
        let running = "select count(*) from rework.task where state = 'running'";
        place.session().one::<i64>(running, &[]) == 3
    });
    fs::write(&gate, "").unwrap();
    for task in tasks {
        place.done(task);
    }
    assert_eq!(workers("default"), 3);
}
