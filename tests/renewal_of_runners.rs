//! The renewal of a runner: after so many runs, past so much memory, and never in the middle of one.

use rework_core::task::state::State;

use crate::support::Installation;

/// Scenario RW-13.
#[test]
fn a_runner_is_replaced_after_maxruns_runs() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1", "--maxruns", "2"]);
    let pids = [(); 6].map(|()| place.done(place.schedule_plain("whoami")));
    let output = |at: usize| &pids[at].output;
    assert!(output(0) == output(1) && output(2) == output(3) && output(4) == output(5));
    assert!(output(0) != output(2) && output(2) != output(4) && output(0) != output(4));
    assert!(pids.iter().all(|task| task.worker == pids[0].worker), "the worker stays");
}

/// Scenario RW-13.
#[test]
fn without_maxruns_a_runner_is_kept() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let counts = [(); 3].map(|()| place.done(place.schedule_plain("calls")).output);
    assert_eq!(counts, [1, 2, 3], "they share the state of one process");
}

/// Scenario RW-14.
#[test]
fn a_runner_is_replaced_after_the_run_that_passed_maxmem() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1", "--maxmem", "100"]);
    let before = place.done(place.schedule_plain("whoami"));
    assert_eq!(place.done(place.schedule("leak", 50)).output, 50 << 20);
    assert_eq!(place.done(place.schedule_plain("whoami")).output, before.output, "still small");
    let grown = place.done(place.schedule("leak", 100));
    assert_eq!(grown.state, State::Done, "never in the middle of a run");
    assert_eq!(grown.output, 150 << 20, "in the same process");
    let after = place.done(place.schedule_plain("whoami"));
    assert_ne!(after.output, before.output, "a fresh runner");
    assert_eq!(after.worker, before.worker, "in the same worker");
}
