//! What is recorded of runs, by what was seen of them.

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
fn every_end_has_its_cause() {
    let told = |verdict: Verdict| (verdict.outcome, verdict.reason.unwrap_or_default());
    let killed = Exit::Signal { signal: 9, core: false };
    let cases = [
        (of_exit(Exit::Code(0), true), Outcome::Done, ""),
        (of_exit(Exit::Code(3), true), Outcome::Failed, "exit code 3"),
        (of_exit(killed, false), Outcome::Failed, "signal 9 (killed)"),
        (of_failure(&failure("error", Retry::Usual)), Outcome::Failed, "oops"),
        (of_failure(&failure("error", Retry::GiveUp)), Outcome::Refused, "oops"),
        (of_failure(&failure("panic", Retry::Usual)), Outcome::Failed, "panic: oops"),
        (
            of_failure(&failure("input", Retry::Usual)),
            Outcome::Refused,
            "the input does not fit: oops",
        ),
        (
            StopReason::Timeout(Duration::from_secs(300)).verdict(),
            Outcome::Failed,
            "timed out after 5m",
        ),
        (
            StopReason::OutOfMemory { used: 2_254_857_830, limit: 2 << 30, sampled: true }
                .verdict(),
            Outcome::Failed,
            "out of memory: 2.1 GiB of 2 GiB (sampled)",
        ),
        (StopReason::Abort(AbortCause::Drained, "bye".into()).verdict(), Outcome::Drained, "bye"),
    ];
    for (verdict, outcome, reason) in cases {
        assert_eq!(told(verdict), (outcome, reason.to_owned()));
    }
}

fn seen(end: End, stop: Option<StopReason>) -> Seen {
    let now = Instant::now();
    Seen {
        fence: Fence { task: 1, run: 1, token: uuid::Uuid::nil() },
        end,
        stop,
        started: true,
        blamed: true,
        span: (now, now),
        output: Payload::Json("1".to_owned()),
        output_file: None,
        memory_peak: None,
        revision: "1.0".to_owned(),
    }
}

fn recorded(seen: Seen) -> (Outcome, String, Payload) {
    let completion = completion(seen);
    (completion.outcome, completion.reason.unwrap_or_default(), completion.output)
}

fn drained() -> StopReason {
    StopReason::Abort(AbortCause::Drained, "bye".to_owned())
}

#[test]
fn the_reason_to_stop_a_run_outweighs_how_it_ended() {
    let one = Payload::Json("1".to_owned());
    let stopped = [End::Done, End::Exited(Exit::Code(3)), End::SocketClosed];
    for end in stopped {
        let expected = (Outcome::Drained, "bye".to_owned(), one.clone());
        assert_eq!(recorded(seen(end, Some(drained()))), expected);
    }
    let not_started = recorded(seen(End::NotStarted, Some(drained())));
    assert_eq!(not_started.0, Outcome::Unbegun, "after a drain another worker runs it");
    let timeout = StopReason::Timeout(Duration::from_secs(1));
    let failed = End::Failed(failure("error", Retry::InMs(7)));
    let completion = completion(seen(failed, Some(timeout)));
    assert_eq!(completion.reason.as_deref(), Some("timed out after 1s"));
    assert_eq!(completion.error.unwrap()["message"], "oops\nmore", "its own error is kept");
    assert_eq!(completion.retry_in_ms, Some(7));
}

#[test]
fn an_output_that_cannot_be_stored_refuses_a_run_that_is_done() {
    let of_command =
        |end, stop| Seen { output_file: Some(Err("not JSON".to_owned())), ..seen(end, stop) };
    let done = recorded(of_command(End::Exited(Exit::Code(0)), None));
    assert_eq!(
        (done.0, done.1.as_str()),
        (Outcome::Refused, "the output cannot be stored: not JSON")
    );
    let failed = recorded(of_command(End::Exited(Exit::Code(3)), None));
    assert_eq!((failed.0, failed.1.as_str()), (Outcome::Failed, "exit code 3"));
    let stopped = recorded(of_command(End::Exited(Exit::Code(0)), Some(drained())));
    assert_eq!(stopped.0, Outcome::Drained);
    let large = Payload::Bytes(vec![0; MAX_PAYLOAD_BYTES as usize + 1]);
    let large = recorded(Seen { output: large, ..seen(End::Done, None) });
    assert_eq!((large.0, large.2), (Outcome::Refused, Payload::None));
}

#[test]
fn a_run_that_cannot_be_the_cause_of_its_runners_end_is_run_again() {
    let said = |runner: &RunnerEnd, stop: Option<StopReason>, started, blamed| {
        let end = end_with_runner(runner, stop.as_ref(), started, blamed);
        let (outcome, reason, _) = recorded(Seen { started, blamed, ..seen(end, stop) });
        (outcome, reason)
    };
    let grace_over = RunnerEnd::GraceOver { task: 17 };
    let neighbour = "its runner was killed: task 17, open beside it, did not end".to_owned();
    assert_eq!(said(&grace_over, Some(drained()), true, true), (Outcome::Drained, "bye".into()));
    assert_eq!(said(&grace_over, Some(drained()), false, false).0, Outcome::Unbegun);
    assert_eq!(said(&grace_over, None, true, true), (Outcome::Lost, neighbour.clone()));
    assert_eq!(said(&grace_over, None, false, false), (Outcome::Unbegun, neighbour));
    let broken = RunnerEnd::Broken("no frame".to_owned());
    assert_eq!(said(&broken, None, true, true).0, Outcome::Failed);
    assert_eq!(said(&broken, None, false, true).0, Outcome::Failed, "the first of a new runner");
    assert_eq!(said(&broken, None, false, false).0, Outcome::Unbegun);
    let exited = RunnerEnd::Exited(Exit::Code(3));
    assert_eq!(said(&exited, None, true, true), (Outcome::Failed, "exit code 3".into()));
    let early = (Outcome::Unbegun, "its runner ended before it began: exit code 3".into());
    assert_eq!(said(&exited, None, false, false), early);
    let (_, silent) = said(&RunnerEnd::SocketClosed, None, true, true);
    assert_eq!(silent, "its runner closed its socket and did not end");
}
