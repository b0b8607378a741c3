//! Chooses where the values of a random plan come from.

use std::collections::BTreeMap;

use rework_flow::description::Depth;
use rework_flow::plan::{Arguments, Condition, Source, StepKind};
use serde_json::json;

use super::Maker;

impl Maker<'_> {
    pub(super) fn random_condition(&mut self, number: i32) -> Condition {
        let depths = [Depth::All, Depth::Flow, Depth::Neighbors, Depth::Atom];
        let depth = depths[self.random.usize(..4)];
        Condition { sources: self.random_sources(number, &["ok", "go"]), depth }
    }

    pub(super) fn random_arguments(&mut self, number: i32) -> Option<Arguments> {
        match self.random.u8(..8) {
            0 => None,
            1 => Some(Arguments::Whole(self.random_sources(number, &[]))),
            _ => {
                let count = self.random.usize(..4);
                let names = ["a", "b", "c"].into_iter().take(count);
                let pairs = names.map(|name| (name.to_owned(), self.random_sources(number, &[])));
                Some(Arguments::Named(pairs.collect::<BTreeMap<_, _>>()))
            }
        }
    }

    /// Returns up to three sources that are known before a step starts. Paths begin with one of `keys`, if there are any.
    pub(super) fn random_sources(&mut self, number: i32, keys: &[&str]) -> Vec<Source> {
        let count = if keys.is_empty() { self.random.u8(..4) } else { self.random.u8(1..4) };
        (0..count).map(|_| self.random_source(number, keys)).collect()
    }

    pub(super) fn random_source(&mut self, number: i32, keys: &[&str]) -> Source {
        let is_task = |step: &&i32| self.steps[**step as usize].kind == StepKind::Task;
        let steps: Vec<i32> =
            self.earlier[number as usize].iter().filter(is_task).copied().collect();
        let path: Vec<String> = if keys.is_empty() {
            let paths = [&["ok"][..], &["list", "0"], &["list", "-1", "deep"], &[], &["gone"]];
            paths[self.random.usize(..paths.len())].iter().map(ToString::to_string).collect()
        } else {
            vec![keys[self.random.usize(..keys.len())].to_owned()]
        };
        let scope = self.scope_around(number).filter(|_| self.random.u8(..6) == 0);
        if let Some(scope) = scope {
            return Source::Scope { scope, path: Vec::new() };
        }
        match self.random.u8(..5) {
            0..=2 if !steps.is_empty() => {
                Source::Step { step: steps[self.random.usize(..steps.len())], path }
            }
            3 => Source::Value { value: json!([{"n": 1}, number]).into() },
            _ => {
                let keys =
                    if keys.is_empty() { &["go", "number", "nothing", "gone"] } else { keys };
                let input = keys[self.random.usize(..keys.len())].to_owned();
                Source::Input { input, path: Vec::new() }
            }
        }
    }

    /// Returns a scope around a step, or around the scope of an entry gate, at random.
    fn scope_around(&mut self, number: i32) -> Option<i32> {
        let step = &self.steps[number as usize];
        let outer = |scope: i32| self.scopes[scope as usize].outer;
        let mut scope = Some(step.scope);
        if step.kind == StepKind::Enter {
            scope = outer(step.scope);
        }
        while let Some(wider) = scope.and_then(outer).filter(|_| self.random.bool()) {
            scope = Some(wider);
        }
        scope
    }
}
