//! The nine states: written once in Rust and once in the schema of the real database.

use std::collections::BTreeSet;

use rework_core::state::State;

use crate::support::Installation;

#[test]
fn the_states_of_rust_are_those_of_the_schema() {
    let place = Installation::new();
    let checks: Vec<String> = place.session().all(
        "select pg_get_constraintdef(oid) from pg_constraint
          where conrelid = 'rework.task'::regclass and contype = 'c'",
        &[],
    );
    let words = |check: &String| -> BTreeSet<String> {
        check.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let all = State::ALL.map(|state| state.as_str().to_owned());
    let ends = State::ALL.into_iter().filter(|state| state.is_end());
    let held = State::ALL.into_iter().filter(|state| state.is_held());
    let sets = checks.iter().map(words).collect::<Vec<_>>();
    for expected in [
        BTreeSet::from(all),
        ends.map(|state| state.as_str().to_owned()).collect(),
        held.map(|state| state.as_str().to_owned()).collect(),
    ] {
        assert!(sets.contains(&expected), "no check has {expected:?}: {checks:#?}");
    }
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
