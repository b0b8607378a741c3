//! The end of a monitor: killed, it disturbs no long task; asked to end, it drains.

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::json;

use crate::support::installation::Installation;
use crate::support::processes;

fn workers(place: &Installation) -> Vec<String> {
    let sql = "select reason from rework.worker where finished_at is not null order by id";
    place.session().all::<Option<String>>(sql, &[]).into_iter().flatten().collect()
}

fn live_workers(place: &Installation) -> i64 {
    place.session().one("select count(*) from rework.worker where finished_at is null", &[])
}

/// Scenario RW-9.
#[test]
fn a_busy_worker_finishes_its_task_after_its_monitor_was_killed() {
    let place = Installation::with_fixture();
    let mut monitor = place.monitor(&["--maxworkers", "2"]);
    let gate = place.folder().join("gate");
    let busy = place.schedule("hold", json!(gate));
    let worker = place.writes(busy, "holding").worker;
    place.until("two workers are up", || {
        let sql = "select count(*) from rework.worker where started_at is not null";
        place.session().one::<i64>(sql, &[]) == 2
    });
    monitor.kill();
    place.until("the idle worker has left, the busy one has not", || live_workers(&place) == 1);
    let sql = "select reason from rework.worker where finished_at is not null";
    assert_eq!(place.session().one::<String>(sql, &[]), "its monitor was gone");

    std::fs::write(&gate, "").unwrap();
    let ended = place.done(busy);
    assert_eq!((ended.worker, ended.run), (worker, 1), "it finished where it was");
    assert_eq!(place.log(busy), ["holding", "released"]);
    place.until("the busy worker has left too", || live_workers(&place) == 0);
    assert_eq!(workers(&place), ["its monitor was gone", "its monitor was gone"]);
    place.assert_no_process_left();

    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let sql = "select count(*) from rework.monitor where finished_at is null";
    assert_eq!(place.session().one::<i64>(sql, &[]), 1, "the stale one is recorded as ended");
    place.done(place.schedule("double", 1));
}

/// Scenario RW-9.
#[test]
fn a_busy_worker_without_a_monitor_answers_aborts() {
    let place = Installation::with_fixture();
    let mut monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule_plain("forever");
    place.writes(task, "for ever");
    monitor.kill();
    place.until("the worker lives by a lease of its own", || {
        let sql =
            "select count(*) from rework.worker join rework.monitor on monitor.id = worker.monitor
                    where worker.lease <> monitor.lease";
        place.session().one::<i64>(sql, &[]) == 1
    });
    place.rework(["abort-task", &task.to_string()]).ok();
    let task = place.ended(task);
    assert_eq!((task.state, task.reason()), (State::Aborted, "aborted from the command line"));
    place.until("its worker has left", || live_workers(&place) == 0);
    place.assert_no_process_left();
}

/// Scenario RW-9.
#[test]
fn the_next_monitor_counts_the_busy_worker_and_sees_its_end() {
    let place = Installation::with_fixture();
    let mut monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule_plain("forever");
    place.writes(task, "for ever");
    monitor.kill();
    let _next = place.monitor(&["--maxworkers", "1"]);
    let waiting = place.schedule("double", 1);
    let pid: i32 =
        place.session().one("select pid from rework.worker where finished_at is null", &[]);
    // Nothing else can have started it: the pool is full with the worker that was left behind.
    crate::support::wait::stays("the second task waits", crate::support::wait::A_WHILE, || {
        place.task(waiting).state == State::Queued
    });
    processes::signal(pid, Signal::SIGKILL);
    let lost = place.ended(task);
    assert_eq!(lost.state, State::Lost, "{}", lost.reason());
    place.done(waiting);
}

/// Scenario RW-10.
#[test]
fn a_monitor_drains_on_sigterm() {
    let place = Installation::with_fixture();
    let mut monitor = place.monitor(&["--maxworkers", "2"]);
    let gate = place.folder().join("gate");
    let busy = place.schedule("hold", json!(gate));
    place.writes(busy, "holding");
    monitor.signal(Signal::SIGTERM);
    place.until("the idle worker has left", || live_workers(&place) == 1);
    let late = place.schedule("double", 1);
    assert!(monitor.has_ended().is_none(), "it waits for what runs");
    std::fs::write(&gate, "").unwrap();
    place.done(busy);
    assert_eq!(monitor.exit_code(), Some(0));
    assert_eq!(place.task(late).state, State::Queued, "nothing new was claimed");
    assert_ended_orderly(&place);
}

/// Scenario RW-10.
#[test]
fn tasks_are_aborted_when_the_grace_is_over() {
    let place = Installation::with_fixture();
    let mut monitor = place.monitor(&["--maxworkers", "2", "--shutdown-grace", "1s"]);
    let task = place.schedule_plain("forever");
    place.writes(task, "for ever");
    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.exit_code(), Some(0));
    let task = place.task(task);
    assert_eq!((task.state, task.reason()), (State::Aborted, "aborted by the monitor's shutdown"));
    assert_ended_orderly(&place);
}

/// Scenario RW-10.
#[test]
fn a_second_signal_aborts_tasks_at_once() {
    let place = Installation::with_fixture();
    let mut monitor = place.monitor(&["--maxworkers", "1", "--shutdown-grace", "infinity"]);
    let task = place.schedule_plain("forever");
    place.writes(task, "for ever");
    monitor.signal(Signal::SIGTERM);
    place.until("it drains", || monitor.said().contains("draining"));
    assert_eq!(place.task(task).state, State::Running);
    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.exit_code(), Some(0));
    assert_eq!(place.task(task).state, State::Aborted);
    assert_ended_orderly(&place);
}

fn assert_ended_orderly(place: &Installation) {
    let reasons = workers(place);
    assert!(!reasons.is_empty() && live_workers(place) == 0, "{reasons:?}");
    for reason in reasons {
        assert!(reason.contains("monitor exit: signal 15 (terminated)"), "{reason}");
    }
    let sql = "select count(*) from rework.monitor where finished_at is null";
    assert_eq!(place.session().one::<i64>(sql, &[]), 0, "no live monitor is recorded");
    assert_eq!(place.rework(["list-monitors"]).ok().stdout(), "");
    place.assert_no_process_left();
}
