//! [`Reach`]: whether an item of a graph is before another one.

use std::collections::{HashMap, HashSet};

/// The items of a graph in a sorted order, with those that follow each one.
#[derive(Debug)]
pub(super) struct Reach {
    positions: HashMap<usize, usize>,
    followers: HashMap<usize, Vec<usize>>,
    known: HashMap<(usize, usize), bool>,
}

impl Reach {
    /// Prepares a graph. An item comes after all items that it follows in `sorted`.
    pub(super) fn new(sorted: &[usize], edges: &[(usize, usize)]) -> Reach {
        let mut followers = HashMap::<usize, Vec<usize>>::new();
        for &(from, to) in edges {
            followers.entry(from).or_default().push(to);
        }
        let positions =
            sorted.iter().enumerate().map(|(position, &item)| (item, position)).collect();
        Reach { positions, followers, known: HashMap::new() }
    }

    /// Returns whether each of these items is before the next one.
    pub(super) fn are_in_line(&mut self, items: &[usize]) -> bool {
        items.windows(2).all(|pair| self.is_before(pair[0], pair[1]))
    }

    /// Returns whether edges lead from one item to another one.
    fn is_before(&mut self, from: usize, to: usize) -> bool {
        if let Some(known) = self.known.get(&(from, to)) {
            return *known;
        }
        let last = self.positions.get(&to);
        let mut visited = HashSet::from([from]);
        let mut open = vec![from];
        let mut is_before = false;
        while let Some(item) = open.pop()
            && !is_before
        {
            let followers = self.followers.get(&item).map_or(&[][..], Vec::as_slice);
            is_before = followers.contains(&to);
            // A step that is sorted behind `to` does not lead to it.
            let nearer = followers.iter().filter(|item| self.positions.get(item) < last);
            open.extend(nearer.filter(|item| visited.insert(**item)));
        }
        self.known.insert((from, to), is_before);
        is_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_in_line_if_edges_lead_from_each_to_the_next() {
        let mut reach = Reach::new(&[1, 2, 3, 4, 5], &[(1, 2), (2, 4), (1, 3), (3, 5)]);
        assert!(reach.are_in_line(&[1, 4]));
        assert!(reach.are_in_line(&[1, 2, 4]));
        assert!(!reach.are_in_line(&[2, 3]));
        assert!(!reach.are_in_line(&[1, 3, 4]));
        assert!(!reach.are_in_line(&[2, 5]));
        assert!(reach.are_in_line(&[1, 5]), "found again");
        assert!(reach.are_in_line(&[1, 5]));
        assert!(reach.are_in_line(&[3]));
    }
}
