//! Finds cycles in a directed graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A directed graph: for each node, the nodes to which its edges lead.
pub(crate) type Graph<N> = BTreeMap<N, BTreeSet<N>>;

/// Returns a shortest cycle through each edge that is in a cycle, but without the cycles whose edges are all in shorter
/// ones.
pub(crate) fn shortest_cycles<N: Ord + Clone>(graph: &Graph<N>) -> Vec<Vec<N>> {
    let edges = graph.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    let mut cycles: Vec<Vec<N>> =
        edges.filter_map(|(from, to)| shortest_path(graph, to, from)).collect();
    cycles.sort_by_key(Vec::len);
    let mut covered = BTreeSet::new();
    cycles.retain(|cycle| {
        let next = cycle.iter().cycle().skip(1);
        let edges: Vec<(N, N)> = cycle.iter().cloned().zip(next.cloned()).collect();
        let is_new = edges.iter().any(|edge| !covered.contains(edge));
        covered.extend(edges);
        is_new
    });
    cycles
}

/// Returns the nodes of a shortest path, including its first and last node. `None` if no path exists.
fn shortest_path<N: Ord + Clone>(graph: &Graph<N>, from: &N, to: &N) -> Option<Vec<N>> {
    let mut previous = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(node) = next.pop_front() {
        if node == to {
            let backwards = std::iter::successors(Some(node), |node| previous.get(node).copied());
            let mut path: Vec<N> = backwards.cloned().collect();
            path.reverse();
            return Some(path);
        }
        for neighbour in graph.get(node).into_iter().flatten() {
            if neighbour != from && !previous.contains_key(neighbour) {
                previous.insert(neighbour, node);
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
    fn a_graph_without_cycles_has_none() {
        let acyclic = graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]);
        assert_eq!(shortest_cycles(&acyclic), Vec::<Vec<&str>>::new());
    }

    #[test]
    fn each_edge_of_a_cycle_is_in_a_shortest_cycle() {
        let cyclic = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("b", "d"), ("d", "c")]);
        assert_eq!(shortest_cycles(&cyclic), [vec!["b", "c", "a"], vec!["d", "c", "a", "b"]]);
    }
}
