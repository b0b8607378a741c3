//! A schema that another build of rework made: until a version is released its chapters are edited in place, so that
//! the same number may stand for another text.

use crate::bad_input::refused;
use crate::support::Installation;
use crate::support::database::Database;

const WORDS: [&str; 4] = [
    "was made by another, unreleased build of rework",
    "chapter 13 (claim) differs",
    "drop schema rework cascade",
    "rework init-db DSN",
];

/// Commands of every sort.
const COMMANDS: [&[&str]; 4] =
    [&["list-tasks"], &["schedule", "hello"], &["monitor", "--domain", "default"], &["init-db"]];

/// As if chapter 13 had been edited since it was applied.
const EDITED: &str = "update rework.migration set checksum = '1' where version = 13";

/// All that a change of the schema would touch.
const SHAPE: &str = "select string_agg(version || checksum, ' ' order by version)
         || (select count(*) from pg_proc) || (select count(*) from pg_class) from rework.migration";

#[track_caller]
fn each_refused(place: &Installation) {
    let shape: String = place.session().one(SHAPE, &[]);
    for command in COMMANDS {
        refused(place, place.rework(command), 1, &WORDS);
        assert_eq!(place.session().one::<String>(SHAPE, &[]), shape, "{command:?}");
    }
}

#[test]
fn an_edited_chapter_is_refused() {
    let place = Installation::new();
    place.session().run(EDITED);
    each_refused(&place);
}

#[test]
fn another_build_with_fewer_chapters_is_refused() {
    let place = Installation::new();
    place.session().run(EDITED);
    place.session().run(
        "delete from rework.migration where version > 14;
         update rework.version set schema = 14, serves = 14",
    );
    each_refused(&place);
}

#[test]
fn another_build_with_more_chapters_is_refused() {
    let place = Installation::new();
    place.session().run(EDITED);
    place.session().run(
        "insert into rework.migration values (999, 'later', '', '1');
         update rework.version set schema = 999, serves = 999",
    );
    each_refused(&place);
}

#[test]
fn init_db_goes_on_where_it_was_cut_off_unless_another_build_was() {
    let place = Installation::on(Database::empty());
    place.rework(["init-db"]).ok();
    place.session().run(
        "drop table rework.version;
         delete from rework.migration where version = (select max(version) from rework.migration)",
    );
    place.rework(["init-db"]).ok();
    place.rework(["list-tasks"]).ok();
    place.session().run(EDITED);
    place.session().run("drop table rework.version");
    refused(&place, place.rework(["init-db"]), 1, &WORDS);
}

#[test]
fn a_newer_schema_that_serves_this_binary_is_left_as_it_is() {
    let place = Installation::new();
    place.session().run(
        "insert into rework.migration values (999, 'later', '', '1');
         update rework.version set schema = 999",
    );
    place.rework(["list-tasks"]).ok();
    assert_eq!(place.rework(["init-db"]).ok().stdout(), "already at version 999\n");
}
