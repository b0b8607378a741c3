//! What a run leaves: every line that it wrote, in order, its own, to the byte, up to a limit.

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::scale::count;
use crate::support::{Installation, wait};

#[test]
fn a_flood_is_all_there_and_in_order() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let lines = count(20_000, 100_000);
    let task = place.schedule("flood", lines);
    assert_eq!(place.ended_within(task, wait::PATIENCE * 4).state, State::Done);
    let raw = place.rework(["log-task", &task.to_string(), "--raw"]).ok();
    let expected = (1..=lines).map(|line| format!("line {line}"));
    // Not `assert_eq`: nobody wants to read all of it.
    assert!(expected.eq(raw.lines()), "{} lines of {lines}", raw.lines().len());
}

#[test]
fn bytes_that_are_no_text_come_back() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.done(place.schedule_plain("odd_bytes")).id.to_string();
    let raw = |stream: &str| {
        let said = place.rework(["log-task", &task, "--raw", "--stream", stream]).ok();
        said.bytes().to_vec()
    };
    assert_eq!(raw("stdout"), b"nul \0 and \xff\n\xfe tail");
    assert_eq!(raw("stderr"), b"\0\n");
    let json = place.rework(["log-task", &task, "-o", "json", "--stream", "stdout"]).ok().json();
    assert_eq!(json[0]["base64"], "bnVsIAAgYW5kIP8=");
}

#[test]
fn every_line_is_under_its_own_task() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let tasks = place.schedule_many("number", &vec![Value::Null; count(100, 1000)]);
    for task in &tasks {
        place.done(*task);
        let sql = "select convert_from(line, 'UTF8') from rework.log where task = $1 and stream = $2 order by id";
        let written = |stream: &str| place.session().all::<String>(sql, &[task, &stream]);
        let expected = ["own", "child", "rest"].map(|who| format!("{who} {task}"));
        assert_eq!(written("stdout"), expected);
        assert_eq!(written("stderr"), [format!("beside {task}")]);
    }
    let sql = "select count(distinct worker) from rework.task";
    assert_eq!(place.session().one::<i64>(sql, &[]), 1);
}

#[test]
fn what_was_written_before_a_kill_is_kept() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.schedule_plain("half_a_line");
    place.writes(task, "a whole line");
    let id = task.to_string();
    place.rework(["abort-task", &id, "--wait"]).ok();
    assert_eq!(place.task(task).state, State::Aborted);
    let raw = place.rework(["log-task", &id, "--raw"]).ok();
    assert_eq!(raw.stdout(), "a whole line\nhalf a line");
}

#[test]
fn a_log_is_limited_with_one_mark() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.done(place.schedule("megabytes", 53)).id;
    let sql =
        "select convert_from(line, 'UTF8') from rework.log where task = $1 and stream = 'rework'";
    let marks: Vec<String> = place.session().all(sql, &[&task]);
    assert_eq!(marks.len(), 1, "{marks:?}");
    assert!(marks[0].starts_with("the log of a run is limited to 50 MiB: "), "{marks:?}");
    let sql = "select sum(octet_length(line)) from rework.log where task = $1";
    let kept: i64 = place.session().one(sql, &[&task]);
    assert!(
        (48 << 20..=50 << 20).contains(&(kept - i64::try_from(marks[0].len()).unwrap())),
        "{kept}"
    );
}

#[test]
fn structured_logs_have_a_logger_and_a_level() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.done(place.schedule_plain("logs")).id.to_string();
    let lines = place.rework(["log-task", &task, "-o", "json"]).ok().json();
    let seen: Vec<(&str, &str)> = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["level"].as_str().unwrap(), line["text"].as_str().unwrap()))
        .collect();
    let levels: Vec<&str> = seen.iter().map(|(level, _)| *level).collect();
    assert_eq!(levels, ["ERROR", "WARNING", "INFO"], "and no detail: {seen:?}");
    assert!(seen[1].1.contains("a warning") && seen[1].1.contains("rows=3"), "{seen:?}");
    assert_eq!(lines[0]["stream"], "fixture_operations::writes");
    let bad = place.rework(["log-task", &task, "--level", "warning"]).ok().lines();
    assert_eq!(bad.len(), 2);
}

#[test]
fn a_part_of_a_log() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.done(place.schedule("flood", 20)).id.to_string();
    let raw = |args: &[&str]| place.rework(["log-task", &task, "--raw"]).args(args).ok().lines();
    assert_eq!(raw(&["--tail", "2"]), ["line 19", "line 20"]);
    let lines = place.rework(["log-task", &task, "-o", "json"]).ok().json();
    let fifth = lines[4]["id"].to_string();
    assert_eq!(raw(&["--fromid", &fifth])[0], "line 6");
    assert_eq!(raw(&["--stream", "stderr"]), Vec::<String>::new());
    assert_eq!(raw(&["--since", "1h"]).len(), 20);
    let said = place.rework(["log-task", "4711"]).exits(1);
    assert!(said.stderr().contains("there is no task 4711"), "{said}");
}

#[test]
fn progress_is_kept() {
    let place = Installation::with_fixture();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let task = place.done(place.schedule("steps", 3));
    let expected = json!({"done": 3.0, "total": 3.0, "message": "stepping"});
    assert_eq!(task.progress, expected);
}
