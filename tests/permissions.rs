//! Database roles with restricted rights, granted by `init-db --grant`, and a schema that an administrator creates from
//! `init-db --print-sql`.

use crate::connections::assert_main_scenarios;
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture_program};

#[test]
fn the_right_run_is_enough_for_monitors_and_all_commands() {
    let mut setup = Installation::new();
    let role = GrantedRole::new(&setup, "run");
    setup.use_dsn(&role.dsn);
    assert_main_scenarios(&setup);
    let _monitor = setup.start_monitor(&["--minworkers", "0"]);
    let prepare = ["prepare", "double", "--input", "1", "--rule", "* * * * * *", "--every-second"];
    let schedule = setup.rework(prepare).run_ok().id().to_string();
    setup.wait_until("the schedule has made a task", || {
        setup
            .session()
            .query_value("select count(*) > 0 from rework.firing where task is not null", &[])
    });
    for args in [
        vec!["list-scheduled"],
        vec!["scheduled-plan"],
        vec!["pause-scheduled", &schedule],
        vec!["resume-scheduled", &schedule],
        vec!["run-scheduled", &schedule],
        vec!["export-scheduled"],
        vec!["import-scheduled"],
        vec!["list-tasks"],
        vec!["list-workers"],
        vec!["list-monitors"],
        vec!["list-operations"],
        vec!["pause", "--domain", "default"],
        vec!["resume", "--domain", "default"],
        vec!["vacuum", "--tasks"],
        vec!["vacuum", "--workers"],
        vec!["unregister-operation", "raw", "--yes"],
    ] {
        setup.rework(args).run_ok();
    }
    let session = crate::support::session::Session::open(&role.dsn);
    for sql in [
        "insert into rework.task (operation, lane, state) values (1, 1, 'queued')",
        "create table rework.x ()",
        "drop table rework.firing",
        "truncate rework.log",
        "update rework.version set schema = 1",
        "delete from rework.audit",
        "delete from rework.operation",
        "select rework.grant_rights('postgres', 'run')",
        "select rework.add_task(null, null, null, null, null, null, null, null, null)",
    ] {
        let error = session.try_execute(sql).unwrap_err();
        // 42501 is `insufficient_privilege`.
        let code = error.code().map(tokio_postgres::error::SqlState::code);
        assert_eq!(code, Some("42501"), "{sql}: {error:?}");
    }
}

#[test]
fn the_rights_read_and_schedule_permit_nothing_else() {
    let mut setup = Installation::with_fixture();
    let task = setup.schedule("double", 1).to_string();
    let reader = GrantedRole::new(&setup, "read");
    let scheduler = GrantedRole::new(&setup, "schedule");
    setup.use_dsn(&reader.dsn);
    setup.rework(["list-tasks"]).run_ok();
    setup.rework(["log-task", &task]).run_ok();
    let stderr = setup.rework(["abort-task", &task]).run_expecting(1).stderr();
    assert!(stderr.contains("permission denied") && stderr.contains("hint: "), "{stderr}");
    setup.use_dsn(&scheduler.dsn);
    setup.rework(["schedule", "double", "--input", "2"]).run_ok();
    setup.rework(["schedule", "double", "--many", "-"]).stdin("1\n2\n").run_ok();
    setup.rework(["abort-task", &task]).run_ok();
    setup.rework(["list-tasks"]).run_expecting(1);
    let child =
        "select rework.schedule_child(1, 1, null, 1, 'double', null, '1', null, null, null)";
    let session = crate::support::session::Session::open(&scheduler.dsn);
    assert_eq!(session.try_query_value::<Option<i64>>(child, &[]), Err("42501".to_owned()));
}

#[test]
fn the_schema_can_be_created_from_the_printed_sql() {
    let setup = Installation::with_database(Database::empty());
    let script =
        setup.rework(["init-db", "--print-sql"]).without_env("REWORK_DSN").run_ok().stdout();
    setup.session().execute(&script);
    let expected = format!("already at version {}\n", rework_core::admin::schema::VERSION);
    assert_eq!(setup.rework(["init-db"]).run_ok().stdout(), expected);
    setup.register([fixture_program()]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule("double", 1));
}

/// A role with the rights that `init-db --grant` gives it. It is dropped with the value.
pub(crate) struct GrantedRole {
    pub(crate) name: String,
    /// The DSN of the test's database for this role.
    pub(crate) dsn: String,
    superuser_dsn: String,
}

impl GrantedRole {
    pub(crate) fn new(setup: &Installation, rights: &str) -> GrantedRole {
        let name = format!("{rights}s_{}", setup.database_name());
        setup.session().execute(&format!("create role {name} login password 'little'"));
        setup.rework(["init-db", "--grant", &format!("{rights}={name}")]).run_ok();
        let dsn = crate::support::server::dsn(&name, "little", setup.database_name());
        let superuser_dsn = crate::support::server::superuser_dsn(setup.database_name());
        GrantedRole { name, dsn, superuser_dsn }
    }
}

impl Drop for GrantedRole {
    fn drop(&mut self) {
        let session = crate::support::session::Session::open(&self.superuser_dsn);
        drop(session.try_execute(&format!("drop owned by {0}; drop role {0}", self.name)));
    }
}
