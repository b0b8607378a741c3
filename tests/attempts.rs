//! Attempts: a failed task runs again after a pause while attempts remain, and the end of each run is recorded.

use rework_core::task::state::State;

use crate::support::Installation;

#[test]
fn a_task_is_retried_until_an_attempt_succeeds() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_done(setup.schedule_without_input("succeeds_third_time"));
    assert_eq!((task.run, task.attempt, task.output), (3, 3, 3.into()));
    let sql = "select reason from rework.run where task = $1 order by run";
    assert_eq!(
        setup.session().query_values::<String>(sql, &[&task.id]),
        ["attempt 1", "attempt 2"]
    );
    assert_eq!(setup.log_lines(task.id), ["attempt 1", "attempt 2", "attempt 3"]);
    let log_of_run_2 =
        setup.rework(["log-task", &task.id.to_string(), "--run", "2", "--raw"]).run_ok();
    assert_eq!(log_of_run_2.stdout(), "attempt 2\n");
    let shown = setup.rework(["show-task", &task.id.to_string()]).run_ok().stdout();
    for run in ["run 1", "run 2", "run 3"] {
        assert!(shown.contains(run), "no `{run}` in\n{shown}");
    }
}

#[test]
fn between_attempts_a_task_is_delayed() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule_without_input("always_fails");
    let waiting = setup.wait_until_state(task, State::Delayed);
    assert_eq!((waiting.attempt, waiting.reason()), (1, "attempt 1 failed"));
    let seconds = "select extract(epoch from delayed_until - run.finished_at)::float8
                     from rework.task join rework.run on run.task = task.id where task.id = $1";
    let delay: f64 = setup.session().query_value(seconds, &[&task]);
    assert!((0.9..1.2).contains(&delay), "the pause is {delay} s instead of 1 s to 1.1 s");
    let ended = setup.wait_until_ended(task);
    assert_eq!((ended.state, ended.run, ended.attempt), (State::Failed, 2, 2));
    assert_eq!(ended.reason(), "attempt 2 failed");
    let sql = "select extract(epoch from t.started_at - r.finished_at)::float8
                 from rework.task t join rework.run r on r.task = t.id where t.id = $1";
    let pause: f64 = setup.session().query_value(sql, &[&task]);
    assert!(
        (1.0..4.0).contains(&pause),
        "the second attempt started {pause} s after the first one ended"
    );
}

#[test]
fn an_operation_that_gives_up_is_not_retried() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_ended(setup.schedule_without_input("gives_up"));
    assert_eq!((task.state, task.run, task.reason()), (State::Failed, 1, "no use"));
}

#[test]
fn a_delayed_task_runs_after_its_delay() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.rework(["schedule", "noinput", "--delay", "1500ms"]).run_ok().id();
    assert_eq!(setup.task(task).state, State::Delayed);
    let task = setup.wait_until_done(task);
    let waited = (task.start_time() - task.queued_at).as_seconds_f64();
    assert!((1.5..5.0).contains(&waited), "the task waited for {waited} s");
}

#[test]
fn retry_task_queues_a_failed_task_again_with_all_attempts() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_ended(setup.schedule_without_input("gives_up")).id;
    setup.rework(["retry-task", &task.to_string()]).run_ok();
    setup.wait_until("the task has run again", || {
        setup.task(task).run == 2 && setup.task(task).state.is_end()
    });
    let retried = setup.task(task);
    assert_eq!(
        (retried.state, retried.attempt),
        (State::Failed, 1),
        "the attempts were not counted from 1 again"
    );
    let sql = "select outcome from rework.run where task = $1";
    assert_eq!(
        setup.session().query_values::<String>(sql, &[&task]),
        ["failed"],
        "the first run is missing"
    );
}

#[test]
fn retry_task_accepts_an_aborted_task_and_refuses_a_done_one() {
    let setup = Installation::with_fixture();
    let task = setup.schedule("double", 4);
    setup.rework(["abort-task", &task.to_string()]).run_ok();
    setup.rework(["retry-task", &task.to_string()]).run_ok();
    assert_eq!(setup.task(task).state, State::Queued);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    assert_eq!(setup.wait_until_done(task).output, 8);
    let output = setup.rework(["retry-task", &task.to_string()]).run_expecting(1);
    assert!(output.stderr().contains("done"), "{output}");
    assert_eq!(setup.task(task).run, 1);
}
