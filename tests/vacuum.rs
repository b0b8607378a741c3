//! `vacuum` deletes ended tasks or workers, but only those that its options select.

use rework_core::task::state::State;

use crate::support::Installation;

/// Scenario RW-27.
#[test]
fn vacuum_deletes_only_the_selected_tasks() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    for number in 0..3 {
        setup.wait_until_done(setup.schedule("double", number));
    }
    let running = setup.schedule_without_input("forever");
    setup.wait_until_logged(running, "for ever");
    let queued = setup.schedule("double", 1);
    let other_domain = setup.schedule("other_domain", 1);
    let vacuum = |args: &[&str]| setup.rework(["vacuum"]).args(args);
    let tasks = || setup.session().query_value::<i64>("select count(*) from rework.task", &[]);

    let output = vacuum(&[]).run_expecting(2);
    assert!(output.stderr().contains("vacuum needs `--tasks` or `--workers`"));
    let output = vacuum(&["--workers", "--tasks"]).run_expecting(2);
    assert!(
        output
            .stderr()
            .contains("vacuum deletes either tasks or workers, not both at the same time")
    );
    assert_eq!(tasks(), 6, "nothing was deleted");

    assert_eq!(vacuum(&["--tasks", "--days", "1"]).run_ok().stdout(), "deleted 0 tasks\n");
    assert_eq!(vacuum(&["--tasks", "--domain", "nosuch"]).run_ok().stdout(), "deleted 0 tasks\n");
    assert_eq!(vacuum(&["--tasks"]).run_ok().stdout(), "deleted 3 tasks\n");
    let logged: i64 =
        setup.session().query_value("select count(distinct task) from rework.log", &[]);
    assert_eq!(logged, 1, "the logs of deleted tasks are deleted");
    assert_eq!(vacuum(&["--tasks", "--queued"]).run_ok().stdout(), "deleted 1 task\n");
    assert_eq!(tasks(), 2, "the running task and the task of the other domain are kept");
    assert_eq!(setup.task(running).state, State::Running);
    assert!(setup.session().query("select from rework.task where id = $1", &[&queued]).is_empty());
    assert_eq!(setup.task(other_domain).state, State::Queued);
}

/// Scenario RW-13.
#[test]
fn vacuum_deletes_workers_that_have_ended() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--minworkers", "0", "--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule("double", 1));
    let count_ended = "select count(*) from rework.worker where finished_at is not null";
    setup.wait_until("the worker has ended", || {
        setup.session().query_value::<i64>(count_ended, &[]) == 1
    });
    let output = setup.rework(["vacuum", "--workers"]).run_ok();
    assert_eq!(output.stdout(), "deleted 1 worker\n");
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.worker", &[]), 0);
}
