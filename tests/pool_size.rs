//! The size of a pool: it grows by what waits, and shrinks one by one.

use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::json;

use crate::support::{Installation, wait};

fn started(place: &Installation) -> i64 {
    place.session().one("select count(*) from rework.worker where started_at is not null", &[])
}

fn live(place: &Installation) -> i64 {
    place.session().one("select count(*) from rework.worker where finished_at is null", &[])
}

/// Scenario RW-11.
#[test]
fn a_pool_grows_by_what_waits_and_shrinks_one_by_one() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--minworkers", "1", "--maxworkers", "4"]);
    place.until("one worker is there for nothing", || started(&place) == 1);
    let mut tasks = vec![place.schedule_plain("forever")];
    place.writes(tasks[0], "for ever");
    wait::stays("nothing waits: no more workers", wait::A_WHILE, || live(&place) == 1);

    for _ in 0..2 {
        tasks.push(place.schedule_plain("forever"));
    }
    for task in &tasks {
        place.writes(*task, "for ever");
    }
    assert_eq!(live(&place), 3, "exactly two more");

    for _ in 0..2 {
        tasks.push(place.schedule_plain("forever"));
    }
    place.until("four run", || place.session().one::<i64>(RUNNING, &[]) == 4);
    wait::stays("one stays queued", wait::A_WHILE, || {
        live(&place) == 4 && place.session().one::<i64>(RUNNING, &[]) == 4
    });

    let ids: Vec<String> = tasks.iter().map(i64::to_string).collect();
    place.rework(["abort-task"]).args(&ids).ok();
    for task in &tasks {
        assert_eq!(place.ended(*task).state, State::Aborted);
    }
    place.until("one worker is left", || live(&place) == 1);
    let sql = "select reason from rework.worker where finished_at is not null";
    assert_eq!(place.session().all::<String>(sql, &[]), ["explicit shutdown"; 3]);
}

const RUNNING: &str = "select count(*) from rework.task where state = 'running'";

/// Scenario RW-12.
#[test]
fn a_pool_may_be_empty() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--minworkers", "0", "--maxworkers", "4"]);
    wait::stays("nothing to do: no worker", wait::A_WHILE, || {
        place.session().one::<i64>("select count(*) from rework.worker", &[]) == 0
    });
    let gate = place.folder().join("gate");
    let tasks = place.schedule_many("hold", &vec![json!(gate); 6]);
    place.until("four run", || place.session().one::<i64>(RUNNING, &[]) == 4);
    let steps = "select count(distinct created_at) from rework.worker";
    assert_eq!(place.session().one::<i64>(steps, &[]), 1, "all were made in one step");
    assert_eq!(live(&place), 4);
    std::fs::write(&gate, "").unwrap();
    for task in tasks {
        place.done(task);
    }
    place.until("no worker is left", || live(&place) == 0);
    place.done(place.schedule("double", 1));
}

#[test]
fn a_worker_that_is_killed_is_replaced() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--minworkers", "1", "--maxworkers", "1"]);
    place.until("a worker is up", || started(&place) == 1);
    let pid: i32 = place.session().one("select pid from rework.worker", &[]);
    crate::support::processes::signal(pid, Signal::SIGKILL);
    place.until("another one is up", || started(&place) == 2);
    let sql = "select reason from rework.worker where pid = $1";
    assert!(place.session().one::<String>(sql, &[&pid]).starts_with("signal 9 (killed)"));
}

#[test]
fn workers_are_asked_to_leave_or_killed() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule_plain("forever");
    let worker = place.writes(task, "for ever").worker.unwrap().to_string();
    place.rework(["shutdown-worker", &worker]).ok();
    wait::stays("it finishes what it has", wait::A_WHILE, || {
        place.task(task).state == State::Running
    });
    place.rework(["kill-worker", &worker]).ok();
    let task = place.ended(task);
    assert_eq!((task.state, task.reason()), (State::Aborted, "aborted by kill-worker"));
    let sql = "select reason from rework.worker where id = $1";
    place.until("its end is recorded", || {
        place.session().one::<Option<String>>(sql, &[&task.worker]).is_some()
    });
    place.done(place.schedule("double", 1));
    let said = place.rework(["kill-worker", "4711"]).exits(1);
    assert!(said.stderr().contains("there is no worker 4711"), "{said}");
}
