//! What a worker does to a run besides handing it over: it revokes, aborts, answers, hangs up.

use rework_wire::runner::{Done, FromRunner, RunRequest, ScheduleRequest, ToRunner};
use serde_json::{Value, json};

use crate::support::{Runner, request};

fn abort(task: i64, reason: &str) -> ToRunner {
    ToRunner::Abort { task, run: 1, reason: reason.to_owned() }
}

/// Hands over a run and waits until it logs: it has begun.
fn begin(runner: &mut Runner, task: i64, operation: &str) {
    runner.say(&ToRunner::Run(request(task, operation)), b"");
    let (frame, _) = runner.hear();
    assert!(matches!(frame, FromRunner::Log { .. }), "{frame:?}");
}

fn schedule_number(frame: &FromRunner) -> u32 {
    let FromRunner::Schedule(ScheduleRequest { number, .. }) = frame else { panic!("{frame:?}") };
    *number
}

#[test]
fn an_operation_that_waits_for_it_is_told_of_its_abort() {
    let mut runner = Runner::start();
    begin(&mut runner, 1, "listens");
    runner.say(&abort(1, "timed out after 5m"), b"");
    let frames = runner.hear_to_end();
    assert_eq!(frames[0].1, br#""timed out after 5m""#);
    assert!(matches!(frames[0].0, FromRunner::Done(Done { task: 1, .. })), "{frames:?}");
}

#[test]
fn an_operation_that_looks_is_left_to_react() {
    let mut runner = Runner::start();
    begin(&mut runner, 1, "looks");
    // The second line is logged after the first look.
    runner.hear();
    runner.say(&abort(1, "no longer needed"), b"");
    let frames = runner.hear_to_end();
    let Some((FromRunner::Failed(failure), _)) = frames.last() else { panic!("{frames:?}") };
    assert_eq!(failure.message, "I was told to");
    runner.run(2, "nothing", &Value::Null);
}

#[test]
fn an_operation_that_never_asked_is_ended_at_once() {
    let mut runner = Runner::start();
    begin(&mut runner, 1, "deaf");
    runner.say(&ToRunner::Run(request(2, "nothing")), b"");
    runner.say(&abort(1, "no longer needed"), b"");
    assert_eq!(runner.exit().code(), Some(130));
    assert_eq!(runner.begun(), (1, 1), "the run that was sent ahead did not begin");
}

#[test]
fn an_abort_meets_no_other_run() {
    let mut runner = Runner::start();
    runner.run(1, "nothing", &Value::Null);
    begin(&mut runner, 2, "listens");
    runner.say(&abort(1, "too late"), b"");
    runner.say(&ToRunner::Abort { task: 2, run: 7, reason: "another run".into() }, b"");
    runner.say(&abort(2, "meant"), b"");
    assert_eq!(runner.hear_to_end()[0].1, br#""meant""#);
}

#[test]
fn what_has_not_begun_can_be_taken_back() {
    let mut runner = Runner::start();
    begin(&mut runner, 1, "listens");
    for task in 2..=4 {
        runner.say(&ToRunner::Run(request(task, "nothing")), b"");
    }
    runner.say(&ToRunner::Revoke { task: 1, run: 1 }, b"");
    runner.say(&ToRunner::Revoke { task: 3, run: 1 }, b"");
    assert!(matches!(runner.hear().0, FromRunner::Revoked { task: 3, run: 1 }));
    runner.say(&abort(4, "no longer needed"), b"");
    assert!(matches!(runner.hear().0, FromRunner::Revoked { task: 4, run: 1 }));
    runner.say(&abort(1, "end"), b"");
    runner.hear_to_end();
    assert!(matches!(runner.hear().0, FromRunner::Done(Done { task: 2, run: 1, .. })));
    runner.say(&ToRunner::Exit, b"");
    assert!(runner.exit().success());
    assert_eq!(runner.begun(), (2, 1));
}

#[test]
fn what_waits_goes_back_when_a_run_leaves_a_process() {
    // More than is read at once, and less than a socket takes.
    let inputs = vec![json!("x".repeat(2_000)).to_string().into_bytes(); 50];
    let mut frames = Vec::new();
    for (task, input) in (1..).zip(inputs) {
        let operation = if task == 1 { "leaves_a_process" } else { "optional" };
        let mark = Some(format!("{task:032}"));
        let run = RunRequest { has_input: task > 1, mark, ..request(task, operation) };
        frames.push((ToRunner::Run(run), if task > 1 { input } else { Vec::new() }));
    }
    let mut runner = Runner::start();
    runner.say_together(&frames);
    let told = runner.hear_to_end();
    let returned = told.iter().filter_map(|(frame, _)| match frame {
        FromRunner::Revoked { task, .. } => Some(*task),
        _ => None,
    });
    assert_eq!(returned.collect::<Vec<_>>(), (2..=50).collect::<Vec<_>>());
    assert!(matches!(told.last(), Some((FromRunner::Done(Done { task: 1, .. }), _))), "{told:?}");
}

fn scheduled(parent: i64, number: u32, task: Option<i64>) -> ToRunner {
    ToRunner::Scheduled { parent, parent_run: 1, number, task, error: None }
}

#[test]
fn tasks_schedule_tasks() {
    let mut runner = Runner::start();
    runner.hand_over(1, "schedules", &json!({"count": 2}));
    for number in 1..=2_u32 {
        let (frame, body) = runner.hear();
        let shown = serde_json::to_value(&frame).unwrap();
        let expected = json!({"type": "schedule", "task": 1, "run": 1, "number": number,
            "operation": "echo", "domain": "other", "priority": -2, "delay_ms": 5_000,
            "has_input": true, "raw": false});
        assert_eq!(shown, expected);
        assert_eq!(body, format!("{{\"number\":{number}}}").as_bytes());
        let task = Some(100 + i64::from(number));
        runner.say(&scheduled(1, number, task), b"");
    }
    assert_eq!(runner.hear_to_end()[0].1, b"[101,102]");
}

#[test]
fn no_end_waits_where_a_second_thread_listens_already() {
    let mut runner = Runner::start();
    let runs = [(1, "schedules_plainly"), (2, "nothing"), (3, "silent")];
    let frames =
        runs.map(|(task, operation)| (ToRunner::Run(request(task, operation)), Vec::new()));
    runner.say_together(&frames);
    let number = schedule_number(&runner.hear().0);
    runner.say(&scheduled(1, number, Some(9)), b"");
    for ended in [1, 2] {
        let (frame, _) = runner.hear();
        assert!(matches!(frame, FromRunner::Done(Done { task, .. }) if task == ended), "{frame:?}");
    }
}

#[test]
fn what_cannot_be_scheduled_is_an_error_of_the_task() {
    let mut runner = Runner::start();
    runner.say(&ToRunner::Run(request(1, "schedules_plainly")), b"");
    let number = schedule_number(&runner.hear().0);
    let error = Some("operation `nothing` is not registered".to_owned());
    runner.say(&ToRunner::Scheduled { parent: 1, parent_run: 1, number, task: None, error }, b"");
    let frames = runner.hear_to_end();
    let (FromRunner::Failed(failure), _) = &frames[0] else { panic!("{frames:?}") };
    assert_eq!(failure.kind, "schedule");
    assert_eq!(failure.message, "operation `nothing` is not registered");
}

#[test]
fn a_run_does_not_end_before_its_answers_came() {
    let mut runner = Runner::start();
    runner.say(&ToRunner::Run(request(1, "schedules_and_leaves")), b"");
    runner.say(&ToRunner::Run(request(2, "schedules_plainly")), b"");
    let number = schedule_number(&runner.hear().0);
    runner.say(&scheduled(1, number, Some(50)), b"");
    assert!(matches!(runner.hear().0, FromRunner::Done(Done { task: 1, .. })));
    let number = schedule_number(&runner.hear().0);
    runner.say(&scheduled(2, number, Some(60)), b"");
    assert_eq!(runner.hear_to_end()[0].1, b"60");
}

/// The task that a frame is of.
fn task_of(frame: &FromRunner) -> Option<Value> {
    serde_json::to_value(frame).unwrap().get("task").cloned()
}

#[test]
fn a_thread_that_is_left_behind_disturbs_no_other_run() {
    let mut runner = Runner::start();
    runner.say(&ToRunner::Run(request(1, "leaves_a_thread")), b"");
    let mut first = Vec::new();
    while !matches!(first.last(), Some(FromRunner::Done(Done { .. }))) {
        let (frame, _) = runner.hear();
        if let FromRunner::Schedule(ScheduleRequest { number, .. }) = frame {
            runner.say(&scheduled(1, number, Some(9)), b"");
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
fn children_of_operations_inherit_nothing_of_ours() {
    let mut runner = Runner::start();
    let frames = runner.run(1, "heirloom", &Value::Null);
    let seen: Vec<String> = serde_json::from_slice(&frames[0].1).unwrap();
    assert!(seen.iter().any(|line| line.starts_with("/dev/null")), "{seen:?}");
    let ours = |line: &&String| ["REWORK_", "socket:", "/tmp/"].iter().any(|p| line.starts_with(p));
    assert_eq!(seen.iter().find(ours), None, "{seen:?}");
}

#[test]
fn the_end_of_the_worker_is_the_end_of_the_runner() {
    let mut idle = Runner::start();
    idle.hang_up();
    assert!(idle.exit().success());
    let mut busy = Runner::start();
    begin(&mut busy, 1, "deaf");
    busy.hang_up();
    assert!(busy.exit().success());
}

#[test]
fn told_to_leave_it_finishes_first() {
    let mut runner = Runner::start();
    begin(&mut runner, 1, "listens");
    runner.say(&ToRunner::Exit, b"");
    runner.say(&abort(1, "now"), b"");
    assert!(matches!(runner.hear_to_end()[0].0, FromRunner::Done(Done { task: 1, .. })));
    assert!(runner.exit().success());
}

#[test]
fn a_worker_of_another_protocol_is_refused() {
    let mut runner = Runner::spawn();
    runner.say(&ToRunner::Hello { version: 99 }, b"");
    assert_eq!(runner.exit().code(), Some(2));
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x10\0\0\0\0\0\0\0{\"type\":\"dance\"}"] {
        let mut runner = Runner::start();
        runner.say_bytes(bytes);
        assert_eq!(runner.exit().code(), Some(2));
    }
}
