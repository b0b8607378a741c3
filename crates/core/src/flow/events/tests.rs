//! Tests of the sequence of events of a flow.

use super::*;
use crate::{
    flow::{
        scene::{done, failed, page, past, scope, step, task, with_tasks},
        show::FlowStep,
        state::{Phase, StepState},
    },
    task::state::State,
};

fn text(page: &FlowPage) -> String {
    events(page).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Returns the flow `a`, `b` with the controller `Times(2)` in its second round. `b` failed in the first one.
fn second_round(phase: Phase, steps: [FlowStep; 2]) -> FlowPage {
    let [a, b] = steps;
    let rows = vec![
        past("a", (0, 1), done(1, 0), done(4, 6)),
        past("b", (0, 1), failed(2, 2), done(3, 4)),
    ];
    let gate = step(0, "f enter", 0, StepState::Done);
    page(phase, vec![scope((0, None), "f", (0, 2), 2, Some(2))], vec![gate, a, b], rows)
}

const FIRST_ROUND: &str = "FLOW=RUNNING f_retry=RUNNING f_retry=SUCCESS a=RUNNING a=SUCCESS \
                           b=RUNNING b=FAILURE b=REVERTING b=REVERTED a=REVERTING a=REVERTED \
                           f_retry=RETRYING a=PENDING b=PENDING f_retry=RUNNING f_retry=SUCCESS";

#[test]
fn a_flow_that_is_tried_again_has_the_events_of_taskflow() {
    let a = with_tasks(step(1, "a", 0, StepState::Done), done(5, 8), None);
    let b = with_tasks(step(2, "b", 0, StepState::Done), done(6, 10), None);
    let expected = "a=RUNNING a=SUCCESS b=RUNNING b=SUCCESS FLOW=SUCCESS";
    let page = second_round(Phase::Done, [a, b]);
    assert_eq!(text(&page), format!("{FIRST_ROUND} {expected}"));
}

#[test]
fn a_flow_that_is_reverted_has_the_events_of_taskflow() {
    let a = with_tasks(step(1, "a", 0, StepState::Reverted), done(5, 8), done(8, 14));
    let b = with_tasks(step(2, "b", 0, StepState::Reverted), failed(6, 10), done(7, 12));
    let expected = "a=RUNNING a=SUCCESS b=RUNNING b=FAILURE b=REVERTING b=REVERTED a=REVERTING \
                    a=REVERTED f_retry=REVERTING f_retry=REVERTED FLOW=REVERTED";
    let page = second_round(Phase::Reverted, [a, b]);
    assert_eq!(text(&page), format!("{FIRST_ROUND} {expected}"));
}

#[test]
fn a_flow_that_runs_has_the_events_so_far() {
    let running = task(5, State::Running, 8, None);
    let a = with_tasks(step(1, "a", 0, StepState::Started), Some(running), None);
    let page = second_round(Phase::Executing, [a, step(2, "b", 0, StepState::Pending)]);
    assert_eq!(text(&page), format!("{FIRST_ROUND} a=RUNNING"));
}

#[test]
fn a_step_without_a_revert_is_reverted_at_once() {
    let scopes = vec![
        scope((0, None), "f", (0, 3), 1, None),
        scope((1, Some(0)), "inner", (1, 3), 2, Some(2)),
    ];
    let steps = vec![
        with_tasks(step(0, "a", 0, StepState::Reverted), done(1, 0), None),
        step(1, "inner enter", 1, StepState::Reverted),
        with_tasks(step(2, "s", 1, StepState::Reverted), failed(3, 4), None),
        step(3, "inner exit", 1, StepState::Pending),
    ];
    let rows = vec![past("s", (1, 1), failed(2, 2), None)];
    let expected = "FLOW=RUNNING a=RUNNING a=SUCCESS inner_retry=RUNNING inner_retry=SUCCESS \
                    s=RUNNING s=FAILURE s=REVERTING s=REVERTED inner_retry=RETRYING s=PENDING \
                    inner_retry=RUNNING inner_retry=SUCCESS s=RUNNING s=FAILURE s=REVERTING \
                    s=REVERTED inner_retry=REVERTING inner_retry=REVERTED a=REVERTING a=REVERTED \
                    FLOW=REVERTED";
    assert_eq!(text(&page(Phase::Reverted, scopes, steps, rows)), expected);
}

#[test]
fn controllers_of_inner_patterns_start_again_with_the_outer_one() {
    let scopes = vec![
        scope((0, None), "outer", (0, 4), 2, Some(2)),
        scope((1, Some(0)), "inner", (2, 4), 1, Some(2)),
    ];
    let steps = vec![
        step(0, "outer enter", 0, StepState::Done),
        with_tasks(step(1, "a", 0, StepState::Done), done(4, 8), None),
        step(2, "inner enter", 1, StepState::Done),
        with_tasks(step(3, "s", 1, StepState::Done), done(5, 10), None),
        step(4, "inner exit", 1, StepState::Done),
    ];
    let rows = vec![
        past("s", (1, 1), failed(2, 2), None),
        past("a", (0, 1), done(1, 0), None),
        past("s", (1, 2), failed(3, 4), None),
    ];
    let expected = "FLOW=RUNNING outer_retry=RUNNING outer_retry=SUCCESS a=RUNNING a=SUCCESS \
                    inner_retry=RUNNING inner_retry=SUCCESS s=RUNNING s=FAILURE s=REVERTING \
                    s=REVERTED inner_retry=RETRYING s=PENDING inner_retry=RUNNING \
                    inner_retry=SUCCESS s=RUNNING s=FAILURE s=REVERTING s=REVERTED \
                    inner_retry=REVERTING inner_retry=REVERTED a=REVERTING a=REVERTED \
                    outer_retry=RETRYING a=PENDING inner_retry=PENDING s=PENDING \
                    outer_retry=RUNNING outer_retry=SUCCESS a=RUNNING a=SUCCESS \
                    inner_retry=RUNNING inner_retry=SUCCESS s=RUNNING s=SUCCESS FLOW=SUCCESS";
    assert_eq!(text(&page(Phase::Done, scopes, steps, rows)), expected);
}

#[test]
fn a_revert_that_fails_and_a_skipped_step_have_their_own_events() {
    let revert = task(3, State::Failed, 4, Some(5));
    let steps = vec![
        step(0, "never", 0, StepState::Skipped),
        with_tasks(step(1, "a", 0, StepState::RevertFailed), failed(1, 0), Some(revert)),
    ];
    let scopes = vec![scope((0, None), "f", (0, 1), 1, None)];
    let expected = "FLOW=RUNNING never=IGNORE a=RUNNING a=FAILURE a=REVERTING a=REVERT_FAILURE \
                    FLOW=FAILURE";
    assert_eq!(text(&page(Phase::RevertFailed, scopes, steps, Vec::new())), expected);
}
