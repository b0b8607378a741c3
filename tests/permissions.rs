//! Roles with no more rights than they need, and a schema that an administrator makes by hand.

use crate::connections::main_scenarios;
use crate::support::database::Database;
use crate::support::installation::{Installation, fixture};

#[test]
fn the_main_scenarios_with_no_more_rights_than_needed() {
    let mut place = Installation::new();
    let role = Role::new(&place, "run");
    place.use_dsn(&role.dsn);
    main_scenarios(&place);
    let _monitor = place.monitor(&["--minworkers", "0"]);
    let due = ["prepare", "double", "--input", "1", "--rule", "* * * * * *", "--every-second"];
    let schedule = place.rework(due).ok().id().to_string();
    place.until("the schedule has made a task", || {
        place.session().one("select count(*) > 0 from rework.tick where task is not null", &[])
    });
    for words in [
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
        vec!["vacuum", "--tasks"],
        vec!["vacuum", "--workers"],
        vec!["unregister-operation", "raw", "--yes"],
    ] {
        place.rework(words).ok();
    }
    let session = crate::support::session::Session::open(&role.dsn);
    for sql in [
        "insert into rework.task (operation, lane, state) values (1, 1, 'queued')",
        "create table rework.x ()",
        "drop table rework.tick",
        "truncate rework.log",
        "update rework.version set schema = 1",
        "delete from rework.audit",
        "delete from rework.operation",
        "select rework.grant_rights('postgres', 'run')",
    ] {
        let refused = session.try_run(sql).unwrap_err();
        assert_eq!(
            refused.code().map(tokio_postgres::error::SqlState::code),
            Some("42501"),
            "{sql}: {refused:?}"
        );
    }
}

#[test]
fn who_may_only_read_or_schedule_does_just_that() {
    let mut place = Installation::with_fixture();
    let task = place.schedule("double", 1).to_string();
    let (reads, schedules) = (Role::new(&place, "read"), Role::new(&place, "schedule"));
    place.use_dsn(&reads.dsn);
    place.rework(["list-tasks"]).ok();
    place.rework(["log-task", &task]).ok();
    let said = place.rework(["abort-task", &task]).exits(1).stderr();
    assert!(said.contains("permission denied") && said.contains("hint: "), "{said}");
    place.use_dsn(&schedules.dsn);
    place.rework(["schedule", "double", "--input", "2"]).ok();
    place.rework(["schedule", "double", "--many", "-"]).stdin("1\n2\n").ok();
    place.rework(["abort-task", &task]).ok();
    place.rework(["list-tasks"]).exits(1);
}

#[test]
fn the_schema_can_be_made_by_hand() {
    let place = Installation::on(Database::empty());
    let script = place.rework(["init-db", "--print-sql"]).without_env("REWORK_DSN").ok().stdout();
    place.session().run(&script);
    let already = format!("already at version {}\n", rework_core::admin::schema::VERSION);
    assert_eq!(place.rework(["init-db"]).ok().stdout(), already);
    place.register([fixture()]);
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    place.done(place.schedule("double", 1));
}

/// A role with certain rights in the database of an installation.
struct Role {
    name: String,
    dsn: String,
    own: String,
}

impl Role {
    fn new(place: &Installation, rights: &str) -> Role {
        let name = format!("{rights}s_{}", place.database_name());
        place.session().run(&format!("create role {name} login password 'little'"));
        place.rework(["init-db", "--grant", &format!("{rights}={name}")]).ok();
        let dsn = crate::support::server::dsn(&name, "little", place.database_name());
        let own = crate::support::server::own_dsn(place.database_name());
        Role { name, dsn, own }
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let session = crate::support::session::Session::open(&self.own);
        drop(session.try_run(&format!("drop owned by {0}; drop role {0}", self.name)));
    }
}
