//! Attempts: a failure is tried again while attempts remain, after a while; how each one ended is
//! kept.

use rework_core::task::state::State;

use crate::support::Installation;

#[test]
fn attempts_are_made_until_one_works() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.done(place.schedule_plain("third_time"));
    assert_eq!((task.run, task.attempt, task.output), (3, 3, 3.into()));
    let sql = "select reason from rework.run where task = $1 order by run";
    assert_eq!(place.session().all::<String>(sql, &[&task.id]), ["attempt 1", "attempt 2"]);
    assert_eq!(place.log(task.id), ["attempt 1", "attempt 2", "attempt 3"]);
    let second = place.rework(["log-task", &task.id.to_string(), "--run", "2", "--raw"]).ok();
    assert_eq!(second.stdout(), "attempt 2\n");
    let shown = place.rework(["show-task", &task.id.to_string()]).ok().stdout();
    for run in ["run 1", "run 2", "run 3"] {
        assert!(shown.contains(run), "no `{run}` in\n{shown}");
    }
}

#[test]
fn between_attempts_a_task_is_delayed_until_it_is_due() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule_plain("never_works");
    let waiting = place.reaches(task, State::Delayed);
    assert_eq!((waiting.attempt, waiting.reason()), (1, "attempt 1 failed"));
    let seconds = "select extract(epoch from delayed_until - run.finished_at)::float8
                     from rework.task join rework.run on run.task = task.id where task.id = $1";
    let delay: f64 = place.session().one(seconds, &[&task]);
    assert!((0.9..1.2).contains(&delay), "one second and up to a tenth more: {delay}");
    let ended = place.ended(task);
    assert_eq!((ended.state, ended.run, ended.attempt), (State::Failed, 2, 2));
    assert_eq!(ended.reason(), "attempt 2 failed");
    let sql = "select extract(epoch from t.started_at - r.finished_at)::float8
                 from rework.task t join rework.run r on r.task = t.id where t.id = $1";
    let pause: f64 = place.session().one(sql, &[&task]);
    assert!((1.0..4.0).contains(&pause), "it became due: {pause} s");
}

#[test]
fn who_gives_up_is_not_tried_again() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.ended(place.schedule_plain("gives_up"));
    assert_eq!((task.state, task.run, task.reason()), (State::Failed, 1, "no use"));
}

#[test]
fn a_delayed_task_becomes_due() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.rework(["schedule", "noinput", "--delay", "1500ms"]).ok().id();
    assert_eq!(place.task(task).state, State::Delayed);
    let task = place.done(task);
    let waited = (task.began() - task.queued_at).as_seconds_f64();
    assert!((1.5..5.0).contains(&waited), "{waited} s");
}

#[test]
fn retry_task_queues_what_failed_again_with_all_its_attempts() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.ended(place.schedule_plain("gives_up")).id;
    place.rework(["retry-task", &task.to_string()]).ok();
    place.until("it ran again", || place.task(task).run == 2 && place.task(task).state.is_end());
    let again = place.task(task);
    assert_eq!((again.state, again.attempt), (State::Failed, 1), "attempts begin anew");
    let sql = "select outcome from rework.run where task = $1";
    assert_eq!(place.session().all::<String>(sql, &[&task]), ["failed"], "the first is kept");
}

#[test]
fn retry_task_of_what_was_aborted_and_not_of_what_is_done() {
    let place = Installation::with_fixture();
    let task = place.schedule("double", 4);
    place.rework(["abort-task", &task.to_string()]).ok();
    place.rework(["retry-task", &task.to_string()]).ok();
    assert_eq!(place.task(task).state, State::Queued);
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    assert_eq!(place.done(task).output, 8);
    let said = place.rework(["retry-task", &task.to_string()]).exits(1);
    assert!(said.stderr().contains("done"), "{said}");
    assert_eq!(place.task(task).run, 1);
}
