//! Logs of tasks: each line that a run writes is stored once, in order, for the right task and without changes, up to a
//! limit. Further tests are about structured events, parts of a log, and progress.

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::scale::count;
use crate::support::{Installation, wait};

#[test]
fn all_lines_of_a_long_output_are_stored_in_order() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let lines = count(20_000, 100_000);
    let task = setup.schedule("flood", lines);
    assert_eq!(setup.wait_until_ended_within(task, wait::TIMEOUT * 4).state, State::Done);
    let raw = setup.rework(["log-task", &task.to_string(), "--raw"]).run_ok();
    let expected = (1..=lines).map(|line| format!("line {line}"));
    // Not `assert_eq!`, which would print all lines.
    assert!(expected.eq(raw.lines()), "{} lines of {lines}", raw.lines().len());
}

#[test]
fn bytes_that_are_not_text_are_stored_unchanged() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_done(setup.schedule_without_input("odd_bytes")).id.to_string();
    let raw = |stream: &str| {
        let output = setup.rework(["log-task", &task, "--raw", "--stream", stream]).run_ok();
        output.bytes().to_vec()
    };
    assert_eq!(raw("stdout"), b"nul \0 and \xff\n\xfe tail");
    assert_eq!(raw("stderr"), b"\0\n");
    let json =
        setup.rework(["log-task", &task, "-o", "json", "--stream", "stdout"]).run_ok().json();
    assert_eq!(json[0]["base64"], "bnVsIAAgYW5kIP8=");
}

#[test]
fn each_line_is_stored_for_the_task_that_wrote_it() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let tasks = setup.schedule_many("writes_own_id", &vec![Value::Null; count(100, 1000)]);
    for task in &tasks {
        setup.wait_until_done(*task);
        let sql = "select convert_from(line, 'UTF8') from rework.log where task = $1 and stream = $2 order by id";
        let lines = |stream: &str| setup.session().query_values::<String>(sql, &[task, &stream]);
        let expected = ["own", "child", "last"].map(|source| format!("{source} {task}"));
        assert_eq!(lines("stdout"), expected);
        assert_eq!(lines("stderr"), [format!("stderr {task}")]);
    }
    // A single worker ran all tasks, so it had to separate their lines.
    let sql = "select count(distinct worker) from rework.task";
    assert_eq!(setup.session().query_value::<i64>(sql, &[]), 1);
}

#[test]
fn output_before_a_kill_is_stored() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.schedule_without_input("half_a_line");
    setup.wait_until_logged(task, "a whole line");
    let id = task.to_string();
    setup.rework(["abort-task", &id, "--wait"]).run_ok();
    assert_eq!(setup.task(task).state, State::Aborted);
    let raw = setup.rework(["log-task", &id, "--raw"]).run_ok();
    assert_eq!(raw.stdout(), "a whole line\nhalf a line");
}

#[test]
fn the_log_of_a_run_is_limited_to_50_mib() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_done(setup.schedule("megabytes", 51)).id;
    let sql =
        "select convert_from(line, 'UTF8') from rework.log where task = $1 and stream = 'rework'";
    let messages: Vec<String> = setup.session().query_values(sql, &[&task]);
    // Each of the 51 lines has one MiB and a newline. 50 of them are stored without the last 50 bytes.
    let cut_bytes = 50 + (1 << 20) + 1;
    let expected = format!(
        "the log of a run is limited to 50 MiB: 2 lines ({cut_bytes} bytes) more were written and not kept"
    );
    assert_eq!(messages, [expected]);
    let sql = "select sum(octet_length(line) + whole::integer) from rework.log
                where task = $1 and stream = 'stdout'";
    assert_eq!(setup.session().query_value::<i64>(sql, &[&task]), 50 << 20);
}

#[test]
fn structured_logs_have_a_logger_and_a_level() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_done(setup.schedule_without_input("logs")).id.to_string();
    let lines = setup.rework(["log-task", &task, "-o", "json"]).run_ok().json();
    let events: Vec<(&str, &str)> = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["level"].as_str().unwrap(), line["text"].as_str().unwrap()))
        .collect();
    let levels: Vec<&str> = events.iter().map(|(level, _)| *level).collect();
    assert_eq!(
        levels,
        ["ERROR", "WARNING", "INFO"],
        "not the events of the default level INFO: {events:?}"
    );
    assert!(events[1].1.contains("a warning") && events[1].1.contains("rows=3"), "{events:?}");
    assert_eq!(lines[0]["stream"], "fixture_operations::log_output");
    let warnings_and_errors =
        setup.rework(["log-task", &task, "--level", "warning"]).run_ok().lines();
    assert_eq!(warnings_and_errors.len(), 2);
}

#[test]
fn log_task_can_print_a_part_of_a_log() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_done(setup.schedule("flood", 20)).id.to_string();
    let raw =
        |args: &[&str]| setup.rework(["log-task", &task, "--raw"]).args(args).run_ok().lines();
    assert_eq!(raw(&["--tail", "2"]), ["line 19", "line 20"]);
    let lines = setup.rework(["log-task", &task, "-o", "json"]).run_ok().json();
    let fifth = lines[4]["id"].to_string();
    assert_eq!(raw(&["--fromid", &fifth])[0], "line 6");
    assert_eq!(raw(&["--stream", "stderr"]), Vec::<String>::new());
    assert_eq!(raw(&["--since", "1h"]).len(), 20);
    let output = setup.rework(["log-task", "4711"]).run_expecting(1);
    assert!(output.stderr().contains("there is no task 4711"), "{output}");
}

#[test]
fn the_last_progress_of_a_run_is_stored() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let task = setup.wait_until_done(setup.schedule("steps", 3));
    let expected = json!({"done": 3.0, "total": 3.0, "message": "stepping"});
    assert_eq!(task.progress, expected);
}
