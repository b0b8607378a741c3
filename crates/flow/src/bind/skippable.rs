//! Which steps may be skipped although a step after them runs.

use crate::description::Depth;
use crate::tree::{Node, Tree};

/// Returns for each node whether it may be skipped although a step after it is not. This is only sure of a node without
/// a condition that no other condition reaches; a condition of the depth `all` reaches everything after it, too.
pub(super) fn skippable(tree: &Tree<'_>) -> Vec<bool> {
    // The neighbors of a step may be in other patterns. Such conditions are rare, so all steps count as neighbors.
    let any_neighbors = tree.nodes.iter().any(|node| has_depth(node, Depth::Neighbors));
    let mut skippable = vec![any_neighbors; tree.nodes.len()];
    let mut skips_items = vec![false; tree.nodes.len()];
    for node in tree.nodes.iter().filter(|node| has_depth(node, Depth::Flow)) {
        if let Some(outer) = node.outer {
            skips_items[outer] = true;
        }
    }
    // A pattern comes before its items.
    for (id, node) in tree.nodes.iter().enumerate() {
        let by_outer = node.outer.is_some_and(|outer| skippable[outer] || skips_items[outer]);
        skippable[id] |= by_outer || node.condition.is_some();
    }
    skippable
}

fn has_depth(node: &Node<'_>, depth: Depth) -> bool {
    node.condition.is_some_and(|(_, found)| found == depth)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::description::Description;
    use crate::scene::{pattern, step};

    /// The names of what may be skipped.
    fn names(flow: &Value) -> Vec<String> {
        let description = Description::read(&flow.to_string()).unwrap();
        let tree = Tree::new(&description.flow).unwrap();
        let skippable = skippable(&tree);
        let nodes = tree.nodes.iter().zip(skippable).filter(|(_, skippable)| *skippable);
        nodes.map(|(node, _)| node.name().to_owned()).collect()
    }

    fn flow(depth: &str) -> Value {
        let last = pattern("linear", "h", &[step(json!({"name": "c"}))]);
        let condition = step(json!({"name": "a", "only_if": "x", "depth": depth}));
        let inner = pattern("linear", "g", &[condition, step(json!({"name": "b"})), last]);
        pattern("linear", "f", &[inner, step(json!({"name": "d"}))])
    }

    #[test]
    fn a_condition_reaches_as_far_as_its_depth() {
        assert_eq!(names(&flow("atom")), ["a"]);
        assert_eq!(names(&flow("all")), ["a"], "what it reaches has no step after it that runs");
        assert_eq!(names(&flow("flow")), ["a", "b", "h", "c"]);
        assert_eq!(names(&flow("neighbors")), ["f", "g", "a", "b", "h", "c", "d"]);
    }
}
