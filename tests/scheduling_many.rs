//! `schedule --many` and `rework.schedule_many`: one task for each line, in the order of the lines, and either all
//! tasks are scheduled or none.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::bad_input::{assert_refused, assert_refused_within};
use crate::support::command::TestCommand;
use crate::support::{Installation, processes, wait};

/// An operation with an input schema: its input is an object with an integer `number`.
const OPERATION_WITH_SCHEMA: &str = "shell_takes_number";

fn lines(texts: impl Iterator<Item = String>) -> String {
    texts.flat_map(|text| [text, "\n".to_owned()]).collect()
}

/// Returns the numbers from 1 to `count`, one in each line.
fn numbers(count: usize) -> String {
    lines((1..=count).map(|number| number.to_string()))
}

/// Returns `count` lines with valid inputs of `OPERATION_WITH_SCHEMA`, in which these lines are replaced.
fn inputs_with_schema(count: usize, replaced: &[(usize, &str)]) -> String {
    lines((1..=count).map(|number| match replaced.iter().find(|(line, _)| *line == number) {
        Some((_, text)) => (*text).to_owned(),
        None => format!("{{\"number\": {number}}}"),
    }))
}

fn setup() -> Installation {
    let setup = Installation::with_fixture();
    setup.register([crate::support::installation::manifest_path("ends_on_demand.toml")]);
    setup
}

/// Prepares `schedule --many` with these lines on standard input.
fn many(setup: &Installation, operation: &str, lines: impl Into<Vec<u8>>) -> TestCommand {
    setup.rework(["schedule", operation, "--many", "-"]).stdin(lines)
}

fn count_tasks(setup: &Installation) -> i64 {
    setup.session().query_value("select count(*) from rework.task", &[])
}

#[test]
fn tasks_have_the_order_of_their_lines() {
    let setup = setup();
    let file = setup.folder().join("numbers.jsonl");
    std::fs::write(&file, numbers(10_000)).unwrap();
    let output = setup.rework(["schedule", "double", "--many"]).args([&file]).run_ok();
    let ids: Vec<i64> = output.lines().iter().map(|line| line.parse().unwrap()).collect();
    assert!(ids.len() == 10_000 && ids.is_sorted(), "{} ids", ids.len());
    let sql = "select id from rework.task order by input::text::integer";
    assert_eq!(
        setup.session().query_values::<i64>(sql, &[]),
        ids,
        "ids are printed in the order of the lines"
    );
    let sql = "select id from rework.task order by position";
    assert_eq!(
        setup.session().query_values::<i64>(sql, &[]),
        ids,
        "tasks are queued in the order of the lines"
    );
    assert!(
        !output.stderr().contains('\r'),
        "no progress bar if standard error is not a terminal: {output}"
    );
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    assert_eq!(setup.wait_until_done(ids[0]).output, 2);
    assert_eq!(setup.wait_until_done(ids[6_999]).output, 14_000);
}

#[test]
fn one_invalid_line_prevents_all_tasks() {
    let setup = setup();
    let result = "nothing was scheduled";
    let lines = |invalid| inputs_with_schema(10_000, &[(7_000, invalid)]);
    for (invalid, error) in [
        ("{\"number\": \"x\"}", "`number` is \"x\", not an integer"),
        ("{\"nubmer\": 1}", "missing `number`"),
        ("{\"number\": 1", "is not JSON: EOF while parsing an object at column 12"),
        ("{\"number\": 1} {\"number\": 2}", "trailing characters at column 15"),
        ("null", "null"),
    ] {
        let call = many(&setup, OPERATION_WITH_SCHEMA, lines(invalid));
        assert_refused(&setup, call, 1, &["line 7000 of standard input", error, result]);
    }
    let file = setup.folder().join("lines");
    std::fs::write(&file, lines("{}")).unwrap();
    let path = file.display().to_string();
    let call = setup.rework(["schedule", OPERATION_WITH_SCHEMA, "--many", &path]);
    assert_refused(
        &setup,
        call,
        1,
        &[&format!("line 7000 of `{path}`"), "missing `number`", result],
    );
    let call = many(&setup, "double", "1\n{oops\n");
    assert_refused(&setup, call, 1, &["line 2 of", "is not JSON"]);
}

#[test]
fn unreadable_files_and_lines_that_are_not_json_are_refused() {
    let setup = setup();
    for (path, message_parts) in [
        ("no-such", vec!["cannot read `no-such`", "No such file"]),
        (".", vec!["cannot read `.`", "directory"]),
    ] {
        assert_refused(
            &setup,
            setup.rework(["schedule", "double", "--many", path]),
            1,
            &message_parts,
        );
    }
    let call = many(&setup, "double", b"1\n2\n\xff\n".as_slice());
    assert_refused(&setup, call, 1, &["line 3 of", "the line is not UTF-8"]);
    let call = many(&setup, "double", "1\0");
    assert_refused(&setup, call, 1, &["line 1 of", "is not JSON"]);
    let call = many(&setup, "doubel", "1\n");
    assert_refused(&setup, call, 1, &["`doubel` is not registered"]);
}

#[test]
fn blank_lines_are_skipped_but_counted_in_line_numbers() {
    let setup = setup();
    let output = many(&setup, "double", "1\n\n  \t\n \"two\" \r\n3").run_ok();
    assert_eq!(output.lines().len(), 3, "{output}");
    let sql = "select input::text from rework.task order by id";
    assert_eq!(setup.session().query_values::<String>(sql, &[]), ["1", "\"two\"", "3"]);
    let call = many(&setup, "double", "1\n\n\n{oops\n");
    assert_refused(&setup, call, 1, &["line 4 of"]);
    for empty in ["", "\n\n"] {
        let output = many(&setup, "double", empty).run_ok();
        assert!(output.stdout().is_empty() && output.stderr().contains("no lines"), "{output}");
        assert!(many(&setup, "double", empty).args(["-q"]).run_ok().stderr().is_empty());
        assert_eq!(many(&setup, "double", empty).args(["-o", "json"]).run_ok().json(), json!([]));
    }
    assert_eq!(count_tasks(&setup), 3);
}

#[test]
fn a_line_may_have_up_to_100_mebibytes() {
    let setup = setup();
    let lines = |mebibytes: usize| format!("1\n\"{}\"\n3\n", "x".repeat(mebibytes << 20));
    assert_eq!(many(&setup, "double", lines(9)).run_ok().lines().len(), 3);
    let sql = "select octet_length(input::text) from rework.task order by id";
    assert_eq!(setup.session().query_values::<i32>(sql, &[]), [1, (9 << 20) + 2, 1]);
    setup.session().execute("delete from rework.task");
    let call = many(&setup, "double", lines(100));
    let message_parts = ["line 2 of", "larger than 100 MiB"];
    assert_refused_within(&setup, call, 1, &message_parts, wait::TIMEOUT);
}

#[test]
fn ids_are_printed_in_the_requested_format() {
    let setup = setup();
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let ids = |options: &[&str]| {
        let output = many(&setup, "double", numbers(3)).args(options).run_ok();
        assert!(output.stderr().is_empty(), "no warning: a monitor serves the operation: {output}");
        output
    };
    let first: i64 = ids(&[]).lines()[0].parse().unwrap();
    assert_eq!(ids(&["-q"]).stdout(), format!("{}\n{}\n{}\n", first + 3, first + 4, first + 5));
    assert_eq!(ids(&["-o", "json"]).json(), json!([first + 6, first + 7, first + 8]));
    assert_eq!(ids(&["-o", "jsonl"]).lines()[2], (first + 11).to_string());
}

#[test]
fn all_lines_are_scheduled_if_the_reader_of_the_ids_exits() {
    let setup = setup();
    let file = setup.folder().join("numbers.jsonl");
    std::fs::write(&file, numbers(20_000)).unwrap();
    let mut child = setup.rework(["schedule", "double", "-q", "--many"]).args([&file]).spawn();
    let mut first = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.trim().parse::<i64>().is_ok(), "{first}");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !stderr.contains("error"), "{stderr}");
    assert_eq!(count_tasks(&setup), 20_000);
}

#[test]
fn options_apply_to_all_tasks() {
    let setup = setup();
    let options = [
        ["--priority", "-3"],
        ["--host", "alpha"],
        ["--capability", "gpu"],
        ["--metadata", "{\"by\": \"babar\"}"],
        ["--delay", "1h"],
        ["--domain", "default"],
    ];
    let output = many(&setup, "double", numbers(6_000)).args(options.concat()).run_ok();
    let warning = "they stay queued until one does";
    assert!(output.stderr().contains(warning) && output.stderr().contains("`alpha`"), "{output}");
    let sql = "select distinct json_build_object('priority', priority, 'host', host,
                 'capabilities', capabilities, 'metadata', metadata, 'state', state,
                 'late', delayed_until - queued_at between '59 minutes' and '61 minutes')::text
                 from rework.task";
    let properties: Vec<String> = setup.session().query_values(sql, &[]);
    let [properties] = &properties[..] else { panic!("the tasks differ: {properties:?}") };
    let expected = json!({
        "priority": -3, "host": "alpha", "capabilities": ["gpu"], "metadata": {"by": "babar"},
        "state": "delayed", "late": true,
    });
    assert_eq!(serde_json::from_str::<Value>(properties).unwrap(), expected);
    let at = ["--at", "2096-11-22T16:30:00Z"];
    many(&setup, "double", numbers(2)).args(at).run_ok();
    let sql = "select count(*) from rework.task where delayed_until = '2096-11-22 16:30:00Z'";
    assert_eq!(setup.session().query_value::<i64>(sql, &[]), 2);
}

#[test]
fn options_of_a_single_task_cannot_be_combined_with_many() {
    let setup = setup();
    for (options, message) in [
        (vec!["--input", "1"], "--input"),
        (vec!["--raw", "1"], "--raw"),
        (vec!["--unique-key", "k"], "--unique-key"),
        (vec!["--wait"], "--wait"),
        (vec!["--follow"], "--follow"),
        (vec!["--number", "1"], "`--number` cannot be combined with `--many`"),
    ] {
        let call = many(&setup, OPERATION_WITH_SCHEMA, "{\"number\": 1}\n").args(options);
        assert_refused(&setup, call, 2, &[message, "--many"]);
    }
}

/// Starts a command, writes `lines` lines to its standard input, and waits until it has sent a part of them to the
/// server. The command then waits for more lines.
fn start_with_open_input(setup: &Installation, lines: usize) -> (Child, ChildStdin) {
    let options = ["schedule", "double", "--capability", "rare", "--many", "-"];
    let mut child = setup.rework(options).spawn();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(numbers(lines).as_bytes()).unwrap();
    setup.wait_until("the command has sent some lines", || {
        let sql = "select exists (select from pg_stat_activity where datname = current_database()
                     and state = 'idle in transaction' and query ~ 'schedule_many')";
        setup.session().query_value(sql, &[])
    });
    (child, stdin)
}

#[test]
fn other_commands_do_not_wait_for_a_command_with_open_input() {
    let setup = setup();
    let (child, mut stdin) = start_with_open_input(&setup, 6_000);
    assert_eq!(count_tasks(&setup), 0, "no task is visible before the end of the input");
    setup.rework(["schedule", "double", "--input", "1", "--capability", "rare"]).run_ok();
    stdin.write_all(b"6001\n").unwrap();
    drop(stdin);
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(count_tasks(&setup), 6_002);
}

#[test]
fn an_interrupted_command_schedules_no_task() {
    let setup = setup();
    let (child, stdin) = start_with_open_input(&setup, 6_000);
    processes::signal(i32::try_from(child.id()).unwrap(), Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    drop(stdin);
    setup.wait_until("the connection of the command is closed", || {
        let sql = "select count(*) = 0 from pg_stat_activity where datname = current_database()
                     and application_name = 'rework schedule'";
        setup.session().query_value(sql, &[])
    });
    assert_eq!(count_tasks(&setup), 0);
}
