//! Locks on which progress depends: a role without rights can hold none of them.

use std::path::PathBuf;

use rework_core::admin::schema::{self, VERSION};
use rework_core::db::dsn::Dsn;

use crate::support::database::Database;
use crate::support::installation::{Installation, fixture_program};
use crate::support::repository::{assert_no_violations, display_path, files, has_extension, read};
use crate::support::server;
use crate::support::session::Session;

/// Keys of advisory locks that programs of rework have used: for registering operations, for registering monitors, for
/// the ranges of lanes, and for migrations.
const ADVISORY_LOCKS: [&str; 4] = [
    "hashtext('rework.register')",
    "hashtextextended('rework.monitor', 0)",
    "hashtext('rework.host_lanes')",
    "125780121055851",
];

/// Statements that would hold up registrations or migrations, if the role were allowed to execute them. `lock table`
/// needs a transaction, and two statements in one message are one.
const LOCKING: [&str; 3] = [
    "select name from rework.lock for update",
    "select 1; lock table rework.lock in exclusive mode",
    "select 1; lock table rework.migration in share update exclusive mode",
];

/// A role that may connect, and has no other right. It is dropped with the value.
struct Stranger {
    name: String,
    superuser_dsn: String,
    /// A session of the role.
    session: Session,
}

impl Stranger {
    fn new(setup: &Installation) -> Stranger {
        let name = format!("stranger_{}", setup.database_name());
        setup.session().execute(&format!("create role {name} login password 'little'"));
        let session = Session::open(&server::dsn(&name, "little", setup.database_name()));
        let superuser_dsn = server::superuser_dsn(setup.database_name());
        Stranger { name, superuser_dsn, session }
    }

    /// Asserts that the role lacks the right to execute these statements.
    fn assert_denied(&self, statements: &[&str]) {
        for sql in statements {
            let error = self.session.try_execute(sql).unwrap_err();
            // 42501 is `insufficient_privilege`.
            let code = error.code().map(tokio_postgres::error::SqlState::code);
            assert_eq!(code, Some("42501"), "{sql}: {error:?}");
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let session = Session::open(&self.superuser_dsn);
        drop(session.try_execute(&format!("drop owned by {0}; drop role {0}", self.name)));
    }
}

#[test]
fn a_role_that_may_only_connect_holds_up_nothing() {
    let setup = Installation::with_database(Database::empty());
    let stranger = Stranger::new(&setup);
    for key in ADVISORY_LOCKS {
        stranger.session.execute(&format!("select pg_advisory_lock({key})"));
    }
    setup.rework(["init-db"]).run_ok();
    setup.register([fixture_program()]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule("double", 1));
    stranger.assert_denied(&LOCKING);
}

#[test]
fn a_role_that_may_read_holds_up_nothing() {
    let setup = Installation::new();
    let reader = Stranger::new(&setup);
    setup.rework(["init-db", "--grant", &format!("read={}", reader.name)]).run_ok();
    assert_eq!(reader.session.query_value::<i64>("select count(*) from rework.lock", &[]), 3);
    reader.assert_denied(&LOCKING);
}

#[test]
fn no_statement_takes_an_advisory_lock() {
    let takes_one = |text: &str| {
        let lines = text.lines().map(str::trim_start);
        let mut code = lines.filter(|line| !line.starts_with("--") && !line.starts_with("//"));
        code.any(|line| line.contains("advisory"))
    };
    let sources = files(&["crates", "migrations", "python/rework"]);
    let is_source = |path: &&PathBuf| {
        has_extension(path, "rs") || has_extension(path, "sql") || has_extension(path, "py")
    };
    let violations = sources.iter().filter(is_source).filter(|path| takes_one(&read(path)));
    assert_no_violations(&violations.map(display_path).collect::<Vec<_>>());
}

#[test]
fn several_migrations_at_the_same_time_create_one_schema() {
    let setup = Installation::with_database(Database::empty());
    let dsn = Dsn::parse(setup.dsn()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let migrated = runtime.block_on(async {
        tokio::join!(schema::migrate(&dsn), schema::migrate(&dsn), schema::migrate(&dsn))
    });
    let mut applied =
        [migrated.0, migrated.1, migrated.2].map(|migrated| migrated.unwrap().applied);
    applied.sort_unstable();
    let chapters: i64 = setup.session().query_value("select count(*) from rework.migration", &[]);
    assert_eq!(applied, [0, 0, usize::try_from(chapters).unwrap()]);
    let version: i32 = setup.session().query_value("select schema from rework.version", &[]);
    assert_eq!(version, VERSION);
}
