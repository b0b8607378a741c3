//! The configuration file `rework.toml`: named databases, production databases, and options of monitors.

use std::fs;
use std::os::unix::fs::chown;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::Installation;
use crate::support::command::TestCommand;

/// Makes an installation with this `rework.toml`. `DSN` in the text is replaced by the DSN of the database.
fn setup_with_config(text: &str) -> Installation {
    let setup = Installation::with_fixture();
    let text = text.replace("DSN", setup.dsn());
    fs::write(setup.folder().join("rework.toml"), text).unwrap();
    setup
}

/// Returns a command without the variable `REWORK_DSN`, so that only arguments and the file name the database.
fn command(setup: &Installation, args: &[&str]) -> TestCommand {
    setup.rework(args).without_env("REWORK_DSN")
}

#[test]
fn a_database_is_selected_by_its_name() {
    let setup = setup_with_config(
        "database = 'jobs'\n[databases.jobs]\ndsn = 'DSN'\n[databases.from_file]\ndsn_file = 'dsn'\n",
    );
    let task = setup.schedule("double", 1).to_string();
    fs::write(setup.folder().join("dsn"), setup.dsn()).unwrap();
    for args in [
        vec!["list-tasks", "-q"],
        vec!["list-tasks", "-q", "--db", "jobs"],
        vec!["--db", "from_file", "list-tasks", "-q"],
    ] {
        assert_eq!(command(&setup, &args).run_ok().stdout().trim(), task, "{args:?}");
    }
    let stderr = command(&setup, &["list-tasks", "--db", "jbos"]).run_expecting(1).stderr();
    assert!(stderr.contains("no database named `jbos` in rework.toml"), "{stderr}");
    assert!(stderr.contains("`from_file`, `jobs`"), "{stderr}");
    // The variable has priority over the key `database` of the file.
    let unreachable = setup.rework(["list-tasks"]).env("REWORK_DSN", "postgres://127.0.0.1:1/x");
    assert!(unreachable.run_expecting(1).stderr().contains("cannot connect"));
}

#[test]
fn an_invalid_file_is_refused() {
    for (text, error) in [
        ("[monitor]\nmaxworker = 2\n", "unknown field `maxworker`"),
        ("[database.jobs]\n", "is not a valid configuration file"),
        ("[databases.jobs]\nproduction = true\n", "needs either `dsn` or `dsn_file`"),
        ("[databases.jobs]\ndsn = 'nonsense'\n", "does not name a database"),
    ] {
        let setup = setup_with_config(text);
        let stderr = command(&setup, &["list-tasks", "--db", "jobs"]).run_expecting(1).stderr();
        assert!(stderr.contains(error) && stderr.contains("hint: "), "{text}: {stderr}");
    }
    let setup = Installation::new();
    let stderr =
        setup.rework(["list-tasks"]).env("REWORK_CONFIG", "/no/such").run_expecting(1).stderr();
    assert!(stderr.contains("cannot read `/no/such`"), "{stderr}");
}

#[test]
fn a_file_of_another_user_is_refused_unless_it_is_named() {
    if !nix::unistd::Uid::effective().is_root() {
        return eprintln!("skipped: only root can give a file to another user");
    }
    let setup = setup_with_config("database = 'jobs'\n[databases.jobs]\ndsn = 'DSN'\n");
    let file = setup.folder().join("rework.toml");
    command(&setup, &["list-tasks"]).run_ok();
    for path in [file.as_path(), setup.folder()] {
        chown(path, Some(65534), None).unwrap();
        let stderr = command(&setup, &["list-tasks"]).run_expecting(1).stderr();
        assert!(stderr.contains("belongs to another user"), "{stderr}");
        assert!(stderr.contains("`REWORK_CONFIG=rework.toml`"), "{stderr}");
        command(&setup, &["list-tasks"]).env("REWORK_CONFIG", "rework.toml").run_ok();
        chown(path, Some(0), None).unwrap();
    }
    command(&setup, &["list-tasks"]).run_ok();
}

#[test]
fn destructive_commands_on_a_production_database_need_yes() {
    let setup = setup_with_config("[databases.prod]\ndsn = 'DSN'\nproduction = true\n");
    let id =
        setup.rework(["prepare", "double", "--input", "1", "--rule", "0 8 * * *"]).run_ok().id();
    let id = id.to_string();
    let destructive = [
        vec!["vacuum", "--tasks", "--queued"],
        vec!["vacuum", "--workers"],
        vec!["unprepare", &id],
        vec!["kill-worker", "1"],
    ];
    setup.schedule("double", 1);
    for args in &destructive {
        let stderr = command(&setup, &[args.as_slice(), &["--db", "prod"]].concat())
            .run_expecting(1)
            .stderr();
        assert!(
            stderr.contains("`prod` is marked as production") && stderr.contains("--yes"),
            "{stderr}"
        );
    }
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.task", &[]), 1);
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.schedule", &[]), 1);
    command(&setup, &["list-tasks", "--db", "prod"]).run_ok();
    command(&setup, &["vacuum", "--tasks", "--queued", "--db", "prod", "--yes"]).run_ok();
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.task", &[]), 0);
}

#[test]
fn a_monitor_takes_its_options_from_the_file_and_reloads_them() {
    let text = |maxworkers: u32| {
        format!(
            "[monitor]\ndomain = ['default']\nmaxworkers = {maxworkers}\nminworkers = 0\nlease = '30s'\n"
        )
    };
    let setup = setup_with_config(&text(3));
    let monitor = setup.spawn_monitor(&["--minworkers", "1"]);
    let options = |count: i64| {
        setup.wait_until("the new monitor is registered and the earlier ones have ended", || {
            let sql = "select count(*) = $1 and count(*) filter (where finished_at is null) = 1
                         from rework.monitor";
            setup.session().query_value(sql, &[&count])
        });
        let sql = "select options from rework.monitor where finished_at is null";
        let options: Value = setup.session().query_value(sql, &[]);
        (options["minworkers"].clone(), options["maxworkers"].clone(), options["lease_ms"].clone())
    };
    assert_eq!(
        options(1),
        (json!(1), json!(3), json!(30_000)),
        "the arguments or the file were not used"
    );
    fs::write(setup.folder().join("rework.toml"), text(5)).unwrap();
    monitor.signal(Signal::SIGHUP);
    assert_eq!(options(2), (json!(1), json!(5), json!(30_000)));
}

#[test]
fn a_file_that_was_broken_later_does_not_keep_a_monitor_from_starting_workers() {
    let setup = setup_with_config("[monitor]\nminworkers = 0\nmaxworkers = 1\n");
    let _monitor = setup.start_monitor(&[]);
    fs::write(setup.folder().join("rework.toml"), "nonsense").unwrap();
    // Scheduled with SQL, because each command reads the file.
    let task = setup.schedule_many("double", &[json!(1)])[0];
    setup.wait_until_done(task);
}

#[test]
fn a_domain_can_have_its_own_limits() {
    let setup = setup_with_config("[domains.default]\nmaxworkers = 3\nminworkers = 0\n");
    let _monitor = setup.spawn_monitor(&["--maxworkers", "1"]);
    let workers = |domain: &str| {
        let sql = "select count(*) from rework.worker where domain = $1";
        setup.session().query_value::<i64>(sql, &[&domain])
    };
    setup.wait_until("the domain with the usual options has its worker", || {
        workers("nondefault") == 1
    });
    assert_eq!(workers("default"), 0);
    let options: Value = setup.session().query_value("select options from rework.monitor", &[]);
    assert_eq!(options["maxworkers"], json!(1));
    assert_eq!(options["domains.default"]["maxworkers"], json!(3));
    let gate = setup.folder().join("gate");
    let tasks = setup.schedule_many("hold", &vec![json!(gate); 4]);
    setup.wait_until("as many tasks run as the domain permits", || {
        let running = "select count(*) from rework.task where state = 'running'";
        setup.session().query_value::<i64>(running, &[]) == 3
    });
    fs::write(&gate, "").unwrap();
    for task in tasks {
        setup.wait_until_done(task);
    }
    assert_eq!(workers("default"), 3);
}
