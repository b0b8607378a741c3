//! [`Numbers`]: the numbers of steps, gates and scopes, and the edges between these numbers.

use crate::fault::{Fault, MAX_EDGES};
use crate::order::Order;
use crate::plan::StepKind;
use crate::tree::{Content, Tree};

/// The numbers of the steps and gates, and of the scopes, of a flow.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// The node and the kind of each number.
    pub(crate) rows: Vec<(usize, StepKind)>,
    /// The node of each scope.
    pub(crate) scopes: Vec<usize>,
    /// The number of each node: that of the step, or of the pattern's entry gate. `None` if a pattern has no gate.
    pub(crate) enter: Vec<Option<i32>>,
    /// The last number of each node: that of the step, or of the pattern's exit gate. `None` if a pattern has no gate.
    pub(crate) exit: Vec<Option<i32>>,
    /// The number of the scope that each pattern is. That of a step is 0, and means nothing.
    pub(crate) scope: Vec<i32>,
}

/// The steps and gates that each step or gate follows directly, and those that follow it.
#[derive(Debug, PartialEq)]
pub(crate) struct Neighbors {
    pub(crate) before: Vec<Vec<i32>>,
    pub(crate) after: Vec<Vec<i32>>,
}

impl Numbers {
    /// Numbers the steps of a flow in an order in which each one comes after those that it follows. The steps of a
    /// pattern, with its gates, have adjacent numbers.
    pub(crate) fn new(tree: &Tree<'_>, order: &Order<'_>) -> Numbers {
        let count = tree.nodes.len();
        let mut numbers = Numbers {
            rows: Vec::with_capacity(count),
            scopes: Vec::new(),
            enter: vec![None; count],
            exit: vec![None; count],
            scope: vec![0; count],
        };
        numbers.add(tree, order, 0);
        numbers
    }

    /// Numbers a node and everything inside it.
    fn add(&mut self, tree: &Tree<'_>, order: &Order<'_>, id: usize) {
        let node = &tree.nodes[id];
        if let Content::Step(_) = node.content {
            self.enter[id] = Some(self.add_row(id, StepKind::Task));
            self.exit[id] = self.enter[id];
            return;
        }
        self.scope[id] = self.scopes.len() as i32;
        self.scopes.push(id);
        if node.outer.is_some() || node.controller().is_some() {
            self.enter[id] = Some(self.add_row(id, StepKind::Enter));
        }
        for &item in &order.sorted[id] {
            self.add(tree, order, item);
        }
        if node.outer.is_some() {
            self.exit[id] = Some(self.add_row(id, StepKind::Exit));
        }
    }

    fn add_row(&mut self, id: usize, kind: StepKind) -> i32 {
        self.rows.push((id, kind));
        self.rows.len() as i32 - 1
    }

    /// Returns the edges. `Err` if there are too many.
    pub(crate) fn neighbors(&self, tree: &Tree<'_>, order: &Order<'_>) -> Result<Neighbors, Fault> {
        let mut edges = Vec::new();
        let mut is_first = vec![true; tree.nodes.len()];
        let mut is_last = is_first.clone();
        for &id in &self.scopes {
            for &(from, to) in &order.edges[id] {
                is_last[from] = false;
                is_first[to] = false;
                edges.push((self.exit[from], self.enter[to]));
            }
            for &item in &tree.nodes[id].items {
                if is_first[item] {
                    edges.push((self.enter[id], self.enter[item]));
                }
                if is_last[item] {
                    edges.push((self.exit[item], self.exit[id]));
                }
            }
            if tree.nodes[id].items.is_empty() {
                edges.push((self.enter[id], self.exit[id]));
            }
        }
        // The outermost pattern may lack gates.
        let edges = edges.into_iter().filter_map(|(from, to)| Some((from?, to?)));
        self.joined(edges.collect())
    }

    /// Groups edges by their ends.
    fn joined(&self, mut edges: Vec<(i32, i32)>) -> Result<Neighbors, Fault> {
        if edges.len() > MAX_EDGES {
            return Err(Fault::TooManyEdges);
        }
        edges.sort_unstable();
        let mut before = vec![Vec::new(); self.rows.len()];
        let mut after = before.clone();
        for (from, to) in edges {
            after[from as usize].push(to);
            before[to as usize].push(from);
        }
        Ok(Neighbors { before, after })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::plan::Plan;
    use crate::scene::{fault, pattern, plan, step};

    /// The ranges of the scopes of a plan.
    fn ranges(plan: &Plan) -> Vec<String> {
        let scope = |scope: &crate::plan::PlannedScope| {
            format!("{} {:?} {}..{}", scope.name, scope.outer, scope.first, scope.last)
        };
        plan.scopes.iter().map(scope).collect()
    }

    fn named(name: &str) -> Value {
        step(json!({"name": name}))
    }

    #[test]
    fn the_steps_of_a_scope_have_adjacent_numbers() {
        let inner = pattern("linear", "h", &[named("b")]);
        let items = [
            pattern("unordered", "g", &[named("a"), inner, named("c")]),
            pattern("linear", "i", &[]),
            named("d"),
        ];
        let mut flow = pattern("linear", "f", &items);
        let plan_without = plan(&flow);
        let expected = ["f None 0..9", "g Some(0) 0..6", "h Some(1) 2..4", "i Some(0) 7..8"];
        assert_eq!(ranges(&plan_without), expected);
        let names: Vec<&str> = plan_without.steps.iter().map(|step| step.name.as_str()).collect();
        let expected =
            ["g enter", "a", "h enter", "b", "h exit", "c", "g exit", "i enter", "i exit", "d"];
        assert_eq!(names, expected);
        let scopes: Vec<i32> = plan_without.steps.iter().map(|step| step.scope).collect();
        assert_eq!(scopes, [1, 1, 2, 2, 2, 1, 1, 3, 3, 0]);
        flow["flow"]["retry"] = json!({"kind": "times", "attempts": 2});
        let plan_with = plan(&flow);
        assert_eq!(ranges(&plan_with)[..2], ["f None 0..10", "g Some(0) 1..7"]);
        assert_eq!(plan_with.steps[0].name, "f enter");
        assert_eq!(plan_with.steps[1].before, [0]);
        assert_eq!(plan_with.steps[10].after, [] as [i32; 0], "the flow has no exit gate");
    }

    #[test]
    fn an_empty_flow_has_an_empty_range() {
        let mut flow = pattern("linear", "f", &[]);
        assert_eq!(ranges(&plan(&flow)), ["f None 0..-1"]);
        flow["flow"]["retry"] = json!({"kind": "always_revert"});
        let plan = plan(&flow);
        assert_eq!(ranges(&plan), ["f None 0..0"]);
        assert_eq!(plan.steps[0].after, [] as [i32; 0]);
    }

    #[test]
    fn many_steps_are_numbered_quickly() {
        let items: Vec<Value> = (0..20_000).map(|n| named(&n.to_string())).collect();
        let line = plan(&pattern("linear", "f", &items));
        assert_eq!(line.steps[19_999].before, [19_998]);
        let all = plan(&pattern("unordered", "f", &items));
        assert!(all.steps.iter().all(|step| step.before.is_empty()));
        let nested = pattern("unordered", "g", &items[..19_998]);
        let nested = plan(&pattern("linear", "f", &[nested]));
        assert_eq!(nested.steps[0].after.len(), 19_998);
        assert_eq!(nested.steps[19_999].before.len(), 19_998);
    }

    #[test]
    fn edges_of_all_scopes_are_counted_together() {
        let graph = |name: &str| {
            let makers = (0..300).map(|n| step(json!({"name": format!("{name}{n}")})));
            let all: Vec<String> = (0..300).map(|n| format!("{name}{n}")).collect();
            let users =
                (0..350).map(|n| step(json!({"name": format!("{name}x{n}"), "after": all})));
            pattern("graph", name, &makers.chain(users).collect::<Vec<_>>())
        };
        let flow = pattern("linear", "f", &[graph("a"), graph("b")]);
        let expected = "at most 200,000 edges between steps, this flow has more";
        assert_eq!(fault(&flow), expected);
    }
}
