//! Makes random plans, with everything that plans can have. They are made without the compiler, which has its own tests.

use std::collections::BTreeSet;

use fastrand::Rng;
use rework_flow::description::{ControllerKind, OnFailure, PatternKind};
use rework_flow::plan::{Arguments, Plan, PlannedScope, PlannedStep, StepKind};
use serde_json::{Value, json};

use super::operations::Operations;

mod values;

/// A flow has about so many steps at most.
const MOST_STEPS: usize = 30;

/// A pattern is nested at most so deep.
const MOST_LEVELS: u32 = 4;

/// Makes a random plan. Every third one is simple.
pub(crate) fn random_plan(random: &mut Rng, operations: &Operations) -> Plan {
    let mut maker = Maker {
        random,
        operations,
        is_simple: false,
        style: Style::Mixed,
        steps: Vec::new(),
        scopes: Vec::new(),
        earlier: Vec::new(),
    };
    maker.is_simple = maker.random.u8(..3) == 0;
    maker.style = [Style::Mixed, Style::Retries, Style::Conditions][maker.random.usize(..3)];
    maker.add_scope(None, &[], 1);
    let mut plan = Plan {
        // The others go through the functions for all plans.
        simple: maker.is_simple && maker.random.u8(..4) > 0,
        returns: maker.returns(),
        remaining: 0,
        scopes: maker.scopes,
        steps: maker.steps,
    };
    let edges: Vec<(i32, i32)> = plan
        .steps
        .iter()
        .flat_map(|step| step.before.iter().map(|before| (*before, step.number)))
        .collect();
    for (before, after) in edges {
        plan.steps[before as usize].after.push(after);
    }
    plan.remaining = plan.steps.iter().filter(|step| step.after.is_empty()).count() as i32;
    plan
}

/// Returns a random input of a flow, with the keys from which the plans take values.
pub(super) fn random_input(random: &mut Rng) -> Value {
    let list = [json!([1, {"a": 2}]), json!(["x", null, 3]), json!([[]]), json!([]), json!("text")];
    json!({
        "go": random.u8(..4) > 0,
        "number": random.u8(..3),
        "list": list[random.usize(..list.len())],
        "nothing": null,
    })
}

/// The kind of items that a plan has most of.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Mixed,
    Retries,
    Conditions,
}

/// A plan that is being made.
struct Maker<'a> {
    random: &'a mut Rng,
    operations: &'a Operations,
    is_simple: bool,
    style: Style,
    steps: Vec<PlannedStep>,
    scopes: Vec<PlannedScope>,
    /// For each step, those that are over before it starts.
    earlier: Vec<BTreeSet<i32>>,
}

impl Maker<'_> {
    /// Adds a pattern with everything in it. Its first steps follow `before`. Returns its last steps.
    fn add_scope(&mut self, outer: Option<i32>, before: &[i32], level: u32) -> Vec<i32> {
        let number = self.scopes.len() as i32;
        let scope = self.random_scope(number, outer);
        let has_gate = outer.is_some() || scope.controller.is_some();
        let pattern = scope.pattern;
        self.scopes.push(scope);
        let mut entry = before.to_vec();
        if has_gate {
            entry = vec![self.add_gate(number, StepKind::Enter, before)];
            self.set_controller(number, entry[0]);
        }
        let mut lasts = self.add_items(number, pattern, &entry, level);
        if lasts.is_empty() {
            lasts.clone_from(&entry);
        }
        if outer.is_some() {
            lasts = vec![self.add_gate(number, StepKind::Exit, &lasts)];
        }
        self.scopes[number as usize].last = self.steps.len() as i32 - 1;
        lasts
    }

    fn random_scope(&mut self, number: i32, outer: Option<i32>) -> PlannedScope {
        let controller = match self.random.u8(..13) {
            number if self.style == Style::Retries && number > 5 => Some(ControllerKind::Operation),
            0..=3 => Some(ControllerKind::Times),
            4 => Some(ControllerKind::ForEach),
            5 => Some(ControllerKind::ForEachOf),
            6 => Some(ControllerKind::AlwaysRevert),
            7 => Some(ControllerKind::AlwaysRevertAll),
            8..=10 => Some(ControllerKind::Operation),
            _ => None,
        };
        PlannedScope {
            number,
            outer,
            first: self.steps.len() as i32,
            last: -1,
            name: format!("p{number}"),
            pattern: [PatternKind::Linear, PatternKind::Unordered, PatternKind::Graph]
                [self.random.usize(..3)],
            controller: controller.filter(|_| !self.is_simple),
            attempts: None,
            values: None,
            values_from: None,
            operation: None,
            revert_all: self.random.u8(..6) == 0,
            provides: None,
        }
    }

    /// Gives the controller of a scope what it needs. The values may come from steps before the gate.
    fn set_controller(&mut self, scope: i32, gate: i32) {
        let sources = self.random_sources(gate, &["list"]);
        let values: Vec<Value> = (0..self.random.u8(1..4)).map(|n| json!({"n": n})).collect();
        let attempts = self.random.u32(1..4);
        let operations = self.operations;
        let decide =
            [operations.decide, operations.refused][usize::from(self.random.u8(..20) == 0)];
        let scope = &mut self.scopes[scope as usize];
        match scope.controller {
            Some(ControllerKind::Times) => scope.attempts = Some(attempts),
            Some(ControllerKind::ForEach) => {
                scope.values = Some(values.into_iter().map(Into::into).collect());
            }
            Some(ControllerKind::ForEachOf) => scope.values_from = Some(sources),
            Some(ControllerKind::Operation) => scope.operation = Some(decide),
            _ => {}
        }
    }

    /// Adds the items of a pattern. Returns the last steps of those that no other item follows.
    fn add_items(
        &mut self,
        scope: i32,
        pattern: PatternKind,
        entry: &[i32],
        level: u32,
    ) -> Vec<i32> {
        let count = if level == 1 { self.random.usize(2..9) } else { self.random.usize(..6) };
        let mut ends: Vec<Vec<i32>> = Vec::new();
        let mut is_followed = Vec::new();
        for item in 0..count {
            if self.steps.len() >= MOST_STEPS {
                break;
            }
            let follows: Vec<usize> = match pattern {
                PatternKind::Linear => item.checked_sub(1).into_iter().collect(),
                PatternKind::Unordered => Vec::new(),
                PatternKind::Graph => (0..item).filter(|_| self.random.u8(..5) < 2).collect(),
            };
            let mut before: Vec<i32> = follows.iter().flat_map(|&n| ends[n].clone()).collect();
            if before.is_empty() {
                before = entry.to_vec();
            }
            before.sort_unstable();
            let is_nested = !self.is_simple && level < MOST_LEVELS && self.random.u8(..5) < 2;
            let lasts = if is_nested {
                self.add_scope(Some(scope), &before, level + 1)
            } else {
                vec![self.add_task(scope, &before)]
            };
            ends.push(lasts);
            is_followed.push(false);
            for followed in follows {
                is_followed[followed] = true;
            }
        }
        let last = ends.into_iter().zip(is_followed).filter(|(_, is_followed)| !is_followed);
        last.flat_map(|(lasts, _)| lasts).collect()
    }

    fn add_gate(&mut self, scope: i32, kind: StepKind, before: &[i32]) -> i32 {
        let part = if kind == StepKind::Enter { "enter" } else { "exit" };
        let number = self.add_step(scope, kind, format!("p{scope} {part}"), before);
        if kind == StepKind::Enter && scope > 0 && self.has_condition() {
            self.steps[number as usize].condition = Some(self.random_condition(number));
        }
        number
    }

    fn add_task(&mut self, scope: i32, before: &[i32]) -> i32 {
        let name = format!("s{}", self.steps.len());
        let number = self.add_step(scope, StepKind::Task, name, before);
        let args = self.random_arguments(number);
        let condition =
            (!self.is_simple && self.has_condition()).then(|| self.random_condition(number));
        let on_failure = match self.random.u8(..16) {
            0 if !self.is_simple => OnFailure::Stop,
            1..=2 if !self.is_simple => OnFailure::Continue,
            _ => OnFailure::Revert,
        };
        let (execute, undo) = (self.random.u8(..100), self.random.u8(..100));
        let step = &mut self.steps[number as usize];
        step.args = args;
        step.condition = condition;
        step.on_failure = on_failure;
        let operations = self.operations;
        step.operation = Some(if execute == 0 { operations.refused } else { operations.execute });
        step.undo_operation = match undo {
            0 => Some(operations.refused_undo),
            1..=74 => Some(operations.undo),
            _ => None,
        };
        number
    }

    fn has_condition(&mut self) -> bool {
        let one_of = if self.style == Style::Conditions { 3 } else { 8 };
        self.random.u8(..one_of) == 0
    }

    fn add_step(&mut self, scope: i32, kind: StepKind, name: String, before: &[i32]) -> i32 {
        let number = self.steps.len() as i32;
        let mut earlier: BTreeSet<i32> = before.iter().copied().collect();
        for before in before {
            earlier.extend(&self.earlier[*before as usize]);
        }
        self.earlier.push(earlier);
        self.steps.push(PlannedStep {
            number,
            name,
            scope,
            kind,
            operation: None,
            undo_operation: None,
            before: before.to_vec(),
            after: Vec::new(),
            args: None,
            condition: None,
            on_failure: OnFailure::Revert,
        });
        number
    }

    fn returns(&mut self) -> Option<Arguments> {
        let last = self.steps.len() as i32 - 1;
        (last >= 0 && self.random.bool()).then(|| Arguments::Whole(self.random_sources(last, &[])))
    }
}
