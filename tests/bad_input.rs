//! What is typed wrongly, and what is not there: an error that says what to do, the documented exit
//! code, soon, without a change in the database and without a word of the password.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::command::{Call, Said};
use crate::support::session::Session;
use crate::support::{Installation, installation, server};

/// The longest that anybody waits to be told that it cannot be.
const SOON: Duration = Duration::from_secs(5);

/// Runs a command that has to be refused.
#[track_caller]
pub(crate) fn refused(place: &Installation, call: Call, code: i32, words: &[&str]) -> Said {
    refused_within(place, call, code, words, SOON)
}

/// As `refused`, where something has to be waited for.
#[track_caller]
pub(crate) fn refused_within(
    place: &Installation,
    call: Call,
    code: i32,
    words: &[&str],
    soon: Duration,
) -> Said {
    let before = all_rows(place.session());
    let begun = Instant::now();
    let said = call.run();
    let took = begun.elapsed();
    assert_eq!(said.code(), Some(code), "the exit code of {said}");
    let text = said.stderr();
    assert!(text.contains("error: ") && text.contains("hint: "), "{said}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in {said}");
    }
    assert!(said.stdout().is_empty(), "{said}");
    let password = String::from_utf8(server::config().get_password().unwrap().to_vec()).unwrap();
    let secrets = [password.as_str(), WRONG_PASSWORD];
    assert!(!secrets.iter().any(|secret| text.contains(secret)), "a password is in {said}");
    assert!(took < soon, "after {took:?}: {said}");
    assert_eq!(all_rows(place.session()), before, "something was written by {said}");
    said
}

/// A password that opens nothing.
pub(crate) const WRONG_PASSWORD: &str = "s3cret-and-wrong";

/// Every row of every table, as one text.
fn all_rows(session: &Session) -> Vec<(String, Option<String>)> {
    let sql = "select tablename::text from pg_tables where schemaname = 'rework' order by 1";
    let tables: Vec<String> = session.all(sql, &[]);
    let rows = |table: String| {
        let sql =
            format!("select string_agg(t::text, chr(10) order by t::text) from rework.{table} t");
        let rows = session.one(&sql, &[]);
        (table, rows)
    };
    tables.into_iter().map(rows).collect()
}

/// The fixture, manifests, and one name in two domains.
fn place() -> Installation {
    let place = Installation::new();
    let twins = place.folder().join("twins.toml");
    let text = "domain = \"other\"\n[[operation]]\nname = \"double\"\nshell = \"true\"\n";
    std::fs::write(&twins, text).unwrap();
    place.register([installation::fixture(), installation::manifest("falls.toml"), twins]);
    place
}

#[test]
fn operations_that_are_not_there() {
    let place = place();
    for (args, words) in [
        (vec!["schedule", "doubel"], vec!["`doubel` is not registered", "list-operations"]),
        (vec!["schedule", "number", "--domain", "nope"], vec!["in domain `nope`"]),
        (
            vec!["schedule", "double"],
            vec!["`double`", "several domains: default, other", "--domain"],
        ),
        (vec!["schedule", "doubel", "--help"], vec!["`doubel` is not registered"]),
        (vec!["schedule", "doubel", "--wait"], vec!["`doubel` is not registered"]),
    ] {
        refused(&place, place.rework(args), 1, &words);
    }
}

#[test]
fn input_that_does_not_fit() {
    let place = place();
    for (args, words) in [
        (vec!["flood", "--input", "\"x\""], vec!["`flood`: it is \"x\", not an integer", "--help"]),
        (vec!["flood", "--input", "{oops"], vec!["not JSON"]),
        (vec!["flood", "--input", "@no-such"], vec!["cannot read `no-such`"]),
        (vec!["flood", "--raw", "abc"], vec!["takes JSON"]),
        (vec!["flood"], vec!["`flood`"]),
        (vec!["c_takes_a_number"], vec!["missing `number`"]),
        (vec!["c_takes_a_number", "--number", "x"], vec!["`--number` takes integer, not `x`"]),
        (vec!["c_takes_a_number", "--nubmer", "1"], vec!["did you mean `--number`?"]),
        (vec!["c_takes_a_number", "--input", "{\"number\": 1.5}"], vec!["1.5, not an integer"]),
        (vec!["c_takes_a_number", "--input", "[]"], vec!["not an object"]),
    ] {
        let args = [vec!["schedule"], args].concat();
        let code = place.rework(&args).run().code();
        assert!(matches!(code, Some(1 | 2)), "{args:?}: {code:?}");
        refused(&place, place.rework(&args), code.unwrap(), &words);
    }
    let piped = place.rework(["schedule", "flood", "--input", "-"]).stdin("{\"a\":");
    refused(&place, piped, 1, &["not JSON"]);
}

#[test]
fn input_that_is_too_large() {
    let place = place();
    let large = place.folder().join("large.json");
    std::fs::write(&large, json!("x".repeat(100 << 20)).to_string()).unwrap();
    let given = format!("@{}", large.display());
    let call = place.rework(["schedule", "introduces_itself", "--input", &given]);
    refused_within(&place, call, 1, &["larger than 100 MiB"], SOON * 6);
}

#[test]
fn tasks_and_workers_that_are_not_there() {
    let place = place();
    for command in ["show-task", "log-task", "abort-task", "retry-task", "wait-task"] {
        let call = place.rework([command, "4711"]);
        refused(&place, call, 1, &["there is no task 4711", "rework list-tasks"]);
        refused(&place, place.rework([command, "nonsense"]), 2, &["nonsense", command]);
        refused(&place, place.rework([command]), 2, &["<TASK>", command]);
    }
    refused(&place, place.rework(["log-task", "4711", "--follow"]), 1, &["there is no task 4711"]);
    refused(&place, place.rework(["abort-task", "4711", "--wait"]), 1, &["there is no task 4711"]);
    for command in ["kill-worker", "shutdown-worker"] {
        let call = place.rework([command, "4711"]);
        refused(&place, call, 1, &["there is no worker 4711", "rework list-workers"]);
    }
}

#[test]
fn what_has_ended_is_told() {
    let place = place();
    let task = place.rework(["schedule", "noinput"]).ok().id().to_string();
    place.rework(["abort-task", &task]).ok();
    let said = place.rework(["abort-task", &task]).exits(1);
    assert!(said.stderr().contains("it is aborted"), "{said}");
    place.rework(["retry-task", &task]).ok();
    let said = place.rework(["retry-task", &task]).exits(1);
    assert!(said.stderr().contains("queued"), "{said}");
}

#[test]
fn what_is_typed_wrongly() {
    let place = place();
    for (line, words) in [
        ("nonsense", "unrecognized subcommand 'nonsense'"),
        ("list-task", "list-tasks"),
        ("list-tasks --nope", "--nope"),
        ("list-tasks -o xml", "jsonl"),
        ("list-tasks --state nope", "nope"),
        ("schedule", "<OPERATION>"),
        ("schedule noinput --delay soon", "`5m`"),
        ("schedule noinput --delay 5", "`5m`"),
        ("schedule noinput --delay -5s", "-5"),
        ("schedule noinput --at tomorrow", "2026-11-22"),
        ("schedule noinput --at 2026-13-45", "2026-11-22"),
        ("schedule noinput --priority high", "high"),
        ("schedule noinput --priority 99999", "99999"),
        ("schedule noinput --metadata x", "not JSON"),
        ("log-task 1 --since soon", "`5m`"),
        ("log-task 1 --level nope", "WARNING"),
        ("wait-task 1 --timeout soon", "`5m`"),
        ("vacuum", "--tasks"),
        ("monitor --maxworkers 0", "--maxworkers"),
        ("monitor --maxworkers many", "many"),
        ("monitor --maxmem much", "`2GiB`"),
        ("monitor --start-timeout soon", "`5m`"),
        ("monitor --shutdown-grace never", "`5m`"),
        ("monitor --containment nope", "auto, cgroup, processes"),
        ("monitor --domain=", "--domain"),
        ("monitor --lease soon", "`5m`"),
        ("monitor --lease 10ms", "between 1s and 1h"),
        ("monitor --listen nowhere", "nowhere"),
        ("monitor --listen-dsn postgres://me:secret@db/x", "REWORK_LISTEN_DSN"),
        ("init-db --grant everything=me", "`schedule=ROLE`, `read=ROLE` or `run=ROLE`"),
        ("init-db --grant run", "`run=ROLE`"),
        ("prepare noinput", "--rule"),
        ("prepare noinput --rule x --overlap never", "`allow` or `skip`"),
        ("scheduled-plan --hours 0", "--hours"),
        ("unprepare", "SCHEDULE"),
    ] {
        refused(&place, place.rework(line.split(' ')), 2, &[words]);
    }
}

#[test]
fn a_worker_is_not_started_by_hand() {
    let place = place();
    refused(&place, place.rework(["worker", "default"]), 1, &["started by a monitor"]);
}
