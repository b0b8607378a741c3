//! [`Sources`]: finds the sources of one value among the visible providers and the keys of the flow's input.

use std::collections::HashSet;

use rework_arguments::suggest::did_you_mean;

use super::visible::{Provider, Visible};
use crate::fault::{Fault, MAX_SOURCES};
use crate::names::Reference;
use crate::operations::InputKeys;
use crate::plan::Source;
use crate::tree::{Content, Tree};

/// The values that may be a source at the current step.
pub(super) struct Sources<'a, 'b> {
    tree: &'b Tree<'a>,
    /// The keys that the flow's input has. `None` if it may have any key.
    input_keys: Option<HashSet<&'b str>>,
    /// The keys that the flow's input does not have, although its schema declares them.
    absent_keys: HashSet<&'b str>,
    pub(super) visible: Visible<'a>,
    /// How many sources were found in total.
    count: usize,
}

/// The part of a flow that needs a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum User<'a> {
    /// The step with this name.
    Step(&'a str),
    /// The condition of the pattern with this name.
    Pattern(&'a str),
    /// The controller of the pattern with this name.
    Controller(&'a str),
    /// The flow, for its output.
    Flow,
}

impl<'a, 'b> Sources<'a, 'b> {
    pub(super) fn new(tree: &'b Tree<'a>, keys: Option<&'b InputKeys>) -> Sources<'a, 'b> {
        let set = |names: &'b [String]| names.iter().map(String::as_str).collect();
        Sources {
            tree,
            input_keys: keys.map(|keys| set(&keys.present)),
            absent_keys: keys.map(|keys| set(&keys.absent)).unwrap_or_default(),
            visible: Visible::default(),
            count: 0,
        }
    }

    /// Returns the sources of the value of a condition. There are none if it is an optional key that the flow's input
    /// does not have. `Err` if nothing can have this name.
    pub(super) fn of_condition(
        &mut self,
        reference: &Reference<'_>,
        user: User<'_>,
    ) -> Result<Vec<Source>, Fault> {
        let sources = self.optional(reference, user)?;
        if !sources.is_empty() || self.absent_keys.contains(reference.name) {
            return Ok(sources);
        }
        match self.missing(reference.name, user) {
            Fault::Missing { user, name, suggestion } => {
                Err(Fault::Missing { user: format!("the condition of {user}"), name, suggestion })
            }
            other => Err(other),
        }
    }

    /// Returns the sources of a value, the first one that exists counts. `Err` if there is none.
    pub(super) fn required(
        &mut self,
        reference: &Reference<'_>,
        user: User<'_>,
    ) -> Result<Vec<Source>, Fault> {
        let sources = self.optional(reference, user)?;
        if sources.is_empty() { Err(self.missing(reference.name, user)) } else { Ok(sources) }
    }

    /// Returns the sources of a value, the first one that exists counts. Empty if there is none.
    pub(super) fn optional(
        &mut self,
        reference: &Reference<'_>,
        user: User<'_>,
    ) -> Result<Vec<Source>, Fault> {
        let Reference { name, path } = reference;
        let mut sources = Vec::new();
        let mut is_complete = false;
        for group in self.visible.nearest_first(name) {
            match &**group {
                [] => {}
                [only] => {
                    sources.push(part(&only.source, path));
                    is_complete = only.is_certain && path.is_empty();
                }
                [first, .., last] if sources.is_empty() => {
                    return Err(self.ambiguous(first, last, name, user));
                }
                // Nobody knows which of them would be the right one.
                _ => is_complete = true,
            }
            if is_complete {
                break;
            }
        }
        if !is_complete && self.may_be_input(name, user) {
            sources.push(Source::Input { input: (*name).to_owned(), path: path.clone() });
        }
        self.count += sources.len();
        if self.count > MAX_SOURCES { Err(Fault::TooManySources) } else { Ok(sources) }
    }

    /// Returns whether a value may be a key of the flow's input. If any key is allowed, the output of the flow still
    /// needs a provider. Otherwise nobody would notice a typing error.
    fn may_be_input(&self, name: &str, user: User<'_>) -> bool {
        match &self.input_keys {
            Some(keys) => keys.contains(name),
            None => !matches!(user, User::Flow),
        }
    }

    fn missing(&self, name: &str, user: User<'_>) -> Fault {
        let mut known: Vec<&str> = self.visible.names().collect();
        known.extend(self.input_keys.iter().flatten());
        known.extend(&self.absent_keys);
        known.sort_unstable();
        let suggestion = did_you_mean(name, known);
        let name = name.to_owned();
        let user = match user {
            User::Flow => return Fault::NotProvided { name, suggestion },
            User::Step(step) => format!("step `{step}`"),
            User::Pattern(pattern) => format!("`{pattern}`"),
            User::Controller(pattern) => format!("the controller of `{pattern}`"),
        };
        Fault::Missing { user, name, suggestion }
    }

    fn ambiguous(&self, first: &Provider, last: &Provider, name: &str, user: User<'_>) -> Fault {
        let shown = |provider: &Provider| {
            let node = &self.tree.nodes[provider.node];
            match node.content {
                Content::Step(_) => format!("`{}`", node.name()),
                Content::Pattern(_) => format!("the controller of `{}`", node.name()),
            }
        };
        let user = match user {
            User::Flow => "the flow returns".to_owned(),
            User::Step(name) | User::Pattern(name) => format!("`{name}` requires"),
            User::Controller(pattern) => format!("the controller of `{pattern}` requires"),
        };
        Fault::Ambiguous { first: shown(first), second: shown(last), name: name.to_owned(), user }
    }
}

/// Returns the source of a part of a provided value.
fn part(source: &Source, further: &[String]) -> Source {
    let mut source = source.clone();
    if let Source::Step { path, .. } | Source::Scope { path, .. } = &mut source {
        path.extend_from_slice(further);
    }
    source
}
