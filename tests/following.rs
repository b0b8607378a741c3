//! Following a log: not far behind, and to the end of the task.

use std::io::{BufRead as _, BufReader};
use std::thread;

use chrono::{DateTime, Utc};
use nix::sys::signal::Signal;
use rework_core::task::state::State;
use serde_json::Value;

use crate::support::{Installation, processes, wait};

#[test]
fn it_is_close_behind_and_ends_with_the_task() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule("ticks", 40);
    let mut following =
        place.rework(["log-task", &task.to_string(), "--follow", "-o", "jsonl"]).spawn();
    let stdout = BufReader::new(following.stdout.take().unwrap());
    let read = thread::spawn(move || -> Vec<(Value, DateTime<Utc>)> {
        let line = |line: std::io::Result<String>| serde_json::from_str(&line.unwrap()).unwrap();
        stdout.lines().map(|text| (line(text), Utc::now())).collect()
    });
    let status = wait::until_some(
        "it ends",
        wait::PATIENCE,
        || place.scene(),
        || following.try_wait().unwrap(),
    );
    assert!(status.success());
    assert_eq!(place.task(task).state, State::Done, "not before the task");
    let lines = read.join().unwrap();
    let texts: Vec<_> = lines.iter().map(|(line, _)| line["text"].as_str().unwrap()).collect();
    let expected: Vec<_> = (1..=40).map(|number| format!("tick {number}")).collect();
    assert_eq!(texts, expected);
    let mut behind: Vec<f64> = lines
        .iter()
        .map(|(line, seen)| {
            let written: DateTime<Utc> = line["at"].as_str().unwrap().parse().unwrap();
            (*seen - written).as_seconds_f64()
        })
        .collect();
    behind.sort_by(f64::total_cmp);
    assert!(behind[behind.len() / 2] < 1.0, "seconds behind: {behind:?}");
}

#[test]
fn ctrl_c_ends_the_following_and_not_the_task() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let mut following = place.rework(["schedule", "forever", "--follow"]).spawn();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let task: i64 = lines.next().unwrap().unwrap().parse().unwrap();
    assert!(lines.next().unwrap().unwrap().ends_with(": for ever"));
    processes::signal(i32::try_from(following.id()).unwrap(), Signal::SIGINT);
    let status = wait::until_some(
        "it ends",
        wait::PATIENCE,
        || place.scene(),
        || following.try_wait().unwrap(),
    );
    assert_eq!(status.code(), Some(130));
    assert_eq!(place.task(task).state, State::Running);
}

#[test]
fn waiting_tells_how_tasks_ended() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "2"]);
    let wait = |operation: &str, code| {
        let said = place.rework(["schedule", operation, "--wait"]).exits(code);
        said.stdout().lines().next().unwrap().parse::<i64>().unwrap()
    };
    wait("noinput", 0);
    let failed = wait("boom", 3);
    let task = place.schedule_plain("forever");
    place.rework(["wait-task", &task.to_string(), "--timeout", "200ms"]).exits(124);
    assert_eq!(place.task(task).state, State::Running);
    place.rework(["abort-task", &task.to_string()]).ok();
    place.rework(["wait-task", &task.to_string()]).exits(4);
    let both = [failed.to_string(), task.to_string()];
    place.rework(["wait-task"]).args(&both).exits(3);
}
