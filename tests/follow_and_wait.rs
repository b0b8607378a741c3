//! Commands that wait for a task: `log-task --follow`, `schedule --follow`, `schedule --wait` and `wait-task`.

use std::io::{BufRead as _, BufReader};
use std::thread;

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::Value;

use crate::support::{Installation, processes, wait};

#[test]
fn follow_prints_lines_within_a_second_and_ends_with_the_task() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule("prints_slowly", 40);
    let mut follower =
        setup.rework(["log-task", &task.to_string(), "--follow", "-o", "jsonl"]).spawn();
    let stdout = BufReader::new(follower.stdout.take().unwrap());
    // Each line with the time at which it was received.
    let reader = thread::spawn(move || -> Vec<(Value, DateTime<Utc>)> {
        let line = |line: std::io::Result<String>| serde_json::from_str(&line.unwrap()).unwrap();
        stdout.lines().map(|text| (line(text), Utc::now())).collect()
    });
    let status = wait::until_some(
        "the command ends",
        wait::TIMEOUT,
        || setup.diagnostics(),
        || follower.try_wait().unwrap(),
    );
    assert!(status.success());
    assert_eq!(setup.task(task).state, State::Done, "the command ended before the task");
    let lines = reader.join().unwrap();
    let texts: Vec<_> = lines.iter().map(|(line, _)| line["text"].as_str().unwrap()).collect();
    let expected: Vec<_> = (1..=40).map(|number| format!("number {number}")).collect();
    assert_eq!(texts, expected);
    let mut delays: Vec<f64> = lines
        .iter()
        .map(|(line, received)| {
            let written: DateTime<Utc> = line["at"].as_str().unwrap().parse().unwrap();
            (*received - written).as_seconds_f64()
        })
        .collect();
    delays.sort_by(f64::total_cmp);
    assert!(delays[delays.len() / 2] < 1.0, "delays in seconds: {delays:?}");
}

#[test]
fn ctrl_c_ends_the_follow_command_and_not_the_task() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let mut follower = setup.rework(["schedule", "forever", "--follow"]).spawn();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let task: i64 = lines.next().unwrap().unwrap().parse().unwrap();
    assert!(lines.next().unwrap().unwrap().ends_with(": for ever"));
    processes::signal(i32::try_from(follower.id()).unwrap(), Signal::SIGINT);
    let status = wait::until_some(
        "the command ends",
        wait::TIMEOUT,
        || setup.diagnostics(),
        || follower.try_wait().unwrap(),
    );
    assert_eq!(status.code(), Some(130));
    assert_eq!(setup.task(task).state, State::Running);
}

#[test]
fn the_exit_code_of_wait_says_how_the_tasks_ended() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    let wait = |operation: &str, code| {
        let output = setup.rework(["schedule", operation, "--wait"]).run_expecting(code);
        output.stdout().lines().next().unwrap().parse::<i64>().unwrap()
    };
    wait("noinput", 0);
    let failed = wait("boom", 3);
    let task = setup.schedule_without_input("forever");
    setup.rework(["wait-task", &task.to_string(), "--timeout", "200ms"]).run_expecting(124);
    assert_eq!(setup.task(task).state, State::Running);
    setup.rework(["abort-task", &task.to_string()]).run_ok();
    setup.rework(["wait-task", &task.to_string()]).run_expecting(4);
    let both = [failed.to_string(), task.to_string()];
    setup.rework(["wait-task"]).args(&both).run_expecting(3);
}
