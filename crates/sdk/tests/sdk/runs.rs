//! Tests of whole runs: outputs, failures, logs, printed text, and the order in which they arrive.

use rework_core::values::quantity;
use rework_wire::operation::{Definition, Form};
use rework_wire::runner::{Done, Failure, FromRunner, Retry, RunRequest, ToRunner};
use serde_json::{Value, json, value::RawValue};

use crate::support::{Runner, request};

fn definition<'a>(runner: &'a Runner, name: &str) -> &'a Definition {
    runner.operations.iter().find(|definition| definition.name == name).unwrap()
}

/// Runs an operation that succeeds, and returns its output.
fn output(runner: &mut Runner, operation: &str, input: &Value) -> Value {
    let frames = runner.run(7, operation, input);
    let [(FromRunner::Done(Done { task: 7, run: 1, output: Some(Form::Json), .. }), body)] =
        &frames[..]
    else {
        panic!("{frames:?}");
    };
    serde_json::from_slice(body).unwrap()
}

/// Runs an operation that fails, and returns the failure and the frames before it.
fn failure(runner: &mut Runner, operation: &str, input: &Value) -> (Failure, Vec<FromRunner>) {
    let mut frames: Vec<_> = runner.run(8, operation, input).into_iter().map(|f| f.0).collect();
    let Some(FromRunner::Failed(failure)) = frames.pop() else { panic!("{frames:?}") };
    assert_eq!((failure.task, failure.run), (8, 1));
    (failure, frames)
}

#[test]
fn hello_names_every_operation() {
    let runner = Runner::start();
    let echo = definition(&runner, "echo");
    assert_eq!(echo.domain, "other");
    assert_eq!(
        (echo.limits.timeout_ms, echo.limits.memory_bytes, echo.limits.attempts),
        (Some(90_000), Some(1 << 30), 3)
    );
    assert!(echo.limits.retry_lost);
    assert_eq!(echo.limits.grace_ms, 3_000);
    let nothing = definition(&runner, "nothing");
    assert_eq!((&nothing.input, &nothing.output, nothing.limits.grace_ms), (&None, &None, 0));
    let fan = definition(&runner, "schedules").input.as_ref().unwrap();
    assert_eq!(fan.pointer("/properties/count/type"), Some(&json!("integer")));
    assert_eq!(definition(&runner, "reversed").output_form, Form::Bytes);
    assert_eq!(definition(&runner, "fails").output.as_ref().unwrap()["type"], "integer");
}

#[test]
fn limits_are_parsed_as_in_a_manifest() {
    let runner = Runner::start();
    let limits = &definition(&runner, "limits").limits;
    assert_eq!(limits.timeout_ms, Some(quantity::milliseconds("1d 1h").unwrap()));
    assert_eq!(limits.memory_bytes, Some(quantity::bytes("1.5 GiB").unwrap()));
    assert_eq!(limits.grace_ms, quantity::milliseconds("PT0.25S").unwrap());
}

#[test]
fn a_retry_policy_is_parsed_as_its_json() {
    let runner = Runner::start();
    let json = json!({"attempts": 5, "first": "10s", "factor": 1.5, "most": "1m", "jitter": 0,
        "not_on": ["quota"]});
    let cases = [("retried", json, 5), ("retried_always", json!("always"), 2)];
    for (operation, policy, attempts) in cases {
        let limits = &definition(&runner, operation).limits;
        assert_eq!(limits.retry, Some(serde_json::from_value(policy).unwrap()));
        assert_eq!(limits.attempts, attempts);
    }
}

#[test]
fn the_output_is_the_returned_value() {
    let mut runner = Runner::start();
    let input = json!({"a": [1, "\u{0}", null]});
    let request = RunRequest { domain: "other".into(), has_input: true, ..request(3, "echo") };
    runner.send(&ToRunner::Run(request), input.to_string().as_bytes());
    let frames = runner.receive_to_end();
    assert_eq!(serde_json::from_slice::<Value>(&frames[0].1).unwrap(), input);
    assert_eq!(output(&mut runner, "optional", &json!(5)), json!(5));
}

#[test]
fn an_operation_may_have_neither_input_nor_output() {
    let mut runner = Runner::start();
    for operation in ["nothing", "optional"] {
        runner.send(&ToRunner::Run(request(4, operation)), b"");
        let frames = runner.receive_to_end();
        assert!(
            matches!(&frames[..], [(FromRunner::Done(Done { task: 4, run: 1, .. }), _)]),
            "{frames:?}"
        );
    }
}

#[test]
fn raw_bytes_are_not_changed() {
    let mut runner = Runner::start();
    let bytes: Vec<u8> = (0..3 << 20).map(|n| n as u8).collect();
    let request = RunRequest { has_input: true, raw: true, ..request(5, "reversed") };
    runner.send(&ToRunner::Run(request), &bytes);
    let frames = runner.receive_to_end();
    assert!(matches!(
        frames[0].0,
        FromRunner::Done(Done { task: 5, run: 1, output: Some(Form::Bytes), .. })
    ));
    assert!(frames[0].1.iter().rev().eq(&bytes));
}

#[test]
fn an_operation_reads_the_attributes_of_its_task() {
    let mut runner = Runner::start();
    let request = RunRequest {
        run: 4,
        attempt: 2,
        deadline_ms: Some(60_000),
        metadata: Some(RawValue::from_string(r#"{"who": "me"}"#.to_owned()).unwrap()),
        has_input: true,
        ..request(9, "describes_its_task")
    };
    runner.send(&ToRunner::Run(request), b"[1]");
    let frames = runner.receive_to_end();
    let expected = json!({"id": 9, "run": 4, "attempt": 2, "domain": "default",
        "operation": "describes_its_task", "metadata": {"who": "me"}, "seconds_left": 60.0,
        "input": "[1]"});
    assert_eq!(serde_json::from_slice::<Value>(&frames[0].1).unwrap(), expected);
    assert_eq!(runner.started_run(), (9, 4));
}

#[test]
fn a_failure_has_the_causes_of_its_error() {
    let mut runner = Runner::start();
    let (failed, _) = failure(&mut runner, "fails", &json!(null));
    assert_eq!(failed.kind, "error");
    assert_eq!(failed.message, "loading: reading: disk on fire");
    assert!(failed.traceback.unwrap().contains("Caused by:"));
    assert_eq!(failed.retry, Retry::Usual);
}

#[test]
fn an_error_decides_about_the_next_attempt_and_a_saved_output_is_sent() {
    let mut runner = Runner::start();
    let (failed, before) = failure(&mut runner, "fails_on_purpose", &json!("later"));
    assert_eq!((failed.message.as_str(), failed.retry), ("not yet", Retry::InMs(90_000)));
    assert!(matches!(&before[..], [FromRunner::Output { task: 8, .. }]), "{before:?}");
    let (failed, _) = failure(&mut runner, "fails_on_purpose", &json!("another time"));
    assert_eq!((failed.message.as_str(), failed.retry), ("in use", Retry::PutOffMs(5_000)));
    let (failed, _) = failure(&mut runner, "fails_on_purpose", &json!("never"));
    assert_eq!((failed.message.as_str(), failed.retry), ("trying: no use", Retry::GiveUp));
    let (failed, _) = failure(&mut runner, "fails_on_purpose", &json!("with a megabyte"));
    assert_eq!(failed.kind, "quota");
    assert!(failed.message.len() < 70_000 && failed.message.ends_with("[…]"));
}

#[test]
fn a_panic_is_a_failure_and_the_runner_continues() {
    let mut runner = Runner::start();
    let (failed, _) = failure(&mut runner, "panics", &json!("nothing"));
    assert_eq!(failed.kind, "panic");
    assert!(failed.message.starts_with("about nothing (at crates/sdk/examples/fixture.rs:"));
    let (failed, _) = failure(&mut runner, "panics_later", &json!(null));
    assert!(failed.message.contains("something\n"), "{}", failed.message);
    assert_eq!(output(&mut runner, "optional", &json!(6)), json!(6));
}

#[test]
fn failures_that_no_attempt_can_repair_have_special_kinds() {
    let mut runner = Runner::start();
    let (failed, _) = failure(&mut runner, "schedules", &json!({"count": "three"}));
    assert_eq!(failed.kind, Failure::INPUT);
    assert!(failed.message.contains("expected u32"), "{}", failed.message);
    let (failed, _) = failure(&mut runner, "returns_unserializable", &json!(null));
    assert_eq!(failed.kind, Failure::OUTPUT);
    assert!(failed.message.contains("not serializable"), "{}", failed.message);
    let (failed, _) = failure(&mut runner, "unknown", &json!(null));
    assert_eq!(failed.kind, Failure::LOAD);
    let (failed, _) = failure(&mut runner, "reads_missing_state", &json!(null));
    assert_eq!(failed.kind, Failure::LOAD);
    assert!(failed.message.contains("`alloc::string::String`"), "{}", failed.message);
    let raw = RunRequest { has_input: true, raw: true, ..request(8, "optional") };
    runner.send(&ToRunner::Run(raw), b"1");
    let frames = runner.receive_to_end();
    assert!(matches!(&frames[0].0, FromRunner::Failed(f) if f.kind == Failure::INPUT));
}

#[test]
fn events_become_log_lines() {
    let mut runner = Runner::start();
    let frames = runner.run(11, "logs", &json!(null));
    let lines: Vec<(String, String, String)> = frames
        .into_iter()
        .filter_map(|(frame, body)| match frame {
            FromRunner::Log { task: 11, run: 1, level, logger, partial: false } => {
                Some((level, logger, String::from_utf8(body).unwrap()))
            }
            _ => None,
        })
        .collect();
    let expected = [
        ("ERROR", "fixture", "bad request=7 type=\"span\""),
        ("WARNING", "db", "slow rows=3 table=\"task\" request=7 type=\"span\""),
        ("INFO", "fixture", "two\nlines request=7 type=\"span\""),
        ("DEBUG", "fixture", "answer=42 request=7 type=\"span\""),
        ("INFO", "fixture", "from a thread"),
        ("WARNING", "old", "by the log crate request=7 type=\"span\""),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(lines, expected);
}

#[test]
fn progress_is_reported() {
    let mut runner = Runner::start();
    let frames = runner.run(12, "reports_progress", &json!(null));
    let [first, second, _] = &frames[..] else { panic!("{frames:?}") };
    let FromRunner::Progress { task: 12, run: 1, done, total, message } = &first.0 else {
        panic!("{first:?}");
    };
    assert_eq!((*done, *total, message.as_deref()), (1.0, Some(4.0), Some("a quarter")));
    let FromRunner::Progress { done, total: None, message: None, .. } = &second.0 else {
        panic!("{second:?}");
    };
    assert!((*done - 0.5).abs() < f64::EPSILON);
}

#[test]
fn state_is_shared_by_all_runs_of_a_runner() {
    let mut runner = Runner::start();
    assert_eq!(output(&mut runner, "counts_calls", &json!(null)), json!(1));
    assert_eq!(output(&mut runner, "counts_calls", &json!(null)), json!(2));
}

#[test]
fn printed_text_arrives_before_the_end_of_each_of_1000_runs() {
    let mut runner = Runner::start();
    for task in 1..=1_000 {
        runner.run(task, "number", &json!(null));
        assert_eq!(runner.printed(), format!("{task}\nchild {task}\nend {task}"));
        assert_eq!(runner.started_run(), (task, 1));
    }
}

/// Returns frames that dispatch several runs of an operation, and then one run of another operation.
fn runs(times: i64, operation: &str, last: &str) -> Vec<(ToRunner, Vec<u8>)> {
    let runs = (1..=times).map(|task| request(task, operation)).chain([request(times + 1, last)]);
    runs.map(|run| (ToRunner::Run(run), Vec::new())).collect()
}

#[test]
fn delayed_ends_survive_the_death_of_the_runner() {
    let mut runner = Runner::start();
    runner.send_together(&runs(50, "nothing", "dies"));
    assert!(!runner.exit().success());
    let done = runner.remaining_frames().into_iter().map(|frame| match frame {
        FromRunner::Done(Done { task, .. }) => task,
        other => panic!("{other:?}"),
    });
    assert_eq!(done.collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
}

#[test]
fn no_end_is_delayed_while_a_long_run_executes() {
    let mut runner = Runner::start();
    runner.send_together(&runs(3, "nothing", "sleeps"));
    for number in 1..=3 {
        let (frame, _) = runner.receive();
        let FromRunner::Done(Done { task, .. }) = frame else { panic!("{frame:?}") };
        assert_eq!(task, number);
    }
}
