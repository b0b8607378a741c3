//! The number of workers of a monitor: it grows with the number of queued tasks and shrinks when workers are idle,
//! between `--minworkers` and `--maxworkers`. Also `shutdown-worker` and `kill-worker`.

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::json;

use crate::support::{Installation, wait};

/// Returns the number of workers that have started so far, including those that have ended.
fn started_workers(setup: &Installation) -> i64 {
    setup
        .session()
        .query_value("select count(*) from rework.worker where started_at is not null", &[])
}

/// Returns the number of workers that have not ended.
fn live_workers(setup: &Installation) -> i64 {
    setup.session().query_value("select count(*) from rework.worker where finished_at is null", &[])
}

/// Scenario RW-11.
#[test]
fn a_monitor_starts_workers_for_queued_tasks_and_ends_idle_ones() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--minworkers", "1", "--maxworkers", "4"]);
    setup.wait_until("one worker is started although no task is queued", || {
        started_workers(&setup) == 1
    });
    let mut tasks = vec![setup.schedule_without_input("forever")];
    setup.wait_until_logged(tasks[0], "for ever");
    wait::assert_stays_true(
        "no task is queued, so no worker is started",
        wait::OBSERVATION_TIME,
        || live_workers(&setup) == 1,
    );

    for _ in 0..2 {
        tasks.push(setup.schedule_without_input("forever"));
    }
    for task in &tasks {
        setup.wait_until_logged(*task, "for ever");
    }
    assert_eq!(live_workers(&setup), 3, "one worker for each queued task");

    for _ in 0..2 {
        tasks.push(setup.schedule_without_input("forever"));
    }
    setup.wait_until("four tasks are running", || {
        setup.session().query_value::<i64>(COUNT_RUNNING, &[]) == 4
    });
    wait::assert_stays_true("the fifth task stays queued", wait::OBSERVATION_TIME, || {
        live_workers(&setup) == 4 && setup.session().query_value::<i64>(COUNT_RUNNING, &[]) == 4
    });

    let ids: Vec<String> = tasks.iter().map(i64::to_string).collect();
    setup.rework(["abort-task"]).args(&ids).run_ok();
    for task in &tasks {
        assert_eq!(setup.wait_until_ended(*task).state, State::Aborted);
    }
    setup.wait_until("one worker is left, because of --minworkers", || live_workers(&setup) == 1);
    let sql = "select reason from rework.worker where finished_at is not null";
    assert_eq!(setup.session().query_values::<String>(sql, &[]), ["explicit shutdown"; 3]);
}

const COUNT_RUNNING: &str = "select count(*) from rework.task where state = 'running'";

/// Scenario RW-12.
#[test]
fn with_minworkers_0_workers_exist_only_while_tasks_exist() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--minworkers", "0", "--maxworkers", "4"]);
    wait::assert_stays_true(
        "no task is queued, so no worker is started",
        wait::OBSERVATION_TIME,
        || setup.session().query_value::<i64>("select count(*) from rework.worker", &[]) == 0,
    );
    let gate = setup.folder().join("gate");
    let tasks = setup.schedule_many("hold", &vec![json!(gate); 6]);
    setup.wait_until("four tasks are running", || {
        setup.session().query_value::<i64>(COUNT_RUNNING, &[]) == 4
    });
    let times = "select count(distinct created_at) from rework.worker";
    assert_eq!(
        setup.session().query_value::<i64>(times, &[]),
        1,
        "all workers were created in one transaction"
    );
    assert_eq!(live_workers(&setup), 4);
    std::fs::write(&gate, "").unwrap();
    for task in tasks {
        setup.wait_until_done(task);
    }
    setup.wait_until("no worker is left", || live_workers(&setup) == 0);
    setup.wait_until_done(setup.schedule("double", 1));
}

#[test]
fn a_killed_worker_is_replaced() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--minworkers", "1", "--maxworkers", "1"]);
    setup.wait_until("a worker has started", || started_workers(&setup) == 1);
    let pid: i32 = setup.session().query_value("select pid from rework.worker", &[]);
    crate::support::processes::signal(pid, Signal::SIGKILL);
    setup.wait_until("another worker has started", || started_workers(&setup) == 2);
    let sql = "select reason from rework.worker where pid = $1";
    assert!(setup.session().query_value::<String>(sql, &[&pid]).starts_with("signal 9 (killed)"));
}

#[test]
fn shutdown_worker_waits_for_the_task_and_kill_worker_aborts_it() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule_without_input("forever");
    let worker = setup.wait_until_logged(task, "for ever").worker.unwrap().to_string();
    setup.rework(["shutdown-worker", &worker]).run_ok();
    wait::assert_stays_true(
        "a worker that shuts down finishes its task",
        wait::OBSERVATION_TIME,
        || setup.task(task).state == State::Running,
    );
    setup.rework(["kill-worker", &worker]).run_ok();
    let task = setup.wait_until_ended(task);
    assert_eq!((task.state, task.reason()), (State::Aborted, "aborted by kill-worker"));
    let sql = "select reason from rework.worker where id = $1";
    setup.wait_until("the end of the worker is recorded", || {
        setup.session().query_value::<Option<String>>(sql, &[&task.worker]).is_some()
    });
    setup.wait_until_done(setup.schedule("double", 1));
    let output = setup.rework(["kill-worker", "4711"]).run_expecting(1);
    assert!(output.stderr().contains("there is no worker 4711"), "{output}");
}

#[test]
fn show_task_says_that_all_workers_are_busy() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let running = setup.schedule_without_input("forever");
    setup.wait_until_logged(running, "for ever");
    let waiting = setup.schedule("double", 1);
    let shown = || setup.rework(["show-task", &waiting.to_string()]).run_ok().stdout();
    let busy = format!(
        "waits for a worker: the only worker of domain default is busy, with task {running}\n"
    );
    assert!(shown().contains(&busy), "{}", shown());
    setup.rework(["abort-task", &running.to_string()]).run_ok();
    setup.wait_until_done(waiting);
    assert!(!shown().contains("waits for a worker"), "{}", shown());
}
