//! Finds the sources of each value: of arguments, conditions, the lists of controllers, and the output of the flow.
//!
//! A value comes from the nearest provider that is before the place where it is needed: a step, or a controller around
//! it. A provider may have been skipped, or its output may lack the path, so providers before it follow as further
//! sources. The last source is the key of the flow's input.

mod reach;
mod skippable;
mod sources;
mod visible;

use std::collections::{BTreeMap, HashMap};

use self::reach::Reach;
use self::skippable::skippable;
use self::sources::{Sources, User};
use self::visible::{Group, Provider};
use crate::description::{OnFailure, PatternKind, Returns, Step};
use crate::fault::Fault;
use crate::json::Json;
use crate::names::{self, Reference};
use crate::numbers::Numbers;
use crate::operations::InputKeys;
use crate::order::Order;
use crate::plan::{Arguments, Condition, Source};
use crate::ports::{Input, Origin, Ports};
use crate::tree::{Content, Tree};

/// Everything that is known of a flow when its values are bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outline<'a, 'b> {
    pub(crate) tree: &'b Tree<'a>,
    pub(crate) ports: &'b [Ports<'a>],
    pub(crate) order: &'b Order<'a>,
    pub(crate) numbers: &'b Numbers,
}

/// The sources of all values. The lists have one entry per node of the tree.
#[derive(Debug)]
pub(crate) struct Bindings {
    /// The inputs of steps.
    pub(crate) args: Vec<Option<Arguments>>,
    /// The conditions of steps and patterns.
    pub(crate) conditions: Vec<Option<Condition>>,
    /// The lists of controllers `for_each_of`.
    pub(crate) lists: Vec<Option<Vec<Source>>>,
    /// The output of the flow.
    pub(crate) returns: Option<Arguments>,
}

/// Finds the sources of all values. `input_keys` has the keys that the flow's input may have; `None` for any key.
pub(crate) fn bind<'a>(
    outline: Outline<'a, '_>,
    returns: Option<&'a Returns>,
    input_keys: Option<&InputKeys>,
) -> Result<Bindings, Fault> {
    let count = outline.tree.nodes.len();
    let bindings = Bindings {
        args: vec![None; count],
        conditions: vec![None; count],
        lists: vec![None; count],
        returns: None,
    };
    let sources = Sources::new(outline.tree, input_keys);
    let skippable = skippable(outline.tree);
    let mut binder = Binder { outline, sources, skippable, bindings };
    binder.item(0)?;
    binder.bindings.returns = returns.map(|returns| binder.returns(returns)).transpose()?;
    Ok(binder.bindings)
}

struct Binder<'a, 'b> {
    outline: Outline<'a, 'b>,
    sources: Sources<'a, 'b>,
    /// Whether a node may be skipped although what follows it is not.
    skippable: Vec<bool>,
    bindings: Bindings,
}

impl<'a> Binder<'a, '_> {
    /// Binds everything in a step or pattern, and makes visible what it provides.
    fn item(&mut self, id: usize) -> Result<(), Fault> {
        let Outline { tree, ports, .. } = self.outline;
        let name = tree.nodes[id].name();
        let (content, ports) = (tree.nodes[id].content, &ports[id]);
        if let Some((reference, depth)) = &ports.condition {
            let user = match content {
                Content::Step(_) => User::Step(name),
                Content::Pattern(_) => User::Pattern(name),
            };
            let sources = self.sources.of_condition(reference, user)?;
            self.bindings.conditions[id] = Some(Condition { sources, depth: *depth });
        }
        match content {
            Content::Step(step) => self.step(id, step),
            Content::Pattern(pattern) => {
                if let Some(list) = &ports.list {
                    let sources = self.sources.required(list, User::Controller(name))?;
                    self.bindings.lists[id] = Some(sources);
                }
                self.pattern(id, pattern.kind)
            }
        }
    }

    fn step(&mut self, id: usize, step: &'a Step) -> Result<(), Fault> {
        let Outline { ports, numbers, .. } = self.outline;
        self.bindings.args[id] = self.input(&ports[id].input, User::Step(&step.name))?;
        let is_certain = !self.skippable[id] && step.on_failure != OnFailure::Continue;
        for (name, path) in &ports[id].provides {
            let number = numbers.enter[id].unwrap_or_default();
            let source = Source::Step { step: number, path: path.clone() };
            let is_certain = is_certain && path.is_empty();
            let provider = Provider { node: id, source, is_certain };
            self.sources.visible.add(name, [provider].into());
        }
        Ok(())
    }

    fn input(&mut self, input: &Input<'a>, user: User<'a>) -> Result<Option<Arguments>, Fault> {
        let arguments = match input {
            Input::Nothing => return Ok(None),
            Input::Whole(reference) => {
                return Ok(Some(Arguments::Whole(self.sources.required(reference, user)?)));
            }
            Input::Named(arguments) => arguments,
        };
        let mut named = BTreeMap::new();
        for (name, origin) in arguments {
            let sources = match origin {
                Origin::Literal(value) => vec![Source::Value { value: (*value).clone() }],
                Origin::Required(reference) => self.sources.required(reference, user)?,
                Origin::Optional(reference) => self.sources.optional(reference, user)?,
            };
            if !sources.is_empty() {
                named.insert((*name).to_owned(), sources);
            }
        }
        Ok(Some(literal(&named).unwrap_or(Arguments::Named(named))))
    }

    fn pattern(&mut self, id: usize, kind: PatternKind) -> Result<(), Fault> {
        let Outline { ports, order, numbers, .. } = self.outline;
        for (name, path) in &ports[id].provides {
            let source = Source::Scope { scope: numbers.scope[id], path: path.clone() };
            let provider = Provider { node: id, source, is_certain: !self.skippable[id] };
            self.sources.visible.add(name, [provider].into());
        }
        if kind != PatternKind::Linear {
            return self.parallel_items(id, kind == PatternKind::Graph);
        }
        for &item in &order.sorted[id] {
            self.item(item)?;
        }
        Ok(())
    }

    /// Binds the items of a pattern that is not linear. Those of a graph use the values of the items before them.
    fn parallel_items(&mut self, id: usize, is_graph: bool) -> Result<(), Fault> {
        let Outline { order, .. } = self.outline;
        let mut reach = Reach::new(&order.sorted[id], &order.edges[id]);
        let mut provided = HashMap::<&'a str, Vec<(usize, Vec<Group>)>>::new();
        for &item in &order.sorted[id] {
            let outside = self.sources.visible.count();
            for &name in order.needs[item].iter().filter(|_| is_graph) {
                let items = provided.get(name).map_or(&[][..], Vec::as_slice);
                for group in in_line(items, &mut reach) {
                    self.sources.visible.add(name, group);
                }
            }
            let before = self.sources.visible.count();
            self.item(item)?;
            for (name, group) in self.sources.visible.remove_after(before) {
                let items = provided.entry(name).or_default();
                match items.last_mut() {
                    Some((last, groups)) if *last == item => groups.push(group),
                    _ => items.push((item, vec![group])),
                }
            }
            self.sources.visible.remove_after(outside);
        }
        for (name, items) in provided {
            for group in in_line(&items, &mut reach) {
                self.sources.visible.add(name, group);
            }
        }
        Ok(())
    }

    fn returns(&mut self, returns: &'a Returns) -> Result<Arguments, Fault> {
        let mut sources =
            |name: &'a String| self.sources.required(&Reference::read(name)?, User::Flow);
        match returns {
            Returns::Whole(name) => Ok(Arguments::Whole(sources(name)?)),
            Returns::Named(keys) => {
                let mut named = BTreeMap::new();
                for (key, name) in keys {
                    names::check_text("a key of the output", key)?;
                    named.insert(key.clone(), sources(name)?);
                }
                Ok(Arguments::Named(named))
            }
        }
    }
}

/// Returns an object of literal values as one literal value, so that the server need not put it together when the step
/// starts. `None` if one of its values is not known yet.
fn literal(named: &BTreeMap<String, Vec<Source>>) -> Option<Arguments> {
    let mut object = BTreeMap::new();
    for (name, sources) in named {
        let Source::Value { value } = sources.first()? else { return None };
        object.insert(name, value);
    }
    let value = Json::new(&object).ok()?;
    Some(Arguments::Whole(vec![Source::Value { value }]))
}

/// Returns the providers in several items of a pattern: one after the other if each item is before the next one, and
/// else as one group.
fn in_line(items: &[(usize, Vec<Group>)], reach: &mut Reach) -> Vec<Group> {
    let ids: Vec<usize> = items.iter().map(|(item, _)| *item).collect();
    let groups = items.iter().flat_map(|(_, groups)| groups);
    if reach.are_in_line(&ids) {
        groups.cloned().collect()
    } else {
        vec![groups.flat_map(|group| group.iter().cloned()).collect()]
    }
}

#[cfg(test)]
mod tests;
