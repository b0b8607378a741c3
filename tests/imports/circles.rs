//! Circles in a graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What each node leads to.
pub(crate) type Graph<N> = BTreeMap<N, BTreeSet<N>>;

/// The shortest circle through each edge that is in one, without circles whose edges are all in
/// shorter ones.
pub(crate) fn circles<N: Ord + Clone>(graph: &Graph<N>) -> Vec<Vec<N>> {
    let edges = graph.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    let mut circles: Vec<Vec<N>> = edges.filter_map(|(from, to)| way(graph, to, from)).collect();
    circles.sort_by_key(Vec::len);
    let mut covered = BTreeSet::new();
    circles.retain(|circle| {
        let next = circle.iter().cycle().skip(1);
        let edges: Vec<(N, N)> = circle.iter().cloned().zip(next.cloned()).collect();
        let is_new = edges.iter().any(|edge| !covered.contains(edge));
        covered.extend(edges);
        is_new
    });
    circles
}

/// The nodes of a shortest way, with both of its ends.
fn way<N: Ord + Clone>(graph: &Graph<N>, from: &N, to: &N) -> Option<Vec<N>> {
    let mut before = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(node) = next.pop_front() {
        if node == to {
            let back = std::iter::successors(Some(node), |node| before.get(node).copied());
            let mut way: Vec<N> = back.cloned().collect();
            way.reverse();
            return Some(way);
        }
        for neighbour in graph.get(node).into_iter().flatten() {
            if neighbour != from && !before.contains_key(neighbour) {
                before.insert(neighbour, node);
                next.push_back(neighbour);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&'static str, &'static str)]) -> Graph<&'static str> {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry(*from).or_insert_with(BTreeSet::new).insert(*to);
        }
        graph
    }

    #[test]
    fn a_tree_has_no_circle() {
        let tree = graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]);
        assert_eq!(circles(&tree), Vec::<Vec<&str>>::new());
    }

    #[test]
    fn each_edge_in_a_circle_is_in_a_shortest_one() {
        let circle = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("b", "d"), ("d", "c")]);
        assert_eq!(circles(&circle), [vec!["b", "c", "a"], vec!["d", "c", "a", "b"]]);
    }
}
