//! Groups what steps did in earlier rounds: each time a scope is tried again, the rows of all its steps, nested ones
//! too, are kept together (`rework.keep_past`, in `migrations/V27__flow_revert.sql`). A row names the innermost scope
//! of its step. So which scope was tried again follows from the order of the rows, and from the next round of the step.

use std::collections::{BTreeMap, HashMap};

use crate::flow::{
    show::{FlowPage, FlowScope, FlowStep, PastStep},
    state::{StepKind, StepState},
};

/// A round of a scope that has ended because the scope was tried again.
#[derive(Debug)]
pub struct EndedRound<'a> {
    /// The scope that was tried again.
    pub scope: &'a FlowScope,
    /// The number of the round, from 1.
    pub round: i32,
    /// The history of its steps, nested ones too, in the order of their numbers.
    pub steps: Vec<RoundStep<'a>>,
}

/// The history of a step in a round that has ended.
#[derive(Debug, Clone, Copy)]
pub struct RoundStep<'a> {
    pub number: i32,
    pub past: &'a PastStep,
}

/// The scopes of a flow by number, and which of them are within others.
#[derive(Debug)]
pub(super) struct Scopes<'a>(BTreeMap<i32, &'a FlowScope>);

impl<'a> Scopes<'a> {
    pub(super) fn new(scopes: &'a [FlowScope]) -> Scopes<'a> {
        Scopes(scopes.iter().map(|scope| (scope.number, scope)).collect())
    }

    pub(super) fn get(&self, number: i32) -> Option<&'a FlowScope> {
        self.0.get(&number).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &'a FlowScope> {
        self.0.values().copied()
    }

    /// Returns a scope and those around it, from the inside out.
    pub(super) fn outwards(&self, number: i32) -> impl Iterator<Item = &'a FlowScope> {
        // An outer scope has a smaller number. So this ends, whatever the rows say.
        std::iter::successors(self.get(number), |scope| {
            scope.outer.filter(|outer| *outer < scope.number).and_then(|outer| self.get(outer))
        })
    }
}

/// Returns the rounds that have ended, oldest first. A scope is tried again when all of its steps are reverted. So
/// other rows are left out: those from before a retry of the flow, of gates, and of tasks that never ran.
pub fn ended_rounds(page: &FlowPage) -> Vec<EndedRound<'_>> {
    let scopes = Scopes::new(&page.scopes);
    let rows = rows(page, &scopes);
    let mut rounds = Vec::new();
    for kept in rows.chunk_by(|row, next| row.step.number < next.step.number) {
        let again = tried_again(kept, &scopes);
        let mut parts = BTreeMap::<i32, Vec<RoundStep<'_>>>::new();
        for row in kept {
            let scope = again.get(&row.scope).copied().unwrap_or(row.scope);
            parts.entry(scope).or_default().push(row.step);
        }
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort_by_key(|(_, steps)| steps.first().map(|step| step.past.id));
        for (scope, steps) in parts {
            if let Some(scope) = scopes.get(scope) {
                let round = round(scope, &steps, &rounds);
                rounds.push(EndedRound { scope, round, steps });
            }
        }
    }
    rounds
}

/// A row about an earlier round.
struct Row<'a> {
    step: RoundStep<'a>,
    /// The innermost scope of the step.
    scope: i32,
    /// The round of that scope in which the step ran next. If it did not, the present round.
    next_round: i32,
}

fn rows<'a>(page: &'a FlowPage, scopes: &Scopes<'a>) -> Vec<Row<'a>> {
    let is_step = |step: &&FlowStep| step.kind == StepKind::Task;
    let numbers: HashMap<&str, i32> =
        page.steps.iter().filter(is_step).map(|step| (step.name.as_str(), step.number)).collect();
    let mut later_rounds = HashMap::new();
    let mut rows = Vec::new();
    for past in page.past.iter().rev().filter(|past| past.state == StepState::Reverted) {
        let number = numbers.get(past.step.as_str());
        let scope = past.scope.and_then(|scope| scopes.get(scope));
        if let (Some(&number), Some(scope)) = (number, scope) {
            let next_round = later_rounds.insert(number, past.round).unwrap_or(scope.round);
            rows.push(Row { step: RoundStep { number, past }, scope: scope.number, next_round });
        }
    }
    rows.reverse();
    rows
}

/// Returns for each innermost scope of rows that were kept together which scope was tried again: that scope itself, if
/// its rounds went on. Otherwise they started again at 1, because a scope around it was tried again.
fn tried_again(kept: &[Row<'_>], scopes: &Scopes<'_>) -> BTreeMap<i32, i32> {
    let mut next_rounds = BTreeMap::<i32, (i32, i32)>::new();
    for row in kept {
        let (_, next) = next_rounds.entry(row.scope).or_insert((row.step.past.round, i32::MAX));
        *next = row.next_round.min(*next);
    }
    let goes_on = |scope: i32| {
        let has_controller = scopes.get(scope).is_some_and(|scope| scope.controller.is_some());
        has_controller && next_rounds.get(&scope).is_some_and(|(round, next)| next > round)
    };
    let around = |scope: i32| {
        let mut around = scopes.outwards(scope);
        around.find(|other| other.controller.is_some() && other.number != scope)
    };
    let started_again = next_rounds.keys().filter(|scope| !goes_on(**scope));
    let outermost =
        started_again.filter_map(|scope| around(*scope)).map(|scope| scope.number).min();
    let again = |scope: i32| if goes_on(scope) { scope } else { outermost.unwrap_or(0) };
    next_rounds.keys().map(|&scope| (scope, again(scope))).collect()
}

/// Returns the number of a round: that of the rows of its own steps, else one more than that of the round before.
fn round(scope: &FlowScope, steps: &[RoundStep<'_>], before: &[EndedRound<'_>]) -> i32 {
    let own = steps.iter().find(|step| step.past.scope == Some(scope.number));
    if let Some(own) = own {
        return own.past.round;
    }
    let is_around = |other: &FlowScope| {
        other.number < scope.number && other.first <= scope.first && scope.last <= other.last
    };
    let since_entry = before.iter().rev().take_while(|other| !is_around(other.scope));
    let last = since_entry.into_iter().find(|other| other.scope.number == scope.number);
    last.map_or(1, |last| last.round + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{
        scene::{done, failed, page, past, scope, step},
        state::Phase,
    };

    /// Returns the rounds as texts: `inner 1: a b`.
    fn texts(page: &FlowPage) -> Vec<String> {
        let text = |round: &EndedRound<'_>| {
            let steps = round.steps.iter().map(|step| format!(" {}", step.past.step));
            format!("{} {}:{}", round.scope.name, round.round, steps.collect::<String>())
        };
        ended_rounds(page).iter().map(text).collect()
    }

    /// Returns a flow `a`, `inner` with `b` and `c`, whose scopes are in these rounds.
    fn nested(outer_round: i32, inner_round: i32, past: Vec<PastStep>) -> FlowPage {
        let scopes = vec![
            scope((0, None), "outer", (0, 5), outer_round, Some(3)),
            scope((1, Some(0)), "inner", (2, 5), inner_round, Some(3)),
        ];
        let names = ["outer enter", "a", "inner enter", "b", "c", "inner exit"];
        let steps = (0..)
            .zip(names)
            .map(|(number, name)| step(number, name, i32::from(number >= 2), StepState::Pending));
        page(Phase::Executing, scopes, steps.collect(), past)
    }

    #[test]
    fn rounds_of_one_scope_are_kept_apart() {
        let rows = vec![
            past("b", (1, 1), done(1, 0), done(3, 4)),
            past("c", (1, 1), failed(2, 2), None),
            past("b", (1, 2), failed(4, 6), None),
        ];
        assert_eq!(texts(&nested(1, 3, rows)), ["inner 1: b c", "inner 2: b"]);
    }

    #[test]
    fn rounds_of_nested_scopes_start_again() {
        let rows = vec![
            past("b", (1, 1), failed(2, 0), None),
            past("a", (0, 1), done(1, 0), None),
            past("b", (1, 2), failed(3, 2), None),
            past("b", (1, 1), failed(5, 6), None),
        ];
        let expected = ["inner 1: b", "outer 1: a b", "inner 1: b"];
        assert_eq!(texts(&nested(2, 2, rows)), expected);
    }

    #[test]
    fn a_step_that_a_round_did_not_reach_belongs_to_the_round_before() {
        let rows = vec![
            past("b", (1, 1), done(1, 0), None),
            past("c", (1, 1), failed(2, 2), None),
            past("b", (1, 2), failed(3, 4), None),
            past("b", (1, 3), failed(4, 6), None),
        ];
        assert_eq!(texts(&nested(1, 4, rows)), ["inner 1: b c", "inner 2: b", "inner 3: b"]);
    }

    #[test]
    fn the_rounds_of_a_scope_without_steps_of_its_own_are_counted() {
        let scopes = vec![
            scope((0, None), "outer", (0, 3), 3, Some(3)),
            scope((1, Some(0)), "inner", (1, 3), 1, None),
        ];
        let names = ["outer enter", "inner enter", "b", "inner exit"];
        let steps = (0..)
            .zip(names)
            .map(|(number, name)| step(number, name, i32::from(number >= 1), StepState::Pending));
        let rows = [1, 2].map(|task| past("b", (1, 1), failed(task, task), None)).into();
        let page = page(Phase::Executing, scopes, steps.collect(), rows);
        assert_eq!(texts(&page), ["outer 1: b", "outer 2: b"]);
    }

    #[test]
    fn rows_without_a_round_are_left_out() {
        let withdrawn =
            PastStep { state: StepState::Withdrawn, ..past("c", (1, 1), done(1, 0), None) };
        let earlier_plan = PastStep { scope: None, ..past("b", (1, 1), done(2, 0), None) };
        let gate = past("inner enter", (1, 1), done(3, 0), None);
        let unknown = past("z", (1, 1), done(4, 0), None);
        let page = nested(1, 2, vec![withdrawn, earlier_plan, gate, unknown]);
        assert_eq!(texts(&page), [""; 0]);
    }
}
