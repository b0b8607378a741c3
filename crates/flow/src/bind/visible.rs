//! [`Visible`]: the providers of values that the current step may use.

use std::collections::HashMap;
use std::rc::Rc;

use crate::plan::Source;

/// A step or controller that provides a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Provider {
    /// The node of the step, or of the pattern with the controller.
    pub(super) node: usize,
    /// The source of the value.
    pub(super) source: Source,
    /// Whether the value exists whenever a step after it runs.
    pub(super) is_certain: bool,
}

/// Providers of a name. If there are several, none of them is before another one.
pub(super) type Group = Rc<[Provider]>;

/// The providers of each name, the nearest ones last.
#[derive(Debug, Default)]
pub(super) struct Visible<'a> {
    groups: HashMap<&'a str, Vec<Group>>,
    /// The names to which a group was added, in this order.
    added: Vec<&'a str>,
}

impl<'a> Visible<'a> {
    /// Adds providers that are nearer than all others.
    pub(super) fn add(&mut self, name: &'a str, group: Group) {
        self.groups.entry(name).or_default().push(group);
        self.added.push(name);
    }

    /// Returns how many groups there are.
    pub(super) fn count(&self) -> usize {
        self.added.len()
    }

    /// Removes the last groups until there are `count`. Returns them in the order in which they were added.
    pub(super) fn remove_after(&mut self, count: usize) -> Vec<(&'a str, Group)> {
        let mut removed = Vec::new();
        while self.added.len() > count
            && let Some(name) = self.added.pop()
        {
            let group = self.groups.get_mut(name).and_then(Vec::pop);
            removed.extend(group.map(|group| (name, group)));
        }
        removed.reverse();
        removed
    }

    /// Returns the providers of a name, the nearest ones first.
    pub(super) fn nearest_first(&self, name: &str) -> impl Iterator<Item = &Group> {
        self.groups.get(name).into_iter().flatten().rev()
    }

    /// Returns all names that have a provider, in no order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.groups.iter().filter(|(_, groups)| !groups.is_empty()).map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(steps: &[i32]) -> Group {
        let provider = |step: &i32| Provider {
            node: *step as usize,
            source: Source::Step { step: *step, path: Vec::new() },
            is_certain: false,
        };
        steps.iter().map(provider).collect()
    }

    #[test]
    fn what_was_added_last_is_nearest_and_is_removed_first() {
        let mut visible = Visible::default();
        visible.add("a", group(&[0]));
        let count = visible.count();
        visible.add("b", group(&[1]));
        visible.add("a", group(&[2, 3]));
        let nearest: Vec<&Group> = visible.nearest_first("a").collect();
        assert_eq!(nearest, [&group(&[2, 3]), &group(&[0])]);
        assert_eq!(visible.remove_after(count), [("b", group(&[1])), ("a", group(&[2, 3]))]);
        assert_eq!(visible.nearest_first("a").count(), 1);
        assert_eq!(visible.nearest_first("b").count(), 0);
        assert_eq!(visible.names().collect::<Vec<_>>(), ["a"]);
    }
}
