//! Which JSON is accepted as an input: the command line and SQL give the same answer, with the same reason. Numbers
//! keep their digits on every way to the code.

use std::fs;

use serde_json::json;

use crate::support::Installation;

/// Nests `levels` arrays.
fn nested(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

#[test]
fn the_command_line_and_sql_accept_the_same_json() {
    let setup = Installation::with_fixture();
    let cases = [
        (nested(100), None),
        (format!("[\"{}\"]", "[".repeat(500)), None),
        (r#"["\ud83d\ude00", "\\ud800", "\"[", "\u0000"]"#.to_owned(), None),
        ("[12345678901234567.25, 1e400, -0.10, 123456789012345678901234567890]".to_owned(), None),
        // Many brackets, but few levels, and numbers that `jsonb` cannot hold.
        (format!("[1e999999, {}]", [r#"{"]": "\\\u0000", "b": []}"#; 150].join(", ")), None),
        (nested(101), Some("is nested more than 100 levels deep")),
        (format!("[1e999999, {}]", nested(100)), Some("is nested more than 100 levels deep")),
        (nested(100_000), Some("is nested more than 100 levels deep")),
        (r#""\ud800""#.to_owned(), Some("contains half of a surrogate pair")),
        (r#"{"\uDC00\ud83d": 1}"#.to_owned(), Some("contains half of a surrogate pair")),
    ];
    for (text, fault) in cases {
        let start: String = text.chars().take(40).collect();
        let file = setup.folder().join("input.json");
        fs::write(&file, &text).unwrap();
        let input = format!("@{}", file.display());
        let output = setup.rework(["schedule", "describes_run", "--input", &input]).run();
        let call = "select rework.schedule('describes_run', $1)";
        let by_sql = setup.session().try_query_value::<i64>(call, &[&text]);
        match fault {
            None => {
                let tasks = [output.id(), by_sql.unwrap()];
                let sql = "select input::text from rework.task where id = any ($1)";
                let stored: Vec<String> = setup.session().query_values(sql, &[&tasks.as_slice()]);
                assert_eq!(stored, [text.clone(), text], "{start}");
            }
            Some(fault) => {
                assert!(output.stderr().contains(fault), "{start}: {}", output.stderr());
                assert_eq!(output.code(), Some(1), "{output}");
                assert_eq!(by_sql, Err("RW400".to_owned()), "{start}");
                let reason = "select rework.json_fault($1)";
                let reason: String = setup.session().query_value(reason, &[&text]);
                assert!(reason.contains(fault), "{start}: {reason}");
            }
        }
    }
    let error = setup.rework(["schedule", "describes_run", "--input", "{"]).run_expecting(1);
    assert!(error.stderr().contains("is not JSON: EOF while parsing an object"), "{error}");
}

/// A command that returns the variables of its inputs, one with a schema and one without.
const MANIFEST: &str = r#"
[[operation]]
name = "shows_numbers"
input = { id = "integer", f = "number" }
shell = 'printf "[%s,%s]" "$INPUT_ID" "$INPUT_F" >"$REWORK_OUTPUT"'

[[operation]]
name = "shows_page_size"
shell = 'printf "[%s]" "$INPUT_PAGE_SIZE" >"$REWORK_OUTPUT"'
"#;

#[test]
fn numbers_keep_their_digits_on_every_way_to_the_code() {
    let setup = Installation::with_fixture();
    let manifest = setup.folder().join("numbers.toml");
    fs::write(&manifest, MANIFEST).unwrap();
    setup.register([&manifest]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let [id, f] = ["123456789012345678901234567890", "12345678901234567.25"];

    let options = [format!("--id={id}"), format!("--f={f}")];
    let task = setup.rework(["schedule", "shows_numbers"]).args(options).run_ok().id();
    setup.wait_until_done(task);
    let output = "select output::text from rework.task where id = $1";
    let output: String = setup.session().query_value(output, &[&task]);
    assert_eq!(output, format!("[{id},{f}]"));

    let metadata = format!("{{\"id\": {id}, \"f\": {f}, \"g\": 1e400}}");
    let schedule = ["schedule", "metadata_text", "--metadata", &metadata];
    let task = setup.wait_until_done(setup.rework(schedule).run_ok().id());
    assert_eq!(task.output, json!(metadata));

    let wrong = format!("{{\"id\": {f}}}");
    let schedule = ["schedule", "shows_numbers", "--input", &wrong];
    let stderr = setup.rework(schedule).run_expecting(1).stderr();
    assert!(stderr.contains("`id` is 12345678901234567.25, not an integer"), "{stderr}");
}

#[test]
fn inputs_with_the_same_variable_are_refused_or_warned_of() {
    let setup = Installation::new();
    let manifest = setup.folder().join("pages.toml");
    let colliding = MANIFEST.replace(
        "name = \"shows_page_size\"",
        "name = \"shows_page_size\"\ninput = { page-size = \"integer\", page_size = \"integer?\" }",
    );
    fs::write(&manifest, colliding).unwrap();
    let stderr = setup.rework(["register-operations"]).args([&manifest]).run_expecting(1).stderr();
    for part in ["operation `shows_page_size`", "`page-size` and `page_size`", "INPUT_PAGE_SIZE"] {
        assert!(stderr.contains(part), "no `{part}` in {stderr}");
    }
    fs::write(&manifest, MANIFEST).unwrap();
    setup.register([&manifest]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    let input = r#"{"page-size": 4, "page_size": 5}"#;
    let task = setup.rework(["schedule", "shows_page_size", "--input", input]).run_ok().id();
    assert_eq!(setup.wait_until_done(task).output, json!([4]));
    let lines = setup.log_lines(task);
    assert!(lines[0].contains("have the same variable INPUT_PAGE_SIZE"), "{lines:?}");
}
