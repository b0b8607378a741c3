//! Ends of monitors: a monitor that is killed does not disturb running tasks, and a monitor that gets SIGTERM drains.
//!
//! To drain means to claim no more tasks and to wait for the running ones, at most for the grace period.

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::json;

use crate::support::installation::Installation;
use crate::support::{processes, wait};

/// Returns the recorded reasons of the workers that have ended.
fn end_reasons_of_workers(setup: &Installation) -> Vec<String> {
    let sql = "select reason from rework.worker where finished_at is not null order by id";
    setup.session().query_values::<Option<String>>(sql, &[]).into_iter().flatten().collect()
}

/// Returns the number of workers whose end is not recorded.
fn live_workers(setup: &Installation) -> i64 {
    setup.session().query_value("select count(*) from rework.worker where finished_at is null", &[])
}

/// Scenario RW-9 of the original rework in Python.
#[test]
fn a_busy_worker_finishes_its_task_after_its_monitor_was_killed() {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let gate = setup.folder().join("gate");
    let busy = setup.schedule("hold", json!(gate));
    let worker = setup.wait_until_logged(busy, "holding").worker;
    setup.wait_until("two workers have started", || {
        let sql = "select count(*) from rework.worker where started_at is not null";
        setup.session().query_value::<i64>(sql, &[]) == 2
    });
    monitor.kill();
    setup.wait_until("only the busy worker is left", || live_workers(&setup) == 1);
    let sql = "select reason from rework.worker where finished_at is not null";
    assert_eq!(setup.session().query_value::<String>(sql, &[]), "its monitor was gone");

    std::fs::write(&gate, "").unwrap();
    let ended = setup.wait_until_done(busy);
    assert_eq!(
        (ended.worker, ended.run),
        (worker, 1),
        "another run or another worker ended the task"
    );
    assert_eq!(setup.log_lines(busy), ["holding", "released"]);
    setup.wait_until("the busy worker has exited too", || live_workers(&setup) == 0);
    assert_eq!(end_reasons_of_workers(&setup), ["its monitor was gone", "its monitor was gone"]);
    setup.wait_until_no_process_left();

    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let sql = "select count(*) from rework.monitor where finished_at is null";
    assert_eq!(
        setup.session().query_value::<i64>(sql, &[]),
        1,
        "the end of the killed monitor is not recorded"
    );
    setup.wait_until_done(setup.schedule("double", 1));
}

/// Nobody cleans up after a worker whose end is recorded. So nothing may be left of it at that moment, since it can be
/// killed right afterwards.
#[test]
fn nothing_is_left_of_a_worker_when_it_records_its_end() {
    let setup = Installation::with_fixture();
    let folder = std::env::temp_dir();
    setup.session().execute(&format!(
        "create table public.left_behind (worker bigint, folder_exists boolean);
         create function public.find_left_behind() returns trigger language plpgsql as $$
         begin
             insert into public.left_behind
             select new.id, (pg_stat_file('{}/rework-' || new.process_tag, true)).isdir is not null;
             return new;
         end $$;
         create trigger find_left_behind after update of finished_at on rework.worker
             for each row execute function public.find_left_behind()",
        folder.display()
    ));
    let mut monitor = setup.start_monitor(&["--maxworkers", "1"]);
    setup.wait_until_done(setup.schedule("double", 1));
    monitor.kill();
    setup.wait_until("the worker has ended", || live_workers(&setup) == 0);
    assert_eq!(end_reasons_of_workers(&setup), ["its monitor was gone"]);
    let left =
        setup.session().query_values::<bool>("select folder_exists from public.left_behind", &[]);
    assert_eq!(left, [false], "the worker had a folder when it recorded its end");
}

/// Scenario RW-9 of the original rework in Python.
#[test]
fn a_busy_worker_without_a_monitor_aborts_its_task_on_request() {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule_without_input("forever");
    setup.wait_until_logged(task, "for ever");
    monitor.kill();
    setup.wait_until("the worker has a lease of its own", || {
        let sql =
            "select count(*) from rework.worker join rework.monitor on monitor.id = worker.monitor
                    where worker.lease <> monitor.lease";
        setup.session().query_value::<i64>(sql, &[]) == 1
    });
    setup.rework(["abort-task", &task.to_string()]).run_ok();
    let task = setup.wait_until_ended(task);
    assert_eq!((task.state, task.reason()), (State::Aborted, "aborted from the command line"));
    setup.wait_until("the worker has exited", || live_workers(&setup) == 0);
    setup.wait_until_no_process_left();
}

/// Scenario RW-9 of the original rework in Python.
#[test]
fn the_next_monitor_counts_the_busy_worker_and_records_its_end() {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule_without_input("forever");
    setup.wait_until_logged(task, "for ever");
    monitor.kill();
    let _next = setup.start_monitor(&["--maxworkers", "1"]);
    let queued = setup.schedule("double", 1);
    let pid: i32 =
        setup.session().query_value("select pid from rework.worker where finished_at is null", &[]);
    // The worker of the killed monitor counts as the one permitted worker, so the next monitor starts no other.
    wait::assert_stays_true("the second task is queued", wait::OBSERVATION_TIME, || {
        setup.task(queued).state == State::Queued
    });
    processes::signal(pid, Signal::SIGKILL);
    let lost = setup.wait_until_ended(task);
    assert_eq!(lost.state, State::Lost, "{}", lost.reason());
    setup.wait_until_done(queued);
}

/// Scenario RW-10 of the original rework in Python.
#[test]
fn a_monitor_drains_on_sigterm() {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let gate = setup.folder().join("gate");
    let busy = setup.schedule("hold", json!(gate));
    setup.wait_until_logged(busy, "holding");
    monitor.signal(Signal::SIGTERM);
    setup.wait_until("the idle worker has exited", || live_workers(&setup) == 1);
    let second = setup.schedule("double", 1);
    assert!(monitor.exit_status().is_none(), "the monitor did not wait for the running task");
    std::fs::write(&gate, "").unwrap();
    setup.wait_until_done(busy);
    assert_eq!(monitor.wait_for_exit_code(), Some(0));
    assert_eq!(setup.task(second).state, State::Queued, "a task was claimed during the drain");
    assert_clean_exit(&setup);
}

/// Scenario RW-10 of the original rework in Python.
#[test]
fn running_tasks_are_aborted_when_the_grace_of_a_drain_ends() {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "2", "--shutdown-grace", "1s"]);
    let task = setup.schedule_without_input("forever");
    setup.wait_until_logged(task, "for ever");
    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.wait_for_exit_code(), Some(0));
    let task = setup.task(task);
    assert_eq!((task.state, task.reason()), (State::Aborted, "aborted by the monitor's shutdown"));
    assert_clean_exit(&setup);
}

/// Scenario RW-10 of the original rework in Python.
#[test]
fn a_second_signal_aborts_tasks_at_once() {
    let setup = Installation::with_fixture();
    let mut monitor = setup.start_monitor(&["--maxworkers", "1", "--shutdown-grace", "infinity"]);
    let task = setup.schedule_without_input("forever");
    setup.wait_until_logged(task, "for ever");
    monitor.signal(Signal::SIGTERM);
    setup.wait_until("the monitor is draining", || monitor.output().contains("draining"));
    assert_eq!(setup.task(task).state, State::Running);
    monitor.signal(Signal::SIGTERM);
    assert_eq!(monitor.wait_for_exit_code(), Some(0));
    assert_eq!(setup.task(task).state, State::Aborted);
    assert_clean_exit(&setup);
}

/// Asserts that the monitor and its workers ended because of SIGTERM, that their ends are recorded, and that no process
/// is left.
fn assert_clean_exit(setup: &Installation) {
    let reasons = end_reasons_of_workers(setup);
    assert!(!reasons.is_empty() && live_workers(setup) == 0, "{reasons:?}");
    for reason in reasons {
        assert!(reason.contains("monitor exit: signal 15 (terminated)"), "{reason}");
    }
    let sql = "select count(*) from rework.monitor where finished_at is null";
    assert_eq!(
        setup.session().query_value::<i64>(sql, &[]),
        0,
        "the end of the monitor is not recorded"
    );
    assert_eq!(setup.rework(["list-monitors"]).run_ok().stdout(), "");
    setup.wait_until_no_process_left();
}
