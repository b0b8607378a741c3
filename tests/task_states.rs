//! The states of a task are listed in Rust and in the schema. Both lists must be equal. Also `init-db` on a database
//! that has or does not have the schema.

use std::collections::BTreeSet;

use rework_core::task::state::State;

use crate::support::Installation;

#[test]
fn rust_and_the_schema_have_the_same_states() {
    let setup = Installation::new();
    let check: String = setup.session().query_value(
        "select pg_get_constraintdef(oid) from pg_constraint
          where contypid = 'rework.state'::regtype and contype = 'c'",
        &[],
    );
    let in_schema: BTreeSet<_> = check.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
    let in_rust = State::ALL.map(|state| state.as_str().to_owned());
    assert_eq!(in_schema, BTreeSet::from(in_rust), "{check}");
}

#[test]
fn init_db_creates_the_schema_once_and_keeps_tasks() {
    let setup = Installation::with_database(crate::support::database::Database::empty());
    let output = setup.rework(["list-tasks"]).run_expecting(1);
    assert!(output.stderr().contains("hint: ") && output.stderr().contains("init-db"), "{output}");
    setup.rework(["init-db"]).run_ok();
    setup.register([crate::support::installation::fixture_program()]);
    let task = setup.schedule("double", 1);
    let again = setup.rework(["init-db"]).run_ok().stdout();
    assert!(again.starts_with("already at version"), "{again}");
    assert_eq!(setup.task(task).state, State::Queued);
}
