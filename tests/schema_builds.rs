//! A schema that another build of rework has created is refused.
//!
//! Until a release, the migrations are edited instead of extended. Two unreleased builds can therefore have different
//! migrations with the same number. The checksums in `rework.migration` show this. Messages call a migration a chapter.

use crate::bad_input::assert_refused;
use crate::support::Installation;
use crate::support::database::Database;

/// Parts of the error message.
const MESSAGE_PARTS: [&str; 4] = [
    "was made by another, unreleased build of rework",
    "chapter 13 (claim) differs",
    "drop schema rework cascade",
    "rework init-db DSN",
];

/// Commands of each kind: reading, writing, a monitor, and `init-db`.
const COMMANDS: [&[&str]; 4] =
    [&["list-tasks"], &["schedule", "hello"], &["monitor", "--domain", "default"], &["init-db"]];

/// Changes the recorded checksum of migration 13, as if the migration had been edited since.
const EDIT_MIGRATION: &str = "update rework.migration set checksum = '1' where version = 13";

/// A text that changes if a command changes the schema.
const SCHEMA_SUMMARY: &str = "select string_agg(version || checksum, ' ' order by version)
         || (select count(*) from pg_proc) || (select count(*) from pg_class) from rework.migration";

/// Asserts that each command fails with the error message and changes nothing.
#[track_caller]
fn assert_all_refused(setup: &Installation) {
    let summary: String = setup.session().query_value(SCHEMA_SUMMARY, &[]);
    for command in COMMANDS {
        assert_refused(setup, setup.rework(command), 1, &MESSAGE_PARTS);
        assert_eq!(
            setup.session().query_value::<String>(SCHEMA_SUMMARY, &[]),
            summary,
            "{command:?}"
        );
    }
}

#[test]
fn a_schema_with_an_edited_migration_is_refused() {
    let setup = Installation::new();
    setup.session().execute(EDIT_MIGRATION);
    assert_all_refused(&setup);
}

#[test]
fn a_schema_of_another_build_with_fewer_migrations_is_refused() {
    let setup = Installation::new();
    setup.session().execute(EDIT_MIGRATION);
    setup.session().execute(
        "delete from rework.migration where version > 14;
         update rework.version set schema = 14, serves = 14",
    );
    assert_all_refused(&setup);
}

#[test]
fn a_schema_of_another_build_with_more_migrations_is_refused() {
    let setup = Installation::new();
    setup.session().execute(EDIT_MIGRATION);
    setup.session().execute(
        "insert into rework.migration values (999, 'later', '', '1');
         update rework.version set schema = 999, serves = 999",
    );
    assert_all_refused(&setup);
}

#[test]
fn init_db_completes_an_interrupted_init_db_of_the_same_build_only() {
    let setup = Installation::with_database(Database::empty());
    setup.rework(["init-db"]).run_ok();
    setup.session().execute(
        "drop table rework.version;
         delete from rework.migration where version = (select max(version) from rework.migration)",
    );
    setup.rework(["init-db"]).run_ok();
    setup.rework(["list-tasks"]).run_ok();
    setup.session().execute(EDIT_MIGRATION);
    setup.session().execute("drop table rework.version");
    assert_refused(&setup, setup.rework(["init-db"]), 1, &MESSAGE_PARTS);
}

#[test]
fn a_newer_schema_that_supports_this_program_is_not_changed() {
    let setup = Installation::new();
    setup.session().execute(
        "insert into rework.migration values (999, 'later', '', '1');
         update rework.version set schema = 999",
    );
    setup.rework(["list-tasks"]).run_ok();
    assert_eq!(setup.rework(["init-db"]).run_ok().stdout(), "already at version 999\n");
}
