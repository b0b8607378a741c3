//! Tests of the judge: each violation is found, and nothing else.

use super::*;

fn line(event: &str, task: i64, run: i64) -> TraceLine {
    TraceLine { event: event.to_owned(), step: "s".to_owned(), task, run }
}

fn ended(id: i64, state: &str, run: i64) -> Ended {
    Ended { id, state: state.to_owned(), run }
}

fn row(state: Option<&str>, task: Ended, undo: Option<Ended>) -> StepRow {
    StepRow {
        name: "s".to_owned(),
        state: state.map(str::to_owned),
        has_undo: true,
        task: Some(task),
        undo_task: undo,
    }
}

/// A flow whose step failed in its first round, in which a run was lost, and was done in the second one.
fn flawless() -> EndedFlow {
    let first = row(None, ended(1, "failed", 2), Some(ended(2, "done", 1)));
    let second = row(Some("done"), ended(3, "done", 1), None);
    let lines =
        vec![line("exec", 1, 1), line("exec", 1, 2), line("revert", 2, 1), line("exec", 3, 1)];
    EndedFlow { id: 7, phase: "done".to_owned(), lines, steps: vec![first, second] }
}

#[track_caller]
fn assert_violation(change: impl FnOnce(&mut EndedFlow), expected: &str) {
    let mut flow = flawless();
    change(&mut flow);
    let violations = judge(&flow, &mut Counts::default());
    let is_found = violations.iter().any(|text| text.contains(expected));
    assert!(is_found, "no `{expected}` in {violations:?}");
}

#[test]
fn a_flow_that_keeps_its_promises_has_no_violation() {
    let mut counts = Counts::default();
    assert_eq!(judge(&flawless(), &mut counts), Vec::<String>::new());
    assert_eq!((counts.executed, counts.executed_again, counts.reverted), (2, 1, 1));
}

#[test]
fn a_revert_of_a_step_whose_code_never_ran_is_no_violation() {
    let mut flow = flawless();
    flow.lines.drain(..2);
    let mut counts = Counts::default();
    assert_eq!(judge(&flow, &mut counts), Vec::<String>::new());
    assert_eq!((counts.executed, counts.reverted_unstarted), (1, 1));
}

#[test]
fn every_violation_is_found() {
    assert_violation(|flow| flow.lines.push(line("exec", 3, 1)), "was executed twice");
    assert_violation(|flow| flow.lines.push(line("exec", 3, 2)), "task 3 is done in run 1");
    assert_violation(|flow| flow.lines.push(line("exec", 4, 1)), "no step knows it");
    assert_violation(|flow| flow.lines.truncate(3), "task 3 has not run");
    assert_violation(|flow| _ = flow.lines.remove(2), "by task 1, and not reverted");
    assert_violation(|flow| flow.phase = "reverted".to_owned(), "by task 3, and not reverted");
    assert_violation(|flow| flow.lines.swap(2, 3), "the order of `s` is wrong");
    let undo_last = |flow: &mut EndedFlow| {
        flow.steps[1].undo_task = Some(ended(4, "done", 1));
        flow.lines.push(line("revert", 4, 1));
    };
    assert_violation(undo_last, "was reverted, and the flow is done");
}
