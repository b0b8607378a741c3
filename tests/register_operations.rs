//! `register-operations` and `unregister-operation`, and how `schedule` takes the input of a registered operation.

use std::fs;
use std::path::Path;

use rework_core::task::state::State;
use serde_json::json;

use crate::support::Installation;
use crate::support::installation::{fixture_program, manifest_path};

#[test]
fn a_check_needs_no_database_and_registers_nothing() {
    let setup = Installation::new();
    let check = ["register-operations", "--check"];
    let output =
        setup.rework(check).args([manifest_path("resize.toml")]).without_env("REWORK_DSN").run_ok();
    assert!(output.stdout().contains("resize"), "{output}");
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.operation", &[]), 0);
}

#[test]
fn register_operations_prints_the_number_of_new_operations() {
    let setup = Installation::new();
    let register =
        || setup.rework(["register-operations"]).args([manifest_path("resize.toml")]).run_ok();
    assert_eq!(register().stdout(), "registered 2 new operations (0 already known)\n");
    assert_eq!(register().stdout(), "registered 0 new operations (2 already known)\n");
    let sql = "select revision from rework.placement";
    assert_eq!(setup.session().query_values::<i32>(sql, &[]), [2, 2]);
    let listed = setup.rework(["list-operations"]).run_ok().stdout();
    for fact in ["resize", "images", setup.host(), "resize.toml"] {
        assert!(listed.contains(fact), "no `{fact}` in\n{listed}");
    }
}

#[test]
fn a_file_that_takes_an_operation_over_is_named() {
    let setup = Installation::new();
    let register = |path: &Path| setup.rework(["register-operations"]).args([path]).run_ok();
    let (first, second) = (manifest_path("resize.toml"), setup.folder().join("copy.toml"));
    fs::copy(&first, &second).unwrap();
    assert_eq!(register(&first).stderr(), "");
    assert_eq!(register(&first).stderr(), "", "the same file again");
    let moved = format!(
        "operation echo of domain images and 1 more are now run from {}, before from {}\n",
        second.display(),
        first.display()
    );
    let output = register(&second);
    assert_eq!(
        (output.stderr(), output.stdout().as_str()),
        (moved, "registered 0 new operations (2 already known)\n")
    );
}

#[test]
fn a_new_domain_of_a_monitor_that_serves_all_domains_causes_no_warning() {
    let setup = Installation::with_fixture();
    let _monitor = setup.start_monitor_with_args(&["--maxworkers", "1"]);
    setup.rework(["register-operations"]).args([manifest_path("resize.toml")]).run_ok();
    let output = setup.rework(["schedule", "echo", "--input", "1"]).run_ok();
    assert_eq!(output.stderr(), "");
    setup.wait_until_done(output.id());
}

#[test]
fn unregister_operation_asks_for_confirmation_and_keeps_tasks() {
    let setup = Installation::with_fixture();
    let task = setup.schedule("double", 1);
    let is_listed = || setup.rework(["list-operations"]).run_ok().stdout().contains(" double ");
    let unregister = || setup.rework(["unregister-operation", "double"]);
    let stdout = unregister().stdin("n\n").run_ok().stdout();
    assert!(
        stdout.starts_with("preparing de-registration of:\ndelete double default "),
        "{stdout}"
    );
    assert!(stdout.contains("really remove those [y/n]?"), "{stdout}");
    assert!(stdout.ends_with("Ok, nothing has been done.\n"), "{stdout}");
    assert!(is_listed());
    unregister().stdin("").run_ok();
    assert!(is_listed(), "no answer means no");
    unregister().stdin("y\n").run_ok();
    assert!(!is_listed());
    assert_eq!(setup.task(task).state, State::Queued, "the task is kept");
    assert_eq!(unregister().run_expecting(1).stdout(), "Nothing to unregister\n");
    setup.register([fixture_program()]);
    let _monitor = setup.start_monitor(&["--maxworkers", "1"]);
    assert_eq!(
        setup.wait_until_done(task).output,
        2,
        "the task runs when the operation is registered again"
    );
}

#[test]
fn each_input_of_an_operation_is_an_option_and_in_its_help() {
    let setup = Installation::new();
    setup.register([manifest_path("resize.toml")]);
    let help = setup.rework(["schedule", "resize", "--help"]).run_ok().stdout();
    assert!(help.contains("--width") && help.contains("--input.priority"), "{help}");
    let options = ["--width", "300", "--input.priority", "soon", "--priority", "3"];
    let task = setup.rework(["schedule", "resize"]).args(options).run_ok().id();
    let sql = "select input from rework.task where id = $1";
    let input: serde_json::Value = setup.session().query_value(sql, &[&task]);
    assert_eq!(input, json!({"width": 300, "priority": "soon"}));
    let output = setup.rework(["schedule", "resize", "--width", "wide"]).run_expecting(1);
    assert!(output.stderr().contains("width"), "{output}");
    let output = setup.rework(["schedule", "resize"]).run_expecting(1);
    assert!(output.stderr().contains("width"), "the error names the missing input: {output}");
    assert_eq!(setup.session().query_value::<i64>("select count(*) from rework.task", &[]), 1);
}

#[test]
fn an_input_can_be_read_from_standard_input_or_a_file() {
    let setup = Installation::new();
    setup.register([manifest_path("resize.toml")]);
    let _monitor = setup.start_monitor_with_args(&["--maxworkers", "1"]);
    let from_stdin =
        setup.rework(["schedule", "echo", "--input", "-"]).stdin("{\"a\": [1, 2]}").run_ok();
    assert_eq!(setup.wait_until_done(from_stdin.id()).output, json!({"a": [1, 2]}));
    std::fs::write(setup.folder().join("input.json"), "[3]").unwrap();
    let from_file = setup.rework(["schedule", "echo", "--input", "@input.json"]).run_ok();
    assert_eq!(setup.wait_until_done(from_file.id()).output, json!([3]));
}

#[test]
fn the_dsn_can_be_given_in_several_ways() {
    let setup = Installation::with_fixture();
    let list = ["list-operations", "-q"];
    let expected = setup.rework(list).run_ok().stdout();
    assert!(!expected.is_empty());
    let dsn = setup.dsn();
    let without_dsn = || setup.rework(Vec::<String>::new()).without_env("REWORK_DSN");
    assert_eq!(without_dsn().env("DATABASE_URL", dsn).args(list).run_ok().stdout(), expected);
    assert_eq!(without_dsn().args(list).args(["--db", dsn]).run_ok().stdout(), expected);
    assert_eq!(without_dsn().args([list[0], dsn, list[1]]).run_ok().stdout(), expected);
    std::fs::write(setup.folder().join("dsn"), dsn).unwrap();
    assert_eq!(without_dsn().args(list).args(["--dsn-file", "dsn"]).run_ok().stdout(), expected);
}
