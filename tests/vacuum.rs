//! Deleting what is old: only what was asked for, only where it was asked for.

use rework_core::task::state::State;

use crate::support::Installation;

/// Scenario RW-27.
#[test]
fn vacuum_deletes_only_the_tasks_that_were_named() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    for number in 0..3 {
        place.done(place.schedule("double", number));
    }
    let running = place.schedule_plain("forever");
    place.writes(running, "for ever");
    let queued = place.schedule("double", 1);
    let elsewhere = place.schedule("other_dom", 1);
    let vacuum = |args: &[&str]| place.rework(["vacuum"]).args(args);
    let tasks = || place.session().one::<i64>("select count(*) from rework.task", &[]);

    let said = vacuum(&[]).exits(2);
    assert!(
        said.stderr().contains("to cleanup old workers or tasks please use --workers or --tasks")
    );
    let said = vacuum(&["--workers", "--tasks"]).exits(2);
    assert!(said.stderr().contains("vacuum deletes workers or tasks, not both at the same time"));
    assert_eq!(tasks(), 6, "nothing was deleted");

    assert_eq!(vacuum(&["--tasks", "--days", "1"]).ok().stdout(), "deleted 0 tasks\n");
    assert_eq!(vacuum(&["--tasks", "--domain", "nosuch"]).ok().stdout(), "deleted 0 tasks\n");
    assert_eq!(vacuum(&["--tasks"]).ok().stdout(), "deleted 3 tasks\n");
    let logged: i64 = place.session().one("select count(distinct task) from rework.log", &[]);
    assert_eq!(logged, 1, "their logs went with them");
    assert_eq!(vacuum(&["--tasks", "--queued"]).ok().stdout(), "deleted 1 tasks\n");
    assert_eq!(tasks(), 2, "what runs, and what is of another domain, are left");
    assert_eq!(place.task(running).state, State::Running);
    assert!(place.session().rows("select from rework.task where id = $1", &[&queued]).is_empty());
    assert_eq!(place.task(elsewhere).state, State::Queued);
}

/// Scenario RW-13.
#[test]
fn vacuum_deletes_workers_that_left() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--minworkers", "0", "--maxworkers", "1"]);
    place.done(place.schedule("double", 1));
    let left = "select count(*) from rework.worker where finished_at is not null";
    place.until("the worker has left", || place.session().one::<i64>(left, &[]) == 1);
    let said = place.rework(["vacuum", "--workers"]).ok();
    assert_eq!(said.stdout(), "deleted 1 workers\n");
    assert_eq!(place.session().one::<i64>("select count(*) from rework.worker", &[]), 0);
}
