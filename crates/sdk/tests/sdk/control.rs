//! Tests of the messages with which a worker controls runs: it revokes and aborts them, answers their requests, and
//! closes the socket.

use rework_wire::runner::{Done, FromRunner, RunRequest, ScheduleRequest, ToRunner};
use serde_json::{Value, json};

use crate::support::{Runner, request};

fn abort(task: i64, reason: &str) -> ToRunner {
    ToRunner::Abort { task, run: 1, reason: reason.to_owned() }
}

/// Dispatches a run and waits for its first log line, so that it has started.
fn start_run(runner: &mut Runner, task: i64, operation: &str) {
    runner.send(&ToRunner::Run(request(task, operation)), b"");
    let (frame, _) = runner.receive();
    assert!(matches!(frame, FromRunner::Log { .. }), "{frame:?}");
}

fn schedule_number(frame: &FromRunner) -> u32 {
    let FromRunner::Schedule(ScheduleRequest { number, .. }) = frame else { panic!("{frame:?}") };
    *number
}

#[test]
fn an_operation_that_waits_for_an_abort_receives_its_reason() {
    let mut runner = Runner::start();
    start_run(&mut runner, 1, "awaits_abort");
    runner.send(&abort(1, "timed out after 5m"), b"");
    let frames = runner.receive_to_end();
    assert_eq!(frames[0].1, br#""timed out after 5m""#);
    assert!(matches!(frames[0].0, FromRunner::Done(Done { task: 1, .. })), "{frames:?}");
}

#[test]
fn an_operation_that_polls_for_aborts_can_react() {
    let mut runner = Runner::start();
    start_run(&mut runner, 1, "polls_for_abort");
    // The second line is logged after the first check.
    runner.receive();
    runner.send(&abort(1, "no longer needed"), b"");
    let frames = runner.receive_to_end();
    let Some((FromRunner::Failed(failure), _)) = frames.last() else { panic!("{frames:?}") };
    assert_eq!(failure.message, "aborted, as requested");
    runner.run(2, "nothing", &Value::Null);
}

#[test]
fn an_operation_that_never_checks_for_aborts_is_ended_at_once() {
    let mut runner = Runner::start();
    start_run(&mut runner, 1, "ignores_aborts");
    runner.send(&ToRunner::Run(request(2, "nothing")), b"");
    runner.send(&abort(1, "no longer needed"), b"");
    assert_eq!(runner.exit().code(), Some(130));
    assert_eq!(runner.started_run(), (1, 1), "the run that was sent ahead did not start");
}

#[test]
fn an_abort_does_not_affect_another_run() {
    let mut runner = Runner::start();
    runner.run(1, "nothing", &Value::Null);
    start_run(&mut runner, 2, "awaits_abort");
    runner.send(&abort(1, "too late"), b"");
    runner.send(&ToRunner::Abort { task: 2, run: 7, reason: "another run".into() }, b"");
    runner.send(&abort(2, "meant"), b"");
    assert_eq!(runner.receive_to_end()[0].1, br#""meant""#);
}

#[test]
fn a_run_that_has_not_started_can_be_revoked() {
    let mut runner = Runner::start();
    start_run(&mut runner, 1, "awaits_abort");
    for task in 2..=4 {
        runner.send(&ToRunner::Run(request(task, "nothing")), b"");
    }
    runner.send(&ToRunner::Revoke { task: 1, run: 1 }, b"");
    runner.send(&ToRunner::Revoke { task: 3, run: 1 }, b"");
    assert!(matches!(runner.receive().0, FromRunner::Revoked { task: 3, run: 1 }));
    runner.send(&abort(4, "no longer needed"), b"");
    assert!(matches!(runner.receive().0, FromRunner::Revoked { task: 4, run: 1 }));
    runner.send(&abort(1, "end"), b"");
    runner.receive_to_end();
    assert!(matches!(runner.receive().0, FromRunner::Done(Done { task: 2, run: 1, .. })));
    runner.send(&ToRunner::Exit, b"");
    assert!(runner.exit().success());
    assert_eq!(runner.started_run(), (2, 1));
}

#[test]
fn waiting_runs_are_revoked_when_a_run_leaves_a_process() {
    // More bytes than the runner reads at once, and fewer than the socket holds.
    let inputs = vec![json!("x".repeat(2_000)).to_string().into_bytes(); 50];
    let mut frames = Vec::new();
    for (task, input) in (1..).zip(inputs) {
        let operation = if task == 1 { "leaves_a_process" } else { "optional" };
        let boundary = Some(format!("{task:032}"));
        let run = RunRequest { has_input: task > 1, boundary, ..request(task, operation) };
        frames.push((ToRunner::Run(run), if task > 1 { input } else { Vec::new() }));
    }
    let mut runner = Runner::start();
    runner.send_together(&frames);
    let received = runner.receive_to_end();
    let revoked = received.iter().filter_map(|(frame, _)| match frame {
        FromRunner::Revoked { task, .. } => Some(*task),
        _ => None,
    });
    assert_eq!(revoked.collect::<Vec<_>>(), (2..=50).collect::<Vec<_>>());
    let last = received.last();
    assert!(matches!(last, Some((FromRunner::Done(Done { task: 1, .. }), _))), "{received:?}");
}

fn scheduled(parent: i64, number: u32, task: Option<i64>) -> ToRunner {
    ToRunner::Scheduled { parent, parent_run: 1, number, task, error: None }
}

#[test]
fn a_task_schedules_tasks() {
    let mut runner = Runner::start();
    runner.dispatch(1, "schedules", &json!({"count": 2}));
    for number in 1..=2_u32 {
        let (frame, body) = runner.receive();
        let shown = serde_json::to_value(&frame).unwrap();
        let expected = json!({"type": "schedule", "task": 1, "run": 1, "number": number,
            "operation": "echo", "domain": "other", "priority": -2, "delay_ms": 5_000,
            "has_input": true, "raw": false});
        assert_eq!(shown, expected);
        assert_eq!(body, format!("{{\"number\":{number}}}").as_bytes());
        let task = Some(100 + i64::from(number));
        runner.send(&scheduled(1, number, task), b"");
    }
    assert_eq!(runner.receive_to_end()[0].1, b"[101,102]");
}

#[test]
fn no_end_is_delayed_while_a_second_thread_listens() {
    let mut runner = Runner::start();
    let runs = [(1, "schedules_plainly"), (2, "nothing"), (3, "sleeps")];
    let frames =
        runs.map(|(task, operation)| (ToRunner::Run(request(task, operation)), Vec::new()));
    runner.send_together(&frames);
    let number = schedule_number(&runner.receive().0);
    runner.send(&scheduled(1, number, Some(9)), b"");
    for ended in [1, 2] {
        let (frame, _) = runner.receive();
        assert!(matches!(frame, FromRunner::Done(Done { task, .. }) if task == ended), "{frame:?}");
    }
}

#[test]
fn a_task_that_cannot_be_scheduled_is_an_error_of_the_operation() {
    let mut runner = Runner::start();
    runner.send(&ToRunner::Run(request(1, "schedules_plainly")), b"");
    let number = schedule_number(&runner.receive().0);
    let error = Some("operation `nothing` is not registered".to_owned());
    runner.send(&ToRunner::Scheduled { parent: 1, parent_run: 1, number, task: None, error }, b"");
    let frames = runner.receive_to_end();
    let (FromRunner::Failed(failure), _) = &frames[0] else { panic!("{frames:?}") };
    assert_eq!(failure.kind, "schedule");
    assert_eq!(failure.message, "operation `nothing` is not registered");
}

#[test]
fn a_run_does_not_end_before_its_requests_are_answered() {
    let mut runner = Runner::start();
    runner.send(&ToRunner::Run(request(1, "schedules_without_waiting")), b"");
    runner.send(&ToRunner::Run(request(2, "schedules_plainly")), b"");
    let number = schedule_number(&runner.receive().0);
    runner.send(&scheduled(1, number, Some(50)), b"");
    assert!(matches!(runner.receive().0, FromRunner::Done(Done { task: 1, .. })));
    let number = schedule_number(&runner.receive().0);
    runner.send(&scheduled(2, number, Some(60)), b"");
    assert_eq!(runner.receive_to_end()[0].1, b"60");
}

/// Returns the task that a frame belongs to.
fn task_of(frame: &FromRunner) -> Option<Value> {
    serde_json::to_value(frame).unwrap().get("task").cloned()
}

#[test]
fn a_thread_that_is_left_behind_does_not_disturb_another_run() {
    let mut runner = Runner::start();
    runner.send(&ToRunner::Run(request(1, "leaves_a_thread")), b"");
    let mut first = Vec::new();
    while !matches!(first.last(), Some(FromRunner::Done(Done { .. }))) {
        let (frame, _) = runner.receive();
        if let FromRunner::Schedule(ScheduleRequest { number, .. }) = frame {
            runner.send(&scheduled(1, number, Some(9)), b"");
        }
        first.push(frame);
    }
    for task in 2..200 {
        for (frame, _) in runner.run(task, "nothing", &Value::Null) {
            assert_eq!(task_of(&frame), Some(json!(task)), "{frame:?}");
        }
    }
}

#[test]
fn child_processes_inherit_neither_descriptors_nor_variables() {
    let mut runner = Runner::start();
    let frames = runner.run(1, "lists_inherited", &Value::Null);
    let inherited: Vec<String> = serde_json::from_slice(&frames[0].1).unwrap();
    assert!(inherited.iter().any(|line| line.starts_with("/dev/null")), "{inherited:?}");
    let is_ours =
        |line: &&String| ["REWORK_", "socket:", "/tmp/"].iter().any(|p| line.starts_with(p));
    assert_eq!(inherited.iter().find(is_ours), None, "{inherited:?}");
}

#[test]
fn the_runner_ends_when_the_worker_closes_the_socket() {
    let mut idle = Runner::start();
    idle.close_socket();
    assert!(idle.exit().success());
    let mut busy = Runner::start();
    start_run(&mut busy, 1, "ignores_aborts");
    busy.close_socket();
    assert!(busy.exit().success());
}

#[test]
fn a_runner_finishes_its_run_before_it_exits() {
    let mut runner = Runner::start();
    start_run(&mut runner, 1, "awaits_abort");
    runner.send(&ToRunner::Exit, b"");
    runner.send(&abort(1, "now"), b"");
    assert!(matches!(runner.receive_to_end()[0].0, FromRunner::Done(Done { task: 1, .. })));
    assert!(runner.exit().success());
}

#[test]
fn a_worker_with_another_protocol_is_refused() {
    let mut runner = Runner::spawn();
    runner.send(&ToRunner::Hello { version: 99 }, b"");
    assert_eq!(runner.exit().code(), Some(2));
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x10\0\0\0\0\0\0\0{\"type\":\"dance\"}"] {
        let mut runner = Runner::start();
        runner.send_bytes(bytes);
        assert_eq!(runner.exit().code(), Some(2));
    }
}

#[test]
fn a_check_is_answered_with_its_reason() {
    let mut runner = Runner::start();
    let scarce = runner.operations.iter().find(|definition| definition.name == "scarce").unwrap();
    assert_eq!(scarce.available.as_deref(), Some("is_available"));
    let mut check = |number: u32, operation: &str| {
        let (domain, operation) = ("default".to_owned(), operation.to_owned());
        runner.send(&ToRunner::Check { number, domain, operation }, b"");
        let (FromRunner::Checked { number: answered, reason }, _) = runner.receive() else {
            panic!("no answer to check {number}")
        };
        assert_eq!(answered, number);
        reason
    };
    assert_eq!(check(1, "scarce").as_deref(), Some("number 1 is odd"));
    assert_eq!(check(2, "scarce"), None);
    assert_eq!(check(3, "nothing"), None, "it has no check");
    assert_eq!(check(4, "scarce").as_deref(), Some("number 3 is odd"));
    let panicked = check(5, "scarce").unwrap();
    assert!(panicked.starts_with("panic: ") && panicked.contains("the fourth check"), "{panicked}");
    runner.send(&ToRunner::Run(request(1, "scarce")), b"");
    assert!(matches!(runner.receive().0, FromRunner::Done(Done { task: 1, run: 1, .. })));
}
