//! Scheduling in bulk, `schedule --many`: a task for each line, in their order, all of them or none.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::bad_input::{refused, refused_within};
use crate::support::command::Call;
use crate::support::{Installation, processes, wait};

/// An operation whose inputs have a schema: an object with a whole `number`.
const CHECKED: &str = "c_takes_a_number";

fn lines(texts: impl Iterator<Item = String>) -> String {
    texts.flat_map(|text| [text, "\n".to_owned()]).collect()
}

/// Numbers, one a line.
fn numbers(count: usize) -> String {
    lines((1..=count).map(|number| number.to_string()))
}

/// Objects that `CHECKED` takes, but those that are named.
fn checked(count: usize, other: &[(usize, &str)]) -> String {
    lines((1..=count).map(|number| match other.iter().find(|(at, _)| *at == number) {
        Some((_, text)) => (*text).to_owned(),
        None => format!("{{\"number\": {number}}}"),
    }))
}

fn place() -> Installation {
    let place = Installation::with_fixture();
    place.register([crate::support::installation::manifest("falls.toml")]);
    place
}

fn many(place: &Installation, operation: &str, lines: impl Into<Vec<u8>>) -> Call {
    place.rework(["schedule", operation, "--many", "-"]).stdin(lines)
}

fn count(place: &Installation) -> i64 {
    place.session().one("select count(*) from rework.task", &[])
}

#[test]
fn ten_thousand_lines_in_their_order() {
    let place = place();
    let file = place.folder().join("numbers.jsonl");
    std::fs::write(&file, numbers(10_000)).unwrap();
    let said = place.rework(["schedule", "double", "--many"]).args([&file]).ok();
    let ids: Vec<i64> = said.lines().iter().map(|line| line.parse().unwrap()).collect();
    assert!(ids.len() == 10_000 && ids.is_sorted(), "{} ids", ids.len());
    let sql = "select id from rework.task order by input::text::integer";
    assert_eq!(place.session().all::<i64>(sql, &[]), ids, "printed in the order of the lines");
    let sql = "select id from rework.task order by position";
    assert_eq!(place.session().all::<i64>(sql, &[]), ids, "ready in the order of the lines");
    assert!(!said.stderr().contains('\r'), "no bar where nobody looks: {said}");
    let _monitor = place.monitor(&["--maxworkers", "2"]);
    assert_eq!(place.done(ids[0]).output, 2);
    assert_eq!(place.done(ids[6_999]).output, 14_000);
}

#[test]
fn nothing_is_scheduled_where_one_line_does_not_fit() {
    let place = place();
    let hint = "nothing was scheduled";
    let lines = |bad| checked(10_000, &[(7_000, bad)]);
    for (bad, fault) in [
        ("{\"number\": \"x\"}", "`number` is \"x\", not an integer"),
        ("{\"nubmer\": 1}", "missing `number`"),
        ("{\"number\": 1", "it is not JSON: EOF while parsing an object at column 12"),
        ("{\"number\": 1} {\"number\": 2}", "trailing characters at column 15"),
        ("null", "null"),
    ] {
        let call = many(&place, CHECKED, lines(bad));
        refused(&place, call, 1, &["line 7000 of the standard input", fault, hint]);
    }
    let file = place.folder().join("lines");
    std::fs::write(&file, lines("{}")).unwrap();
    let path = file.display().to_string();
    let call = place.rework(["schedule", CHECKED, "--many", &path]);
    refused(&place, call, 1, &[&format!("line 7000 of `{path}`"), "missing `number`", hint]);
    let call = many(&place, "double", "1\n{oops\n");
    refused(&place, call, 1, &["line 2 of", "it is not JSON"]);
}

#[test]
fn files_that_hold_no_lines_of_json() {
    let place = place();
    for (path, words) in [
        ("no-such", vec!["cannot read `no-such`", "No such file"]),
        (".", vec!["cannot read `.`", "directory"]),
    ] {
        refused(&place, place.rework(["schedule", "double", "--many", path]), 1, &words);
    }
    let call = many(&place, "double", b"1\n2\n\xff\n".as_slice());
    refused(&place, call, 1, &["line 3 of", "it is not UTF-8"]);
    let call = many(&place, "double", "1\0");
    refused(&place, call, 1, &["line 1 of", "it is not JSON"]);
    let call = many(&place, "doubel", "1\n");
    refused(&place, call, 1, &["`doubel` is not registered"]);
}

#[test]
fn blank_lines_are_left_out_and_counted() {
    let place = place();
    let said = many(&place, "double", "1\n\n  \t\n \"two\" \r\n3").ok();
    assert_eq!(said.lines().len(), 3, "{said}");
    let sql = "select input::text from rework.task order by id";
    assert_eq!(place.session().all::<String>(sql, &[]), ["1", "\"two\"", "3"]);
    let call = many(&place, "double", "1\n\n\n{oops\n");
    refused(&place, call, 1, &["line 4 of"]);
    for nothing in ["", "\n\n"] {
        let said = many(&place, "double", nothing).ok();
        assert!(said.stdout().is_empty() && said.stderr().contains("no lines"), "{said}");
        assert!(many(&place, "double", nothing).args(["-q"]).ok().stderr().is_empty());
        assert_eq!(many(&place, "double", nothing).args(["-o", "json"]).ok().json(), json!([]));
    }
    assert_eq!(count(&place), 3);
}

#[test]
fn large_lines() {
    let place = place();
    let lines = |mebibytes: usize| format!("1\n\"{}\"\n3\n", "x".repeat(mebibytes << 20));
    assert_eq!(many(&place, "double", lines(9)).ok().lines().len(), 3);
    let sql = "select octet_length(input::text) from rework.task order by id";
    assert_eq!(place.session().all::<i32>(sql, &[]), [1, (9 << 20) + 2, 1]);
    place.session().run("delete from rework.task");
    let call = many(&place, "double", lines(100));
    let words = ["line 2 of", "larger than 100 MiB"];
    refused_within(&place, call, 1, &words, wait::PATIENCE);
}

#[test]
fn ids_in_the_form_that_is_asked_for() {
    let place = place();
    let _monitor = place.monitor(&["--maxworkers", "1"]);
    let ids = |options: &[&str]| {
        let said = many(&place, "double", numbers(3)).args(options).ok();
        assert!(said.stderr().is_empty(), "it is served: {said}");
        said
    };
    let first: i64 = ids(&[]).lines()[0].parse().unwrap();
    assert_eq!(ids(&["-q"]).stdout(), format!("{}\n{}\n{}\n", first + 3, first + 4, first + 5));
    assert_eq!(ids(&["-o", "json"]).json(), json!([first + 6, first + 7, first + 8]));
    assert_eq!(ids(&["-o", "jsonl"]).lines()[2], (first + 11).to_string());
}

#[test]
fn a_reader_may_leave() {
    let place = place();
    let file = place.folder().join("numbers.jsonl");
    std::fs::write(&file, numbers(20_000)).unwrap();
    let mut child = place.rework(["schedule", "double", "-q", "--many"]).args([&file]).spawn();
    let mut first = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.trim().parse::<i64>().is_ok(), "{first}");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("error"), "{said}");
    assert_eq!(count(&place), 20_000);
}

#[test]
fn options_hold_for_all_of_them() {
    let place = place();
    let options = [
        ["--priority", "-3"],
        ["--host", "alpha"],
        ["--capability", "gpu"],
        ["--metadata", "{\"by\": \"babar\"}"],
        ["--delay", "1h"],
        ["--domain", "default"],
    ];
    let said = many(&place, "double", numbers(6_000)).args(options.concat()).ok();
    let warning = "they stay queued until one does";
    assert!(said.stderr().contains(warning) && said.stderr().contains("`alpha`"), "{said}");
    let sql = "select distinct json_build_object('priority', priority, 'host', host,
                 'capabilities', capabilities, 'metadata', metadata, 'state', state,
                 'late', delayed_until - queued_at between '59 minutes' and '61 minutes')::text
                 from rework.task";
    let kept: Vec<String> = place.session().all(sql, &[]);
    let [kept] = &kept[..] else { panic!("all are alike: {kept:?}") };
    let expected = json!({
        "priority": -3, "host": "alpha", "capabilities": ["gpu"], "metadata": {"by": "babar"},
        "state": "delayed", "late": true,
    });
    assert_eq!(serde_json::from_str::<Value>(kept).unwrap(), expected);
    let at = ["--at", "2096-11-22T16:30:00Z"];
    many(&place, "double", numbers(2)).args(at).ok();
    let sql = "select count(*) from rework.task where delayed_until = '2096-11-22 16:30:00Z'";
    assert_eq!(place.session().one::<i64>(sql, &[]), 2);
}

#[test]
fn options_that_are_of_one_task() {
    let place = place();
    for (options, word) in [
        (vec!["--input", "1"], "--input"),
        (vec!["--raw", "1"], "--raw"),
        (vec!["--unique-key", "k"], "--unique-key"),
        (vec!["--wait"], "--wait"),
        (vec!["--follow"], "--follow"),
        (vec!["--number", "1"], "`--number` belongs to one input"),
    ] {
        let call = many(&place, CHECKED, "{\"number\": 1}\n").args(options);
        refused(&place, call, 2, &[word, "--many"]);
    }
}

/// A command that was given so many lines and waits for more.
fn waiting(place: &Installation, lines: usize) -> (Child, ChildStdin) {
    let options = ["schedule", "double", "--capability", "rare", "--many", "-"];
    let mut child = place.rework(options).spawn();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(numbers(lines).as_bytes()).unwrap();
    place.until("it has sent some of them", || {
        let sql = "select exists (select from pg_stat_activity where datname = current_database()
                     and state = 'idle in transaction' and query ~ 'schedule_many')";
        place.session().one(sql, &[])
    });
    (child, stdin)
}

#[test]
fn nobody_waits_for_a_file_that_has_no_end_yet() {
    let place = place();
    let (child, mut stdin) = waiting(&place, 6_000);
    assert_eq!(count(&place), 0, "all of them or none");
    place.rework(["schedule", "double", "--input", "1", "--capability", "rare"]).ok();
    stdin.write_all(b"6001\n").unwrap();
    drop(stdin);
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(count(&place), 6_002);
}

#[test]
fn what_is_interrupted_schedules_nothing() {
    let place = place();
    let (child, stdin) = waiting(&place, 6_000);
    processes::signal(i32::try_from(child.id()).unwrap(), Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    drop(stdin);
    place.until("its connection is gone", || {
        let sql = "select count(*) = 0 from pg_stat_activity where datname = current_database()
                     and application_name = 'rework schedule'";
        place.session().one(sql, &[])
    });
    assert_eq!(count(&place), 0);
}

#[test]
fn many_in_sql() {
    let place = place();
    let session = place.session();
    let ids: Vec<i64> = session.all(
        "select rework.schedule_many('raw', array['1', null, null]::json[],
                                     inputs_bytes => array[null, 'two']::bytea[])",
        &[],
    );
    assert!(ids.len() == 3 && ids.is_sorted(), "{ids:?}");
    let sql = "select coalesce(input::text, convert_from(input_bytes, 'UTF8'), 'none')
                 from rework.task order by id";
    assert_eq!(session.all::<String>(sql, &[]), ["1", "two", "none"]);
    let bytes =
        "select rework.schedule_many('raw', null, inputs_bytes => array['a', 'b']::bytea[])";
    assert_eq!(session.all::<i64>(bytes, &[]).len(), 2);
    assert_eq!(session.all::<i64>("select rework.schedule_many('raw', '{}')", &[]).len(), 0);
    let code = |sql: &str| session.try_one::<i64>(sql, &[]).unwrap_err();
    let both = "select rework.schedule_many('raw', '{1}', inputs_bytes => '{x}')";
    assert_eq!(code(both), "RW400");
    assert_eq!(code("select rework.schedule_many('nosuch', '{1}')"), "RW404");
    assert_eq!(code("select rework.schedule_many('raw', '{1}', priority => 40000)"), "RW400");
    assert_eq!(count(&place), 5);
}
