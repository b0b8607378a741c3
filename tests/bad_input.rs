//! Commands with wrong arguments or with names that do not exist.
//!
//! Each must print an error and a hint, exit with the documented code within a few seconds, change nothing in the
//! database, and not print a password.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::command::{CommandOutput, TestCommand};
use crate::support::session::Session;
use crate::support::{Installation, installation, server};

/// How long a command may take until it prints its error. Most take milliseconds.
const MAX_ERROR_DELAY: Duration = Duration::from_secs(5);

/// Runs a command and asserts that it is refused: it prints an error and a hint, and exits with `code`.
///
/// Also asserts that stderr contains each of `texts` and no password, that stdout is empty, and that the database did
/// not change.
#[track_caller]
pub(crate) fn assert_refused(
    setup: &Installation,
    command: TestCommand,
    code: i32,
    texts: &[&str],
) -> CommandOutput {
    assert_refused_within(setup, command, code, texts, MAX_ERROR_DELAY)
}

/// Asserts the same as `assert_refused`, for a command that may take up to `max_delay`.
#[track_caller]
pub(crate) fn assert_refused_within(
    setup: &Installation,
    command: TestCommand,
    code: i32,
    texts: &[&str],
    max_delay: Duration,
) -> CommandOutput {
    let before = all_rows(setup.session());
    let started = Instant::now();
    let output = command.run();
    let took = started.elapsed();
    assert_eq!(output.code(), Some(code), "wrong exit code of {output}");
    let stderr = output.stderr();
    assert!(stderr.contains("error: ") && stderr.contains("hint: "), "{output}");
    for text in texts {
        assert!(stderr.contains(text), "no `{text}` in {output}");
    }
    assert!(output.stdout().is_empty(), "{output}");
    let password = String::from_utf8(server::config().get_password().unwrap().to_vec()).unwrap();
    let secrets = [password.as_str(), WRONG_PASSWORD];
    assert!(!secrets.iter().any(|secret| stderr.contains(secret)), "a password is in {output}");
    assert!(took < max_delay, "took {took:?}: {output}");
    assert_eq!(all_rows(setup.session()), before, "the database was changed by {output}");
    output
}

/// A password that no server accepts.
pub(crate) const WRONG_PASSWORD: &str = "s3cret-and-wrong";

/// Returns each table of rework by name, with all its rows as one text.
fn all_rows(session: &Session) -> Vec<(String, Option<String>)> {
    let sql = "select tablename::text from pg_tables where schemaname = 'rework' order by 1";
    let tables: Vec<String> = session.query_values(sql, &[]);
    let rows = |table: String| {
        let sql =
            format!("select string_agg(t::text, chr(10) order by t::text) from rework.{table} t");
        let rows = session.query_value(&sql, &[]);
        (table, rows)
    };
    tables.into_iter().map(rows).collect()
}

/// Registers operations, and a second operation `double` in another domain.
fn setup_with_two_domains() -> Installation {
    let setup = Installation::new();
    let second_double = setup.folder().join("second_double.toml");
    let text = "domain = \"other\"\n[[operation]]\nname = \"double\"\nshell = \"true\"\n";
    std::fs::write(&second_double, text).unwrap();
    let manifest = installation::manifest_path("ends_on_demand.toml");
    setup.register([installation::fixture_program(), manifest, second_double]);
    setup
}

#[test]
fn schedule_refuses_an_unknown_or_ambiguous_operation() {
    let setup = setup_with_two_domains();
    for (args, texts) in [
        (vec!["schedule", "doubel"], vec!["`doubel` is not registered", "list-operations"]),
        (vec!["schedule", "noinput", "--domain", "nope"], vec!["in domain `nope`"]),
        (
            vec!["schedule", "double"],
            vec!["`double`", "several domains: default, other", "--domain"],
        ),
        (vec!["schedule", "doubel", "--help"], vec!["`doubel` is not registered"]),
        (vec!["schedule", "doubel", "--wait"], vec!["`doubel` is not registered"]),
    ] {
        assert_refused(&setup, setup.rework(args), 1, &texts);
    }
}

#[test]
fn schedule_refuses_input_that_does_not_match_the_schema() {
    let setup = setup_with_two_domains();
    for (args, texts) in [
        (vec!["flood", "--input", "\"x\""], vec!["`flood`: it is \"x\", not an integer", "--help"]),
        (vec!["flood", "--input", "{oops"], vec!["not JSON"]),
        (vec!["flood", "--input", "@no-such"], vec!["cannot read `no-such`"]),
        (vec!["flood", "--raw", "abc"], vec!["takes JSON"]),
        (vec!["flood"], vec!["`flood`"]),
        (vec!["shell_takes_number"], vec!["missing `number`"]),
        (vec!["shell_takes_number", "--number", "x"], vec!["`--number` takes integer, not `x`"]),
        (vec!["shell_takes_number", "--nubmer", "1"], vec!["did you mean `--number`?"]),
        (vec!["shell_takes_number", "--input", "{\"number\": 1.5}"], vec!["1.5, not an integer"]),
        (vec!["shell_takes_number", "--input", "[]"], vec!["not an object"]),
    ] {
        let args = [vec!["schedule"], args].concat();
        let code = setup.rework(&args).run().code();
        assert!(matches!(code, Some(1 | 2)), "{args:?}: {code:?}");
        assert_refused(&setup, setup.rework(&args), code.unwrap(), &texts);
    }
    let from_stdin = setup.rework(["schedule", "flood", "--input", "-"]).stdin("{\"a\":");
    assert_refused(&setup, from_stdin, 1, &["not JSON"]);
}

#[test]
fn schedule_refuses_input_above_100_mib() {
    let setup = setup_with_two_domains();
    let large = setup.folder().join("large.json");
    std::fs::write(&large, json!("x".repeat(100 << 20)).to_string()).unwrap();
    let input = format!("@{}", large.display());
    let command = setup.rework(["schedule", "describes_run", "--input", &input]);
    // The command reads the whole file, which takes long on a slow machine.
    assert_refused_within(&setup, command, 1, &["larger than 100 MiB"], MAX_ERROR_DELAY * 6);
}

#[test]
fn commands_refuse_unknown_tasks_and_workers() {
    let setup = setup_with_two_domains();
    for command in ["show-task", "log-task", "abort-task", "retry-task", "wait-task"] {
        let unknown_id = setup.rework([command, "4711"]);
        assert_refused(&setup, unknown_id, 1, &["there is no task 4711", "rework list-tasks"]);
        assert_refused(&setup, setup.rework([command, "nonsense"]), 2, &["nonsense", command]);
        assert_refused(&setup, setup.rework([command]), 2, &["<TASK>", command]);
    }
    assert_refused(
        &setup,
        setup.rework(["log-task", "4711", "--follow"]),
        1,
        &["there is no task 4711"],
    );
    assert_refused(
        &setup,
        setup.rework(["abort-task", "4711", "--wait"]),
        1,
        &["there is no task 4711"],
    );
    for command in ["kill-worker", "shutdown-worker"] {
        let unknown_id = setup.rework([command, "4711"]);
        assert_refused(&setup, unknown_id, 1, &["there is no worker 4711", "rework list-workers"]);
    }
}

#[test]
fn abort_and_retry_print_the_state_of_a_task_that_they_refuse() {
    let setup = setup_with_two_domains();
    let task = setup.rework(["schedule", "noinput"]).run_ok().id().to_string();
    setup.rework(["abort-task", &task]).run_ok();
    let output = setup.rework(["abort-task", &task]).run_expecting(1);
    assert!(output.stderr().contains("it is aborted"), "{output}");
    setup.rework(["retry-task", &task]).run_ok();
    let output = setup.rework(["retry-task", &task]).run_expecting(1);
    assert!(output.stderr().contains("queued"), "{output}");
}

#[test]
fn wrong_arguments_exit_with_code_2() {
    let setup = setup_with_two_domains();
    for (arguments, text) in [
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
        assert_refused(&setup, setup.rework(arguments.split(' ')), 2, &[text]);
    }
}

#[test]
fn a_user_cannot_start_a_worker() {
    let setup = setup_with_two_domains();
    assert_refused(&setup, setup.rework(["worker", "default"]), 1, &["started by a monitor"]);
}
