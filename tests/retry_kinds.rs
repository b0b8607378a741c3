//! Retry by kind of error: `on` and `not_on` of a policy decide whether another attempt follows. The stored error names
//! the kind, also if the code reported no error.

use std::fs;

use rework_core::task::state::State;
use serde_json::{Value, json};

use crate::support::Installation;

/// Commands that end in a way for which rework has a kind of its own.
const MANIFEST: &str = r#"
[[operation]]
name = "exits_with_3"
shell = "exit 3"

[[operation]]
name = "kills_itself"
shell = "kill -9 $$"

[[operation]]
name = "takes_too_long"
timeout = "200ms"
grace = "0s"
shell = "exec sleep 3600"
"#;

#[test]
fn the_kind_of_an_error_decides_whether_another_attempt_follows() {
    let setup = Installation::with_fixture();
    let manifest = setup.folder().join("ends.toml");
    fs::write(&manifest, MANIFEST).unwrap();
    setup.register([&manifest]);
    let null = Value::Null;
    // The operation, its input, the keys of the policy, the number of runs, and the kind that is stored.
    let cases = [
        ("fails_with_kind", json!("net.Timeout"), json!({"on": ["Timeout"]}), 2, "net.Timeout"),
        ("fails_with_kind", json!("quota"), json!({"on": ["Timeout", "io"]}), 1, "quota"),
        ("fails_with_kind", json!("quota"), json!({"not_on": ["quota"]}), 1, "quota"),
        ("fails_with_kind", json!("quotas"), json!({"not_on": ["quota"]}), 2, "quotas"),
        ("panics", json!("x"), json!({"not_on": ["panic"]}), 1, "panic"),
        ("exits_with_3", null.clone(), json!({"on": ["exit code"]}), 2, "exit code 3"),
        ("exits_with_3", null.clone(), json!({"on": ["exit code 30"]}), 1, "exit code 3"),
        ("exits_with_3", null.clone(), json!({"not_on": ["exit code 3"]}), 1, "exit code 3"),
        ("kills_itself", null.clone(), json!({"not_on": ["signal"]}), 1, "signal 9"),
        ("takes_too_long", null.clone(), json!({"on": ["timed out"]}), 2, "timed out"),
        ("takes_too_long", null.clone(), json!({"not_on": ["timed out"]}), 1, "timed out"),
        // It requests the second attempt by itself.
        ("succeeds_third_time", null, json!({"on": ["io"]}), 2, "error"),
    ];
    let sql = "select rework.schedule($1, $2::json, retry => $3::json)";
    let tasks = cases.map(|(operation, input, mut retry, runs, kind)| {
        retry["attempts"] = json!(2);
        retry["first"] = json!("10ms");
        let task: i64 = setup.session().query_value(sql, &[&operation, &input, &retry]);
        (task, format!("{operation} {input} {retry}"), runs, kind)
    });
    let _monitor = setup.start_monitor(&["--maxworkers", "2"]);
    for (task, what, runs, kind) in tasks {
        let ended = setup.wait_until_ended(task);
        assert_eq!((ended.state, ended.run), (State::Failed, runs), "{what}: {}", ended.reason());
        assert_eq!(ended.error["kind"], kind, "{what}");
    }
}

#[test]
fn a_kind_matches_as_a_whole_or_by_its_first_words_or_by_its_last_part() {
    let setup = Installation::new();
    let sql = "select rework.is_retried($1, $2)";
    for (kind, entry, matches) in [
        ("Timeout", "Timeout", true),
        ("requests.exceptions.Timeout", "Timeout", true),
        ("requests.exceptions.Timeout", "exceptions.Timeout", true),
        ("requests.exceptions.ConnectTimeout", "Timeout", false),
        ("exit code 3", "exit code 3", true),
        ("exit code 3", "exit code", true),
        ("exit code 30", "exit code 3", false),
        ("exit code 3", "code 3", false),
        ("größe", "größe", true),
        ("100%", "1%", false),
    ] {
        let is_retried = |retry: Value, error: Value| -> bool {
            setup.session().query_value(sql, &[&retry, &error])
        };
        let error = json!({ "kind": kind, "message": "\0 a NUL is no \\u0000 obstacle" });
        assert_eq!(is_retried(json!({ "on": ["x", entry] }), error.clone()), matches, "{kind}");
        assert_eq!(is_retried(json!({ "not_on": [entry, "x"] }), error), !matches, "{kind}");
    }
    let without_kind: (bool, bool) = {
        let sql = "select rework.is_retried(json '{\"on\": [\"x\"]}', null),
                          rework.is_retried(json '{\"not_on\": [\"x\"]}', null)";
        let row = setup.session().query(sql, &[]).remove(0);
        (row.get(0), row.get(1))
    };
    assert_eq!(without_kind, (false, true));
}
