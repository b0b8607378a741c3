//! A worker replaces its runner after `--maxruns` runs or above `--maxmem`, but never during a run.

use rework_core::task::state::State;

use crate::support::Installation;

/// Scenario RW-13.
#[test]
fn a_runner_is_replaced_after_maxruns_runs() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1", "--maxruns", "2"]);
    let tasks = [(); 6].map(|()| setup.wait_until_done(setup.schedule_without_input("runner_pid")));
    let pid = |index: usize| &tasks[index].output;
    assert!(pid(0) == pid(1) && pid(2) == pid(3) && pid(4) == pid(5));
    assert!(pid(0) != pid(2) && pid(2) != pid(4) && pid(0) != pid(4));
    assert!(tasks.iter().all(|task| task.worker == tasks[0].worker), "the worker is not replaced");
}

/// Scenario RW-13.
#[test]
fn without_maxruns_a_runner_is_kept() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let counts = [(); 3]
        .map(|()| setup.wait_until_done(setup.schedule_without_input("counts_calls")).output);
    assert_eq!(counts, [1, 2, 3], "all runs use the state of one process");
}

/// Scenario RW-14.
#[test]
fn a_runner_is_replaced_after_the_run_that_exceeded_maxmem() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1", "--maxmem", "100"]);
    let before = setup.wait_until_done(setup.schedule_without_input("runner_pid"));
    assert_eq!(setup.wait_until_done(setup.schedule("leak", 50)).output, 50 << 20);
    let below_limit = setup.wait_until_done(setup.schedule_without_input("runner_pid"));
    assert_eq!(below_limit.output, before.output, "below --maxmem, so the same runner");
    let above_limit = setup.wait_until_done(setup.schedule("leak", 100));
    assert_eq!(above_limit.state, State::Done, "the run is not interrupted");
    assert_eq!(above_limit.output, 150 << 20, "the same runner as before");
    let after = setup.wait_until_done(setup.schedule_without_input("runner_pid"));
    assert_ne!(after.output, before.output, "a new runner");
    assert_eq!(after.worker, before.worker, "the same worker");
}
