//! Tests of what is recorded of a run, for different observations.

use std::time::Duration;

use rework_wire::worker::AbortCause;

use super::*;

fn failure(kind: &str, retry: Retry) -> Failure {
    Failure {
        task: 1,
        run: 1,
        kind: kind.to_owned(),
        message: "oops\nmore".to_owned(),
        traceback: None,
        retry,
        span: None,
    }
}

#[test]
fn every_end_of_a_run_has_an_outcome_and_a_reason() {
    let result_text = |result: RunResult| (result.outcome, result.reason.unwrap_or_default());
    let killed = Exit::Signal { signal: 9, core: false };
    let cases = [
        (result_of_exit(Exit::Code(0), true), Outcome::Done, ""),
        (result_of_exit(Exit::Code(3), true), Outcome::Failed, "exit code 3"),
        (result_of_exit(killed, false), Outcome::Failed, "signal 9 (killed)"),
        (result_of_failure(&failure("error", Retry::Usual)), Outcome::Failed, "oops"),
        (result_of_failure(&failure("error", Retry::GiveUp)), Outcome::Refused, "oops"),
        (result_of_failure(&failure("panic", Retry::Usual)), Outcome::Failed, "panic: oops"),
        (
            result_of_failure(&failure("input", Retry::Usual)),
            Outcome::Refused,
            "invalid input: oops",
        ),
        (
            StopReason::Timeout(Duration::from_secs(300)).result(),
            Outcome::Failed,
            "timed out after 5m",
        ),
        (
            StopReason::OutOfMemory { used: 2_254_857_830, limit: 2 << 30, sampled: true }.result(),
            Outcome::Failed,
            "out of memory: 2.1 GiB of 2 GiB (sampled)",
        ),
        (StopReason::Abort(AbortCause::Drained, "bye".into()).result(), Outcome::Drained, "bye"),
    ];
    for (result, outcome, reason) in cases {
        assert_eq!(result_text(result), (outcome, reason.to_owned()));
    }
}

fn observed(end: RunEnd, stop: Option<StopReason>) -> ObservedRun {
    let now = Instant::now();
    ObservedRun {
        fence: Fence { task: 1, run: 1, token: uuid::Uuid::nil() },
        end,
        stop_reason: stop,
        started: true,
        at_fault: true,
        span: (now, now),
        output: Payload::Json("1".to_owned()),
        output_file: None,
        memory_peak: None,
        revision: "1.0".to_owned(),
    }
}

fn recorded(observed: ObservedRun) -> (Outcome, String, Payload) {
    let completion = completion(observed);
    (completion.outcome, completion.reason.unwrap_or_default(), completion.output)
}

fn drained() -> StopReason {
    StopReason::Abort(AbortCause::Drained, "bye".to_owned())
}

#[test]
fn the_reason_to_stop_a_run_outweighs_how_it_ended() {
    let one = Payload::Json("1".to_owned());
    let stopped = [RunEnd::Done, RunEnd::Exited(Exit::Code(3)), RunEnd::SocketClosed];
    for end in stopped {
        let expected = (Outcome::Drained, "bye".to_owned(), one.clone());
        assert_eq!(recorded(observed(end, Some(drained()))), expected);
    }
    let not_started = recorded(observed(RunEnd::NotStarted, Some(drained())));
    assert_eq!(not_started.0, Outcome::NotStarted, "after a drain another worker runs it");
    let timeout = StopReason::Timeout(Duration::from_secs(1));
    let failed = RunEnd::Failed(failure("error", Retry::InMs(7)));
    let completion = completion(observed(failed, Some(timeout)));
    assert_eq!(completion.reason.as_deref(), Some("timed out after 1s"));
    let error = completion.error.unwrap();
    assert_eq!(error["message"], "oops\nmore", "its own error is kept");
    assert_eq!(error["kind"], "timed out", "the policy sees why it ended");
    assert_eq!(completion.retry_in_ms, Some(7));
}

#[test]
fn a_run_that_is_put_off_has_no_error() {
    let put_off = RunEnd::Failed(failure("error", Retry::PutOffMs(u64::MAX)));
    let completion = completion(observed(put_off, None));
    assert_eq!((completion.outcome, completion.reason.as_deref()), (Outcome::PutOff, Some("oops")));
    assert_eq!((completion.error, completion.retry_in_ms), (None, Some(i64::MAX)));
}

#[test]
fn the_error_of_a_run_names_the_kind_of_its_end() {
    let error_of = |end, stop| completion(observed(end, stop)).error;
    let memory = StopReason::OutOfMemory { used: 2, limit: 1, sampled: false };
    let timeout = StopReason::Timeout(Duration::from_secs(1));
    let killed = Exit::Signal { signal: 9, core: false };
    for (end, stop, kind) in [
        (RunEnd::Exited(Exit::Code(3)), None, "exit code 3"),
        (RunEnd::Exited(killed), None, "signal 9"),
        (RunEnd::SocketClosed, None, "runner"),
        (RunEnd::Exited(killed), Some(timeout), "timed out"),
        (RunEnd::Stopped(memory), None, "out of memory"),
        (RunEnd::Failed(failure("io", Retry::Usual)), None, "io"),
    ] {
        assert_eq!(error_of(end, stop).unwrap()["kind"], kind);
    }
    let exited = error_of(RunEnd::Exited(Exit::Code(3)), None).unwrap();
    assert_eq!(exited, json!({"kind": "exit code 3", "message": "exit code 3", "traceback": null}));
    assert_eq!(error_of(RunEnd::Done, None), None);
    assert_eq!(error_of(RunEnd::Exited(killed), Some(drained())), None, "it did not fail");
}

#[test]
fn an_output_that_cannot_be_stored_refuses_a_run_that_is_done() {
    let of_command = |end, stop| ObservedRun {
        output_file: Some(Err(OutputError::Refused("not JSON".to_owned()))),
        ..observed(end, stop)
    };
    let done = recorded(of_command(RunEnd::Exited(Exit::Code(0)), None));
    assert_eq!(
        (done.0, done.1.as_str()),
        (Outcome::Refused, "the output cannot be stored: not JSON")
    );
    let failed = recorded(of_command(RunEnd::Exited(Exit::Code(3)), None));
    assert_eq!((failed.0, failed.1.as_str()), (Outcome::Failed, "exit code 3"));
    let stopped = recorded(of_command(RunEnd::Exited(Exit::Code(0)), Some(drained())));
    assert_eq!(stopped.0, Outcome::Drained);
    let unreadable = recorded(ObservedRun {
        output_file: Some(Err(OutputError::Unreadable("no file descriptor".to_owned()))),
        ..observed(RunEnd::Exited(Exit::Code(0)), None)
    });
    assert_eq!(
        (unreadable.0, unreadable.1.as_str()),
        (Outcome::Lost, "its output could not be read: no file descriptor")
    );
    let large = Payload::Bytes(vec![0; MAX_PAYLOAD_BYTES as usize + 1]);
    let large = recorded(ObservedRun { output: large, ..observed(RunEnd::Done, None) });
    assert_eq!((large.0, large.2), (Outcome::Refused, Payload::None));
}

#[test]
fn a_run_that_cannot_be_the_cause_of_its_runners_end_is_run_again() {
    let recorded_end = |runner: &RunnerEnd, stop: Option<StopReason>, started, at_fault| {
        let end = end_with_runner(runner, stop.as_ref(), started, at_fault);
        let (outcome, reason, _) =
            recorded(ObservedRun { started, at_fault, ..observed(end, stop) });
        (outcome, reason)
    };
    let grace_over = RunnerEnd::GraceOver { task: 17 };
    let neighbour =
        "its runner was killed: task 17, open in the same runner, did not stop".to_owned();
    assert_eq!(
        recorded_end(&grace_over, Some(drained()), true, true),
        (Outcome::Drained, "bye".into())
    );
    assert_eq!(recorded_end(&grace_over, Some(drained()), false, false).0, Outcome::NotStarted);
    assert_eq!(recorded_end(&grace_over, None, true, true), (Outcome::Lost, neighbour.clone()));
    assert_eq!(recorded_end(&grace_over, None, false, false), (Outcome::NotStarted, neighbour));
    let broken = RunnerEnd::Broken("no frame".to_owned());
    assert_eq!(recorded_end(&broken, None, true, true).0, Outcome::Failed);
    assert_eq!(
        recorded_end(&broken, None, false, true).0,
        Outcome::Failed,
        "the first of a new runner"
    );
    assert_eq!(recorded_end(&broken, None, false, false).0, Outcome::NotStarted);
    let unreadable = RunnerEnd::Unreadable("no memory".to_owned());
    assert_eq!(recorded_end(&unreadable, None, true, true).0, Outcome::Lost);
    assert_eq!(recorded_end(&unreadable, None, false, true).0, Outcome::NotStarted);
    let exited = RunnerEnd::Exited(Exit::Code(3));
    assert_eq!(recorded_end(&exited, None, true, true), (Outcome::Failed, "exit code 3".into()));
    let reason = "its runner exited before its code started: exit code 3";
    let requeued = (Outcome::NotStarted, reason.into());
    assert_eq!(recorded_end(&exited, None, false, false), requeued);
    let (_, reason) = recorded_end(&RunnerEnd::SocketClosed, None, true, true);
    assert_eq!(reason, "its runner closed its socket and did not exit");
}
