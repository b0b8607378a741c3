//! [`Order`]: which items of a pattern follow which, and the order in which the items are numbered.

mod sort;

use std::collections::{BTreeSet, HashMap, HashSet};

use self::sort::sort;
use crate::description::{Pattern, PatternKind};
use crate::fault::{Fault, MAX_EDGES};
use crate::ports::Ports;
use crate::tree::{Content, Node, Tree};

/// The order of the items of each pattern. All lists have one entry per node of the tree.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// The names of the values that a step or pattern, with everything inside it, needs from outside.
    pub(crate) needs: Vec<BTreeSet<&'a str>>,
    /// The names of the values that a step or pattern, with everything inside it, provides.
    pub(crate) provides: Vec<BTreeSet<&'a str>>,
    /// The items of a pattern. An item comes after all items that it follows.
    pub(crate) sorted: Vec<Vec<usize>>,
    /// The pairs of items of a pattern of which the second follows the first.
    pub(crate) edges: Vec<Vec<(usize, usize)>>,
}

impl<'a> Order<'a> {
    /// Orders the items of all patterns. `Err` if some wait for each other.
    pub(crate) fn new(tree: &Tree<'a>, ports: &[Ports<'a>]) -> Result<Order<'a>, Fault> {
        let count = tree.nodes.len();
        let mut order = Order {
            needs: vec![BTreeSet::new(); count],
            provides: vec![BTreeSet::new(); count],
            sorted: vec![Vec::new(); count],
            edges: vec![Vec::new(); count],
        };
        // Items come after their pattern, so all items of a pattern are handled before it.
        for (id, (node, ports)) in tree.nodes.iter().zip(ports).enumerate().rev() {
            order.needs[id] = ports.needs().collect();
            order.provides[id] = ports.provides.iter().map(|(name, _)| *name).collect();
            if let Content::Pattern(pattern) = node.content {
                order.add_items(id, node, pattern)?;
                order.sorted[id] = sort(&node.items, &order.edges[id]).map_err(|circle| {
                    let names = circle.iter().map(|item| tree.nodes[*item].name().to_owned());
                    Fault::Circle(names.collect())
                })?;
            }
        }
        Ok(order)
    }

    /// Adds the edges between the items of a pattern, and what they need and provide. So far, the pattern has only the
    /// names of its controller: `needs[id]` is what the controller needs, and `provides[id]` is its value.
    fn add_items(&mut self, id: usize, node: &Node<'a>, pattern: &Pattern) -> Result<(), Fault> {
        let controller = self.provides[id].clone();
        match pattern.kind {
            PatternKind::Linear => {
                let mut before = controller;
                for &item in &node.items {
                    let missing: Vec<&str> =
                        self.needs[item].difference(&before).copied().collect();
                    self.needs[id].extend(missing);
                    before.extend(&self.provides[item]);
                }
                self.edges[id] = node.items.windows(2).map(|pair| (pair[0], pair[1])).collect();
            }
            PatternKind::Unordered => {
                for &item in &node.items {
                    let missing: Vec<&str> =
                        self.needs[item].difference(&controller).copied().collect();
                    self.needs[id].extend(missing);
                }
            }
            PatternKind::Graph => self.add_graph(id, node, &controller)?,
        }
        for &item in &node.items {
            let provided: Vec<&str> = self.provides[item].iter().copied().collect();
            self.provides[id].extend(provided);
        }
        Ok(())
    }

    /// Adds the edges of a graph: from items that provide a value to those that need it, and the links.
    fn add_graph(
        &mut self,
        id: usize,
        node: &Node<'a>,
        controller: &BTreeSet<&'a str>,
    ) -> Result<(), Fault> {
        let mut providers = HashMap::<&str, Vec<usize>>::new();
        for &item in &node.items {
            for &name in &self.provides[item] {
                providers.entry(name).or_default().push(item);
            }
        }
        let mut edges: HashSet<(usize, usize)> = node.links.iter().copied().collect();
        let mut missing = Vec::new();
        for &item in &node.items {
            for &name in &self.needs[item] {
                let of_name = providers.get(name).into_iter().flatten();
                let mut is_provided = controller.contains(name);
                for &provider in of_name.filter(|provider| **provider != item) {
                    edges.insert((provider, item));
                    is_provided = true;
                }
                if !is_provided {
                    missing.push(name);
                }
            }
            if edges.len() > MAX_EDGES {
                return Err(Fault::TooManyEdges);
            }
        }
        self.needs[id].extend(missing);
        self.edges[id] = edges.into_iter().collect();
        self.edges[id].sort_unstable();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::description::Description;
    use crate::scene::{fault, operations, pattern, plan, step};
    use crate::{ports, uses};

    /// The steps and gates of a plan, each with those that it follows.
    fn edges(flow: &Value) -> Vec<String> {
        let plan = plan(flow);
        let name = |number: &i32| plan.steps[*number as usize].name.clone();
        plan.steps
            .iter()
            .map(|step| {
                let before: Vec<String> = step.before.iter().map(name).collect();
                format!("{} after [{}]", step.name, before.join(", "))
            })
            .collect()
    }

    fn named(name: &str) -> Value {
        step(json!({"name": name}))
    }

    #[test]
    fn a_linear_pattern_is_a_chain_and_an_unordered_one_has_no_edges() {
        let items = [named("c"), named("a"), named("b")];
        let expected = ["c after []", "a after [c]", "b after [a]"];
        assert_eq!(edges(&pattern("linear", "f", &items)), expected);
        let expected = ["c after []", "a after []", "b after []"];
        assert_eq!(edges(&pattern("unordered", "f", &items)), expected);
        assert!(edges(&pattern("graph", "f", &[])).is_empty());
    }

    #[test]
    fn an_item_of_a_graph_follows_what_provides_its_values() {
        let items = [
            step(json!({"name": "attach", "operation": "moved"})),
            step(json!({"name": "vm", "provides": "vm"})),
            step(json!({"name": "cool", "after": ["vm", "vm"], "only_if": "vm.hot"})),
            step(json!({"name": "disk", "provides": {"disk": "id", "size": ""}})),
        ];
        let expected =
            ["vm after []", "cool after [vm]", "disk after []", "attach after [vm, disk]"];
        assert_eq!(edges(&pattern("graph", "f", &items)), expected);
    }

    #[test]
    fn nested_patterns_are_one_item_with_gates() {
        let inner = [step(json!({"name": "vm", "provides": "vm"})), named("check")];
        let last = [step(json!({"name": "use", "requires": {"x": "vm.ip"}})), named("other")];
        let items = [
            pattern("unordered", "end", &last),
            pattern("linear", "make", &inner),
            pattern("linear", "empty", &[]),
        ];
        let mut flow = pattern("graph", "f", &items);
        flow["flow"]["links"] = json!([{"from": "end", "to": "empty"}]);
        let expected = [
            "make enter after []",
            "vm after [make enter]",
            "check after [vm]",
            "make exit after [check]",
            "end enter after [make exit]",
            "use after [end enter]",
            "other after [end enter]",
            "end exit after [use, other]",
            "empty enter after [end exit]",
            "empty exit after [empty enter]",
        ];
        assert_eq!(edges(&flow), expected);
    }

    #[test]
    fn a_pattern_needs_what_its_items_do_not_provide_in_time() {
        let inner = [
            step(json!({"name": "a", "requires": {"x": "late", "y": "round"}})),
            step(json!({"name": "b", "requires": {"x": "late.id"}, "provides": "late"})),
            step(json!({"name": "c", "whole": "late", "only_if": "go", "provides": {"d": "x"}})),
        ];
        let mut nested = pattern("linear", "g", &inner);
        nested["flow"]["retry"] =
            json!({"kind": "for_each_of", "from": "list", "provides": "round"});
        let flow = pattern("unordered", "f", &[nested]);
        let description = Description::read(&flow.to_string()).unwrap();
        let tree = Tree::new(&description.flow).unwrap();
        let operations = operations();
        let uses = uses::uses(&tree, "default", &operations).unwrap();
        let ports = ports::ports(&tree, &uses).unwrap();
        let order = Order::new(&tree, &ports).unwrap();
        assert_eq!(order.needs[1], BTreeSet::from(["go", "late", "list"]));
        assert_eq!(order.provides[1], BTreeSet::from(["d", "late", "round"]));
        assert_eq!(order.needs[0], order.needs[1]);
    }

    #[test]
    fn a_circle_is_listed() {
        let items = [
            named("apart"),
            step(json!({"name": "p", "requires": {"a": "y"}, "provides": "x"})),
            step(json!({"name": "q", "requires": {"a": "x"}, "provides": "y"})),
            step(json!({"name": "after", "after": ["q"]})),
        ];
        assert_eq!(fault(&pattern("graph", "f", &items)), "in a circle: `p` → `q` → `p`");
        let itself = [step(json!({"name": "a", "after": ["a"]}))];
        assert_eq!(fault(&pattern("graph", "f", &itself)), "in a circle: `a` → `a`");
    }

    #[test]
    fn edges_are_limited() {
        let makers = (0..500).map(|n| step(json!({"name": format!("m{n}"), "provides": "x"})));
        let users =
            (0..500).map(|n| step(json!({"name": format!("u{n}"), "requires": {"a": "x"}})));
        let items: Vec<Value> = makers.chain(users).collect();
        let expected = "at most 200,000 edges between steps, this flow has more";
        assert_eq!(fault(&pattern("graph", "f", &items)), expected);
    }
}
