//! How tasks end badly: an error, an exit, a panic; and that their worker goes on with the next one.

use rework_core::task::state::State;
use serde_json::json;

use crate::support::Installation;

#[test]
fn rw_2_an_error_keeps_what_was_saved() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let boom = place.ended(place.schedule_plain("boom"));
    assert_eq!(boom.state, State::Failed);
    assert_eq!(boom.reason(), "oops");
    assert_eq!(boom.error_message(), "oops");
    assert_eq!(boom.output, json!("partial"), "what was saved before the error");
    assert_eq!(place.log(boom.id), ["before"]);
    let shown = place.rework(["show-task", &boom.id.to_string()]).ok().stdout();
    for fact in ["failed", "oops", "\"partial\"", "before"] {
        assert!(shown.contains(fact), "no `{fact}` in\n{shown}");
    }
}

#[test]
fn rw_2_an_exit_fails_the_task_and_not_the_worker() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let before = place.done(place.schedule_plain("whoami"));
    for (operation, reason) in [("die", "exit code 3"), ("exit7", "exit code 7")] {
        let task = place.ended(place.schedule_plain(operation));
        assert_eq!((task.state, task.reason()), (State::Failed, reason), "{operation}");
        let after = place.done(place.schedule_plain("whoami"));
        assert_eq!(after.worker, before.worker, "the worker lives on after `{operation}`");
        assert_ne!(after.output, before.output, "the runner of `{operation}` was replaced");
    }
}

#[test]
fn a_panic_is_a_failure_with_its_words() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.ended(place.schedule("panics", "time"));
    assert_eq!(task.state, State::Failed);
    assert!(task.reason().starts_with("panic: about time"), "{}", task.reason());
    assert!(place.log(task.id).iter().any(|line| line.contains("about time")), "also in its log");
}

#[test]
fn an_input_that_does_not_fit_is_refused_before_anything_is_queued() {
    let place = Installation::with_fixture();
    let said = place.rework(["schedule", "sleep", "--input", "\"long\""]).exits(1);
    assert!(said.stderr().starts_with("error: "), "{said}");
    assert_eq!(place.session().one::<i64>("select count(*) from rework.task", &[]), 0);
}

#[test]
fn an_input_that_came_by_sql_and_does_not_fit_fails_the_task_without_a_retry() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let [task] = place.schedule_many("third_time", &[json!(null)])[..] else { panic!("one task") };
    assert_eq!(place.done(task).attempt, 3);
    let [task] = place.schedule_many("sleep", &[json!("long")])[..] else { panic!("one task") };
    let task = place.ended(task);
    assert_eq!((task.state, task.attempt), (State::Failed, 1));
    assert!(task.reason().starts_with("the input does not fit"), "{}", task.reason());
}
