//! Sorts items so that each comes after those that it follows.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Sorts items by edges: pairs of which the second follows the first. Items that may come in any order keep theirs.
///
/// `Err` if that is impossible: items of which each is followed by the next one, and the last one by the first.
pub(super) fn sort(items: &[usize], edges: &[(usize, usize)]) -> Result<Vec<usize>, Vec<usize>> {
    let positions: HashMap<usize, usize> =
        items.iter().enumerate().map(|(position, &item)| (item, position)).collect();
    let edges: Vec<(usize, usize)> = edges
        .iter()
        .filter_map(|(from, to)| Some((*positions.get(from)?, *positions.get(to)?)))
        .collect();
    let mut followers = vec![Vec::new(); items.len()];
    let mut missing = vec![0_usize; items.len()];
    for &(from, to) in &edges {
        followers[from].push(to);
        missing[to] += 1;
    }
    let free = (0..items.len()).filter(|position| missing[*position] == 0).map(Reverse);
    let mut free: BinaryHeap<Reverse<usize>> = free.collect();
    let mut sorted = Vec::with_capacity(items.len());
    while let Some(Reverse(position)) = free.pop() {
        sorted.push(items[position]);
        for &follower in &followers[position] {
            missing[follower] -= 1;
            if missing[follower] == 0 {
                free.push(Reverse(follower));
            }
        }
    }
    if sorted.len() == items.len() {
        return Ok(sorted);
    }
    Err(circle(&missing, &edges).into_iter().map(|position| items[position]).collect())
}

/// Returns a circle among the items that could not be sorted: those that still miss an item before them. Each of them
/// has such an item before it. So following these from item to item leads into a circle.
fn circle(missing: &[usize], edges: &[(usize, usize)]) -> Vec<usize> {
    let mut before = HashMap::new();
    for &(from, to) in edges {
        if missing[from] > 0 && missing[to] > 0 {
            before.entry(to).or_insert(from);
        }
    }
    let mut next = missing.iter().position(|missing| *missing > 0);
    let mut path = Vec::new();
    let mut places = HashMap::new();
    while let Some(position) = next {
        if let Some(start) = places.insert(position, path.len()) {
            path.drain(..start);
            break;
        }
        path.push(position);
        next = before.get(&position).copied();
    }
    path.reverse();
    let first = path.iter().enumerate().min_by_key(|(_, position)| **position);
    let first = first.map_or(0, |(place, _)| place);
    path.rotate_left(first);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_order_where_they_can() {
        let sorted = sort(&[2, 5, 7, 9], &[(9, 5), (9, 2), (2, 5), (9, 5)]);
        assert_eq!(sorted, Ok(vec![7, 9, 2, 5]));
        assert_eq!(sort(&[3, 1, 2], &[]), Ok(vec![3, 1, 2]));
        assert_eq!(sort(&[], &[]), Ok(vec![]));
    }

    #[test]
    fn a_circle_is_found_behind_and_before_other_items() {
        let edges = [(1, 2), (2, 3), (3, 4), (4, 2), (4, 5)];
        assert_eq!(sort(&[1, 2, 3, 4, 5], &edges), Err(vec![2, 3, 4]));
        assert_eq!(sort(&[0, 1], &[(1, 1)]), Err(vec![1]));
        let edges = [(1, 2), (2, 3), (3, 1), (3, 2)];
        let circle = sort(&[1, 2, 3], &edges).unwrap_err();
        assert!(circle == [1, 2, 3] || circle == [2, 3], "{circle:?}");
    }

    #[test]
    fn long_lines_are_sorted() {
        let items: Vec<usize> = (0..100_000).collect();
        let edges: Vec<(usize, usize)> = (1..100_000).map(|item| (item, item - 1)).collect();
        let sorted = sort(&items, &edges).unwrap();
        assert_eq!((sorted[0], sorted[99_999]), (99_999, 0));
        let mut closed = edges;
        closed.push((0, 99_999));
        assert_eq!(sort(&items, &closed).unwrap_err().len(), 100_000);
    }
}
