//! The eight states: written once in Rust and once in the schema of the real database.

use std::collections::BTreeSet;

use rework_core::task::state::State;

use crate::support::Installation;

#[test]
fn the_states_of_rust_are_those_of_the_schema() {
    let place = Installation::new();
    let check: String = place.session().one(
        "select pg_get_constraintdef(oid) from pg_constraint
          where contypid = 'rework.state'::regtype and contype = 'c'",
        &[],
    );
    let stored: BTreeSet<_> = check.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
    let known = State::ALL.map(|state| state.as_str().to_owned());
    assert_eq!(stored, BTreeSet::from(known), "{check}");
}

#[test]
fn init_db_makes_the_schema_once_and_drops_nothing() {
    let place = Installation::on(crate::support::database::Database::empty());
    let refused = place.rework(["list-tasks"]).exits(1);
    assert!(
        refused.stderr().contains("hint: ") && refused.stderr().contains("init-db"),
        "{refused}"
    );
    place.rework(["init-db"]).ok();
    place.register([crate::support::installation::fixture()]);
    let task = place.schedule("double", 1);
    let again = place.rework(["init-db"]).ok().stdout();
    assert!(again.starts_with("already at version"), "{again}");
    assert_eq!(place.task(task).state, State::Queued);
}
