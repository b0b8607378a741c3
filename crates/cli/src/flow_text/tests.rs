//! Tests of the text for a flow.

use std::collections::BTreeMap;

use rework_core::flow::{show::PastStep, state::StepKind};

use super::*;
use crate::task_text::tests::{at, task};

fn step_task(id: i64, state: State, start: i64, end: Option<i64>, host: &str) -> StepTask {
    StepTask {
        id,
        state,
        host: Some(host.to_owned()),
        started_at: Some(at(start)),
        finished_at: end.map(at),
        reason: (state == State::Failed).then(|| "exit code 3".to_owned()),
        progress: (state == State::Running)
            .then(|| RawValue::from_string(r#"{"done": 2, "total": 5}"#.to_owned()).unwrap()),
    }
}

fn step(number: i32, name: &str, scope: i32, state: StepState) -> FlowStep {
    let kind = match name.rsplit_once(' ') {
        Some((_, "enter")) => StepKind::Enter,
        Some((_, "exit")) => StepKind::Exit,
        _ => StepKind::Task,
    };
    FlowStep { number, name: name.to_owned(), scope, kind, state, ..FlowStep::default() }
}

fn past(id: i64, step: &str, task: StepTask, undo_task: i64) -> PastStep {
    PastStep {
        id,
        step: step.to_owned(),
        scope: Some(1),
        round: 1,
        state: StepState::Reverted,
        task: Some(task),
        undo_task: Some(step_task(undo_task, State::Done, 4, Some(5), "beta")),
    }
}

/// Returns the flow `parts` (`vm`, `volume`), `attach`, `tell` in the second round of `parts`.
fn page() -> FlowPage {
    let root = FlowScope {
        name: "server".into(),
        pattern: "linear".into(),
        last: 5,
        round: 1,
        ..FlowScope::default()
    };
    let parts = FlowScope {
        number: 1,
        outer: Some(0),
        last: 3,
        name: "parts".into(),
        pattern: "unordered".into(),
        controller: Some("times".into()),
        round: 2,
        rounds: Some(3),
        ..FlowScope::default()
    };
    let vm = step_task(41, State::Done, 8, Some(10), "alpha");
    let volume = step_task(42, State::Running, 10, None, "beta");
    let steps = vec![
        step(0, "parts enter", 1, StepState::Done),
        FlowStep { task: Some(vm), ..step(1, "vm", 1, StepState::Done) },
        FlowStep { task: Some(volume), ..step(2, "volume", 1, StepState::Started) },
        step(3, "parts exit", 1, StepState::Pending),
        step(4, "attach", 0, StepState::Pending),
        step(5, "tell", 0, StepState::Skipped),
    ];
    let past = vec![
        past(1, "vm", step_task(30, State::Done, 1, Some(2), "alpha"), 36),
        past(2, "volume", step_task(31, State::Failed, 1, Some(3), "beta"), 35),
    ];
    let counts = [
        (StepState::Done, 1),
        (StepState::Started, 1),
        (StepState::Pending, 1),
        (StepState::Skipped, 1),
    ];
    let flow = Flow {
        id: 7,
        name: "server".into(),
        phase: Phase::Executing,
        ends_as: None,
        failures: Vec::new(),
        steps: BTreeMap::from(counts),
        made_at: at(1),
        ended_at: None,
    };
    FlowPage { flow, scopes: vec![root, parts], steps, past, more_steps: 0 }
}

fn make_server() -> Task {
    Task { operation: "make_server".into(), finished_at: None, ..task(State::Waiting) }
}

#[test]
fn the_tree_shows_each_step_with_its_task() {
    let expected = [
        "7 make_server  waiting  executing 2/4  12.0 s",
        "├─ parts  unordered, round 2 of 3",
        "│  ├─ vm      done     #41  2.0 s  alpha",
        "│  ├─ volume  running  #42  3.0 s  beta   40 %",
        "│  └─ round 1: volume failed #31 exit code 3; reverted volume #35, vm #36",
        "├─ attach     pending",
        "└─ tell       skipped",
    ];
    assert_eq!(tree(&make_server(), &page(), Some(at(13)), false), expected);
}

#[test]
fn without_a_time_only_ended_tasks_have_a_duration() {
    let lines = tree(&make_server(), &page(), None, false);
    assert_eq!(lines[0], "7 make_server  waiting  executing 2/4");
    assert_eq!(lines[2], "│  ├─ vm      done     #41  2.0 s  alpha");
    assert_eq!(lines[3], "│  ├─ volume  running  #42         beta   40 %");
}

#[test]
fn a_revert_is_shown_with_its_own_task() {
    let mut page = page();
    page.flow.phase = Phase::RevertFailed;
    page.scopes[1].aim = Some("revert".into());
    page.steps[1].state = StepState::RevertFailed;
    page.steps[1].undo_task = Some(step_task(43, State::Failed, 11, Some(12), "beta"));
    let lines = tree(&make_server(), &page, None, false);
    assert_eq!(lines[0], "7 make_server  waiting  revert failed 0/3", "one has not started");
    assert_eq!(lines[1], "├─ parts  unordered, round 2 of 3, reverting");
    assert_eq!(lines[2], "│  ├─ vm      revert failed  #43  1.0 s  beta  exit code 3");
    assert!(next_commands(&make_server(), &page.flow).contains("`rework retry-task 7`"));
}

#[test]
fn a_long_list_of_steps_is_shortened() {
    let texts = |count: i32| (1..=count).map(|n| n.to_string()).collect();
    assert_eq!(shortened(texts(0)), None);
    assert_eq!(shortened(texts(2)).as_deref(), Some("1, 2"));
    assert_eq!(shortened(texts(7)).as_deref(), Some("1, 2, 3, 4, 5 and 2 more"));
}
