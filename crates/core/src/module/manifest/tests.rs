//! Tests of manifests: every key, and every error with its line.

use rework_wire::retry_policy::{Kinds, Pause};
use serde_json::json;

use super::*;

const PATH: &str = "/srv/ops/images.toml";

fn parsed(text: &str) -> Vec<CommandOperation> {
    parse(text, Path::new(PATH)).unwrap()
}

fn error_of(text: &str) -> String {
    parse(text, Path::new(PATH)).unwrap_err().to_string()
}

/// A manifest with an operation that has every key.
const EVERY_KEY: &str = r#"
domain = "images"

[[operation]]
name = "thumbnail"
command = ["convert", "-", "png:-"]
timeout = "5m"
memory = "2GiB"
attempts = 3
grace = "1s"
retry_lost = true
priority = -1
output = "bytes"
cwd = "./work"
env = { LANG = "C.UTF-8" }
pass_env = ["AWS_*"]
input = { width = "integer", note = "string?" }
retry = { backoff = "fixed", first = "10s", not_on = ["exit code 2"] }
available = ["test", "-e", "/dev/dri"]
run_after = "publish"
run_before = ["fetch", "decode"]
on_failure = ["tell"]
"#;

fn limits_of_every_key() -> Limits {
    Limits {
        timeout_ms: Some(300_000),
        memory_bytes: Some(2 << 30),
        attempts: 3,
        grace_ms: 1_000,
        retry_lost: true,
        priority: -1,
        concurrency: 1,
        retry: Some(RetryPolicy {
            pause: Pause::Fixed { first_ms: 10_000 },
            kinds: Kinds::NotOn(vec!["exit code 2".into()]),
            ..RetryPolicy::default()
        }),
    }
}

#[test]
fn every_key_is_read() {
    let input = json!({
        "type": "object",
        "properties": { "width": { "type": "integer" }, "note": { "type": "string" } },
        "required": ["width"],
        "additionalProperties": false,
    });
    let thumbnail = CommandOperation {
        definition: Definition {
            domain: "images".into(),
            name: "thumbnail".into(),
            input: Some(input),
            output: None,
            output_form: Form::Bytes,
            limits: limits_of_every_key(),
            available: Some("test -e /dev/dri".into()),
            run_after: vec!["publish".into()],
            run_before: vec!["fetch".into(), "decode".into()],
            on_failure: vec!["tell".into()],
            is_flow: false,
        },
        program: Program::Command(vec!["convert".into(), "-".into(), "png:-".into()]),
        cwd: "/srv/ops/work".into(),
        env: BTreeMap::from([("LANG".to_owned(), "C.UTF-8".to_owned())]),
        pass_env: vec!["AWS_*".into()],
        available: Some(Program::Command(vec!["test".into(), "-e".into(), "/dev/dri".into()])),
    };
    assert_eq!(parsed(EVERY_KEY), [thumbnail]);
}

#[test]
fn keys_that_are_left_out_have_defaults() {
    let operations = parsed(
        r#"
        domain = "images"

        [[operation]]
        name = "hello"
        shell = "echo hello"

        [operation.input]
        type = "object"
        properties = { who = { type = "string", default = "you" } }
        "#,
    );
    let hello = &operations[0];
    assert_eq!(hello.program, Program::Shell("echo hello".into()));
    assert_eq!(hello.definition.domain, "images");
    assert_eq!(hello.definition.limits, Limits::default());
    assert_eq!(hello.definition.output_form, Form::Json);
    assert_eq!(hello.cwd, Path::new("/srv/ops"));
    let schema = hello.definition.input.as_ref().unwrap();
    assert_eq!(schema["properties"]["who"]["default"], json!("you"));
}

#[test]
fn the_attempts_of_a_retry_policy_are_those_of_the_operation() {
    let attempts = |keys: &str| {
        let text = format!("[[operation]]\nname = 'a'\nshell = 'true'\n{keys}");
        parsed(&text)[0].definition.limits.attempts
    };
    assert_eq!(attempts("retry = 'once'"), 2);
    assert_eq!(attempts("retry = { attempts = 5, first = '2s' }"), 5);
    assert_eq!(attempts("attempts = 3\nretry = { first = '2s' }"), 3);
}

#[test]
fn the_domain_defaults_to_default_and_cwd_may_be_absolute() {
    let operations = parsed("[[operation]]\nname = 'a'\nshell = 'true'\ncwd = '/tmp'");
    assert_eq!(operations[0].definition.domain, "default");
    assert_eq!(operations[0].definition.input, None);
    assert_eq!(operations[0].cwd, Path::new("/tmp"));
}

#[test]
fn errors_of_the_file_name_the_line() {
    for (text, expected) in [
        ("", "/srv/ops/images.toml: the manifest declares no operation"),
        ("domain = 'a'", "/srv/ops/images.toml: the manifest declares no operation"),
        ("operation = []", "/srv/ops/images.toml: the manifest declares no operation"),
        ("domian = 'a'", ":1: unknown key `domian` in the manifest: did you mean `domain`?"),
        ("colour = 'a'", ":1: unknown key `colour` in the manifest"),
        ("domain = 3", ":1: `domain` of the manifest: 3 is not a string"),
        ("domain = 'a b'", ":1: `domain` of the manifest: \"a b\" is not a name"),
        ("[operation]\nname = 'a'", ":1: `operation` is not a list of operations"),
        ("\n\nname = = 'a'", ":3: "),
        ("domain = 'a'\ndomain = 'b'", ":2: duplicate key"),
        (
            "[[operation]]\nname = 'a'\nshell = 'b'\n[[operation]]\nname = 'a'\nshell = 'c'",
            ":4: operation `a` is declared twice",
        ),
    ] {
        assert!(error_of(text).contains(expected), "{text}: {}", error_of(text));
    }
}

#[test]
fn errors_of_an_operation_name_the_key() {
    for (keys, expected) in [
        ("timout = '5m'", ":4: unknown key `timout` in operation `a`: did you mean `timeout`?"),
        ("timeout = '5 parsecs'", ":4: `timeout` of operation `a`: `5 parsecs` is not a duration"),
        ("timeout = 5", ":4: `timeout` of operation `a`: 5 is not a string with a unit"),
        ("timeout = '0s'", ":4: `timeout` of operation `a`: `0s` is zero: leave the key out"),
        ("memory = '2'", ":4: `memory` of operation `a`: `2` is not a size with a unit"),
        ("memory = 'much'", ":4: `memory` of operation `a`: `much` is not a size"),
        ("grace = '-3s'", ":4: `grace` of operation `a`: `-3s` is a negative duration"),
        ("attempts = 0", ":4: `attempts` of operation `a`: 0 is not a whole number from 1"),
        ("attempts = '3'", ":4: `attempts` of operation `a`: \"3\" is not a whole number from 1"),
        (
            "priority = 99999",
            ":4: `priority` of operation `a`: 99999 is not a whole number from -32768 to 32767",
        ),
        ("retry_lost = 1", ":4: `retry_lost` of operation `a`: 1 is not `true` or `false`"),
        ("output = 'xml'", ":4: `output` of operation `a` is `xml`, neither `json` nor `bytes`"),
        ("cwd = 1", ":4: `cwd` of operation `a`: 1 is not a string"),
        ("available = true", ":4: `available` of operation `a`: true is not a script, or a list"),
        ("available = []", ":4: `available` of operation `a`: it is not a script, or a list"),
        ("env = ['A']", ":4: `env` of operation `a`: it is not a table of strings"),
        ("env = { A = 1 }", ":4: `env` of operation `a`: it is not a table of strings"),
        (
            "env = { REWORK_DSN = 'x' }",
            ":4: `env` of operation `a`: `REWORK_DSN` is reserved for rework",
        ),
        ("env = { 'A=B' = 'x' }", ":4: `env` of operation `a`: \"A=B\" cannot be set"),
        ("pass_env = 'A'", ":4: `pass_env` of operation `a`: \"A\" is not a list of strings"),
        ("command = ['true']", ":3: operation `a` has both `command` and `shell`"),
        ("input = 3", ":4: `input` of operation `a`: 3 is not a table"),
        ("input = { w = 'int' }", ":4: `input` of operation `a`: `w` is \"int\", not a type"),
        ("input = { '$ref' = '#/a' }", ":4: `input` of operation `a`: not a JSON Schema: "),
        (
            "[operation.input]\ntype = 'object'\nproperties = { w = { type = 'intger' } }",
            ":4: `input` of operation `a`: not a JSON Schema: `properties.w.type` is \"intger\"",
        ),
    ] {
        let text = format!("[[operation]]\nname = 'a'\nshell = 'true'\n{keys}\n");
        assert!(error_of(&text).contains(expected), "{keys}: {}", error_of(&text));
    }
}

#[test]
fn errors_of_a_retry_policy_name_the_key() {
    for (keys, expected) in [
        (
            "retry = 'twice'",
            ":4: `retry` of operation `a`: it is neither an object nor `never`, `once` or `always`",
        ),
        (
            "retry = { frist = '1s' }",
            ":4: `retry` of operation `a`: it has the unknown key `frist`",
        ),
        (
            "attempts = 3\nretry = 'once'",
            ":5: `retry` of operation `a`: it has 2 as `attempts`, and the operation itself has 3",
        ),
    ] {
        let text = format!("[[operation]]\nname = 'a'\nshell = 'true'\n{keys}\n");
        assert!(error_of(&text).contains(expected), "{keys}: {}", error_of(&text));
    }
}

#[test]
fn an_operation_without_name_or_command_is_refused() {
    for (keys, expected) in [
        ("name = 'a'", ":1: operation `a` has neither `command` nor `shell`"),
        ("shell = 'true'", ":1: missing key `name` in an operation without a name"),
        ("name = ''\nshell = 'true'", ":2: `name` of an operation without a name: \"\" is not"),
        ("name = '-x'\nshell = 'true'", "\"-x\" is not a name"),
        ("name = 'a'\ncommand = []", ":3: operation `a` runs nothing: its command is empty"),
        ("name = 'a'\ncommand = ['', 'b']", ":3: operation `a` runs nothing"),
        ("name = 'a'\nshell = ' '", ":3: operation `a` runs nothing: its command is empty"),
        ("name = 'a'\ncommand = 'b'", ":3: `command` of operation `a`: \"b\" is not a list"),
        ("name = 'a'\ncommand = [1]", ":3: `command` of operation `a`: it is not a list"),
    ] {
        let text = format!("[[operation]]\n{keys}\n");
        assert!(error_of(&text).contains(expected), "{keys}: {}", error_of(&text));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let error = load(Path::new("/nowhere/ops.toml")).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/ops.toml: the manifest cannot be read: "));
}

#[test]
fn variables_are_passed_if_a_pattern_names_them() {
    let passes = |patterns: &[&str], variable: &str| {
        let mut operation = parsed("[[operation]]\nname = 'a'\nshell = 'true'").remove(0);
        operation.pass_env = patterns.iter().map(ToString::to_string).collect();
        operation.passes_variable(variable)
    };
    assert!(passes(&["AWS_*"], "AWS_REGION"));
    assert!(!passes(&["AWS_*"], "HOME"));
    assert!(!passes(&["*"], "PGPASSWORD"));
    assert!(passes(&["PG*"], "PGPASSWORD"));
    assert!(!passes(&["*"], "DATABASE_URL"));
    assert!(passes(&["DATABASE_URL"], "DATABASE_URL"));
    assert!(!passes(&["REWORK_*", "*"], "REWORK_DSN"));
}
