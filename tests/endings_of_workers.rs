//! What becomes of a run when its worker ends first: killed, crashed, stopped, or told to leave.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use chrono::Utc;
use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::containment_modes::Rung;
use crate::support::installation::fixture;
use crate::support::monitored_host::{Begun, Stage};
use crate::support::{processes, wait};

#[test]
fn a_worker_that_is_killed_loses_its_task() {
    for rung in Rung::available() {
        let stage = Stage::on(rung, &[]);
        for operation in ["c_stands", "stands"] {
            let begun = stage.begin(operation, Value::Null);
            wait_for_whole_lines(&stage, &begun);
            let event = Utc::now();
            processes::signal(stage.pid_of(begun.worker), Signal::SIGKILL);
            let lost = ended(&stage, &begun, event, State::Lost);
            assert_eq!(lost, ("worker died: signal 9 (killed)".to_owned(), 1, 1), "{rung:?}");
        }
        stage.place.done(stage.place.schedule("double", 1));
        stage.leave();
    }
}

#[test]
fn a_worker_that_crashes_loses_its_task() {
    let stage = Stage::new(&[]);
    let begun = stage.begin("c_stands", Value::Null);
    wait_for_whole_lines(&stage, &begun);
    let event = Utc::now();
    processes::crash(stage.pid_of(begun.worker));
    let (reason, ..) = ended(&stage, &begun, event, State::Lost);
    assert!(reason.starts_with("worker died: signal 11 (segmentation fault"), "{reason}");
    stage.leave();
}

#[test]
fn a_lost_task_that_may_be_repeated_is_queued_again_three_times() {
    let stage = Stage::new(&[]);
    for operation in ["c_stands_again", "stands_again"] {
        let mut begun = stage.begin(operation, Value::Null);
        for run in 1..=3_i64 {
            let event = Utc::now();
            processes::signal(stage.pid_of(begun.worker), Signal::SIGKILL);
            stage.place.until("it has another run", || stage.place.task(begun.task).run == run + 1);
            assert!(!processes::is_alive(begun.pid), "the earlier one has ended");
            let sql = "select outcome || ': ' || reason, finished_at from rework.run
                        where task = $1 and run = $2";
            let rows = stage.place.session().rows(sql, &[&begun.task, &run]);
            assert_eq!(rows[0].get::<_, &str>(0), "lost: worker died: signal 9 (killed)");
            let took = rows[0].get::<_, chrono::DateTime<Utc>>(1) - event;
            assert!(took.as_seconds_f64() <= 1.0, "recorded after {took}");
            begun = stage.begun(begun.task);
            assert_eq!(stage.place.task(begun.task).attempt, 1, "no attempt was used");
        }
        let event = Utc::now();
        processes::signal(stage.pid_of(begun.worker), Signal::SIGKILL);
        let lost = ended(&stage, &begun, event, State::Lost);
        assert_eq!(lost, ("worker died: signal 9 (killed)".to_owned(), 4, 4));
    }
    stage.leave();
}

#[test]
fn what_was_claimed_and_had_not_begun_runs_elsewhere() {
    let stage = Stage::new(&[]);
    let program = stage.place.folder().join("operations");
    let gate = stage.place.folder().join("closed");
    let script = format!(
        "#!/bin/sh\nwhile [ -e {} ]; do sleep 0.01; done\nexec {}\n",
        gate.display(),
        fixture().display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    stage.place.register([&program]);
    // The next registration of the same operations has a new revision: no runner of it is warm.
    fs::write(&gate, "").unwrap();
    let task = stage.place.schedule("double", 21);
    let claimed = stage.place.reaches(task, State::Running);
    stage.place.until("its runner starts", || starting(&stage, &program) > 0);
    assert!(claimed.started_at.is_none(), "its code has not begun");
    let event = Utc::now();
    processes::signal(stage.pid_of(claimed.worker.unwrap()), Signal::SIGKILL);
    stage.place.until("somebody else has it", || stage.place.task(task).run == 2);
    assert!(starting(&stage, &program) <= 1, "the first runner has ended");
    let sql = "select outcome, reason, started_at is null, finished_at from rework.run
                where task = $1 and run = 1";
    let rows = stage.place.session().rows(sql, &[&task]);
    assert_eq!(rows[0].get::<_, &str>(0), "unbegun");
    assert_eq!(rows[0].get::<_, &str>(1), "worker died: signal 9 (killed), before the code began");
    assert!(rows[0].get::<_, bool>(2));
    let took = rows[0].get::<_, chrono::DateTime<Utc>>(3) - event;
    assert!(took.as_seconds_f64() <= 1.0, "recorded after {took}");
    fs::remove_file(&gate).unwrap();
    let done = stage.place.done(task);
    assert_eq!((done.run, done.attempt), (2, 1), "no attempt was used");
    assert_eq!(done.output, json!(42));
    assert_ne!(done.worker, claimed.worker);
    stage.leave();
}

#[test]
fn a_worker_that_does_not_move_can_be_killed() {
    let stage = Stage::new(&[]);
    for operation in ["c_stands", "stands"] {
        let begun = stage.begin(operation, Value::Null);
        wait_for_whole_lines(&stage, &begun);
        processes::signal(stage.pid_of(begun.worker), Signal::SIGSTOP);
        let event = Utc::now();
        stage.place.rework(["kill-worker", &begun.worker.to_string()]).ok();
        let aborted = ended(&stage, &begun, event, State::Aborted);
        assert_eq!(aborted, ("aborted by kill-worker".to_owned(), 1, 0));
    }
    stage.leave();
}

#[test]
fn kill_worker_aborts_also_what_could_be_repeated() {
    let stage = Stage::new(&[]);
    let begun = stage.begin("c_stands_again", Value::Null);
    wait_for_whole_lines(&stage, &begun);
    let event = Utc::now();
    stage.place.rework(["kill-worker", &begun.worker.to_string()]).ok();
    let aborted = ended(&stage, &begun, event, State::Aborted);
    assert_eq!(aborted, ("aborted by kill-worker".to_owned(), 1, 0));
    stage.leave();
}

#[test]
fn when_the_grace_of_a_drain_is_over() {
    for rung in Rung::available() {
        let mut standing = rung.stand(&["--maxworkers", "4", "--shutdown-grace", "200ms"]);
        let place = &standing.place;
        let run = |operation: &str| {
            let task = place.schedule_many(operation, &[Value::Null])[0];
            place.until("it has begun", || !place.log(task).is_empty());
            task
        };
        let [command, function, again, function_again] =
            ["c_stands", "stands", "c_stands_again", "stands_again"].map(run);
        standing.monitor.signal(Signal::SIGTERM);
        let event = Utc::now();
        assert_eq!(standing.monitor.exit_code(), Some(0), "{}", standing.monitor.said());
        place.assert_no_process_left();
        for task in [command, function] {
            let aborted = place.task(task);
            let reason = "aborted by the monitor's shutdown";
            assert_eq!((aborted.state, aborted.reason()), (State::Aborted, reason), "{rung:?}");
            assert!((aborted.ended() - event).as_seconds_f64() <= 1.2, "{aborted:?}");
            assert_eq!(place.log(task)[1], "half", "what it wrote last is kept");
        }
        for task in [again, function_again] {
            let queued = place.task(task);
            assert_eq!((queued.state, queued.run), (State::Queued, 1), "{rung:?}");
            assert_eq!(queued.attempt, 0, "no attempt was used");
            let sql = "select outcome || ': ' || reason from rework.run where task = $1";
            let run: String = place.session().one(sql, &[&task]);
            assert_eq!(run, "drained: aborted by the monitor's shutdown");
        }
    }
}

#[test]
fn two_monitors_of_disjoint_domains_do_not_know_each_other() {
    let stage = Stage::new(&[]);
    let mut other = stage.place.awaited_monitor(&["--domain", "nondefault", "--maxworkers", "1"]);
    let there = stage.place.schedule_many("other_dom", &[json!(1)])[0];
    stage.place.done(there);
    other.kill();
    stage.place.until("its worker has left", || {
        let sql = "select count(*) from rework.worker
                    where domain = 'nondefault' and finished_at is null";
        stage.place.session().one::<i64>(sql, &[]) == 0
    });
    stage.place.done(stage.place.schedule("double", 1));
    let late = stage.place.schedule_many("other_dom", &[json!(2)])[0];
    wait::stays("nobody serves the other domain", wait::A_WHILE, || {
        stage.place.task(late).state == State::Queued
    });
    let mut next = stage.place.awaited_monitor(&["--domain", "nondefault", "--maxworkers", "1"]);
    stage.place.done(late);
    next.signal(Signal::SIGTERM);
    assert_eq!(next.exit_code(), Some(0));
    stage.leave();
}

/// Reason, run and losses of a run that ended with its worker: at once, with nothing left of it.
/// What it had begun to write was in the worker's hands alone.
#[track_caller]
fn ended(
    stage: &Stage,
    begun: &Begun,
    event: chrono::DateTime<Utc>,
    wanted: State,
) -> (String, i64, i32) {
    let task = stage.place.ended(begun.task);
    assert!(!processes::is_alive(begun.pid), "{} lives\n{}", begun.pid, stage.place.scene());
    assert_eq!(task.state, wanted, "{}\n{}", task.reason(), stage.place.scene());
    let took = task.ended() - event;
    assert!(took.as_seconds_f64() <= 1.0, "recorded after {took}\n{}", stage.place.scene());
    let sql = "select losses from rework.task where id = $1";
    let losses: i32 = stage.place.session().one(sql, &[&begun.task]);
    (task.reason().to_owned(), task.run, losses)
}

/// Waits until the beginning of the run is in the books, as it is after 100 ms.
fn wait_for_whole_lines(stage: &Stage, begun: &Begun) {
    stage
        .place
        .until("its beginning is recorded", || stage.place.task(begun.task).started_at.is_some());
}

/// How many runners of a program wait for their gate.
fn starting(stage: &Stage, program: &std::path::Path) -> usize {
    let name = program.to_string_lossy();
    let found = processes::marked(stage.place.host());
    found.iter().filter(|found| found.command.contains(&*name)).count()
}
