//! [`Tree`]: the steps and patterns of a description as a list, with the links between them. What is wrong with names
//! and sizes is found here.

use std::collections::{HashMap, HashSet};

use rework_arguments::suggest::did_you_mean;

use crate::description::{Controller, Depth, Item, Pattern, PatternKind, Step};
use crate::fault::{Fault, MAX_LEVELS, MAX_STEPS};
use crate::names;

/// The largest number of attempts of a controller.
const MAX_ATTEMPTS: u32 = 999_999_999;

/// The steps and patterns of a flow. A pattern comes before its items. Node 0 is the outermost pattern.
#[derive(Debug, Default)]
pub(crate) struct Tree<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
}

/// A step or a pattern.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// The node of the pattern around it. `None` for the outermost pattern.
    pub(crate) outer: Option<usize>,
    pub(crate) content: Content<'a>,
    /// The nodes of the items of a pattern, in the order of the description.
    pub(crate) items: Vec<usize>,
    /// The pairs of items of a graph of which the second follows the first, because a link or `after` says so.
    pub(crate) links: Vec<(usize, usize)>,
    /// The value (`name` or `name.path`) without which it is skipped, and what is skipped with it.
    pub(crate) condition: Option<(&'a str, Depth)>,
}

/// The kind of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    Step(&'a Step),
    Pattern(&'a Pattern),
}

impl<'a> Node<'a> {
    /// Returns the name of the step or pattern.
    pub(crate) fn name(&self) -> &'a str {
        match self.content {
            Content::Step(step) => &step.name,
            Content::Pattern(pattern) => &pattern.name,
        }
    }

    /// Returns the controller of a pattern. `None` if it has none.
    pub(crate) fn controller(&self) -> Option<&'a Controller> {
        match self.content {
            Content::Step(_) => None,
            Content::Pattern(pattern) => pattern.retry.as_ref(),
        }
    }
}

impl<'a> Tree<'a> {
    /// Lists the steps and patterns. `Err` if there are too many, or if a name is wrong.
    pub(crate) fn new(flow: &'a Pattern) -> Result<Tree<'a>, Fault> {
        check_size(flow)?;
        let mut tree = Tree::default();
        tree.add(None, Content::Pattern(flow), &mut HashSet::new())?;
        Ok(tree)
    }

    /// Adds a step or pattern with everything inside it, and returns its node. `step_names` has the names of the steps
    /// so far. The levels of patterns have been counted, so this does not call itself too often.
    fn add(
        &mut self,
        outer: Option<usize>,
        content: Content<'a>,
        step_names: &mut HashSet<&'a str>,
    ) -> Result<usize, Fault> {
        let id = self.nodes.len();
        let mut node =
            Node { outer, content, items: Vec::new(), links: Vec::new(), condition: None };
        match content {
            Content::Step(step) => {
                names::check("the name of a step", &step.name)?;
                if !step_names.insert(&step.name) {
                    return Err(Fault::StepTwice { name: step.name.clone() });
                }
                node.condition = step.only_if.as_deref().map(|value| (value, step.depth));
                self.nodes.push(node);
            }
            Content::Pattern(pattern) => {
                names::check("the name of a pattern", &pattern.name)?;
                check_attempts(pattern)?;
                self.nodes.push(node);
                for item in &pattern.items {
                    let content = match item {
                        Item::Step(step) => Content::Step(step),
                        Item::Flow(nested) => Content::Pattern(nested),
                    };
                    let item = self.add(Some(id), content, step_names)?;
                    self.nodes[id].items.push(item);
                }
                self.add_links(id, pattern)?;
            }
        }
        Ok(id)
    }

    /// Adds the links of a pattern whose items have been added.
    fn add_links(&mut self, id: usize, pattern: &'a Pattern) -> Result<(), Fault> {
        let is_graph = pattern.kind == PatternKind::Graph;
        if !is_graph && !pattern.links.is_empty() {
            return Err(Fault::LinksOutsideGraph { pattern: pattern.name.clone() });
        }
        let items = self.nodes[id].items.clone();
        let names: Vec<&str> = items.iter().map(|item| self.nodes[*item].name()).collect();
        let by_name = self.items_by_name(&items, pattern)?;
        let find = |name: &str| {
            by_name.get(name).copied().ok_or_else(|| Fault::NoItem {
                pattern: pattern.name.clone(),
                name: name.to_owned(),
                suggestion: did_you_mean(name, names.iter().copied()),
            })
        };
        let mut links = Vec::new();
        for link in &pattern.links {
            let (from, to) = (find(&link.from)?, find(&link.to)?);
            links.push((from, to));
            let condition = link.only_if.as_deref().map(|value| (value, link.depth));
            if condition.is_some() && self.nodes[to].condition.is_some() {
                return Err(Fault::TwoConditions { item: link.to.clone() });
            }
            self.nodes[to].condition = self.nodes[to].condition.or(condition);
        }
        for &item in &items {
            let Content::Step(step) = self.nodes[item].content else { continue };
            if !is_graph && !step.after.is_empty() {
                return Err(Fault::AfterOutsideGraph { step: step.name.clone() });
            }
            for name in &step.after {
                links.push((find(name)?, item));
            }
        }
        self.nodes[id].links = links;
        Ok(())
    }

    /// Returns the items of a pattern by their names. `Err` if two have the same name.
    fn items_by_name(
        &self,
        items: &[usize],
        pattern: &Pattern,
    ) -> Result<HashMap<&'a str, usize>, Fault> {
        let mut by_name = HashMap::new();
        for &item in items {
            let name = self.nodes[item].name();
            if by_name.insert(name, item).is_some() {
                let (pattern, name) = (pattern.name.clone(), name.to_owned());
                return Err(Fault::ItemTwice { pattern, name });
            }
        }
        Ok(by_name)
    }
}

/// Checks the number of steps and of levels.
fn check_size(flow: &Pattern) -> Result<(), Fault> {
    let mut count = usize::from(flow.retry.is_some());
    let mut levels = 1;
    let mut patterns = vec![(flow, 1)];
    while let Some((pattern, level)) = patterns.pop() {
        levels = levels.max(level);
        for item in &pattern.items {
            match item {
                Item::Step(_) => count += 1,
                Item::Flow(nested) => {
                    count += 2;
                    patterns.push((nested, level + 1));
                }
            }
        }
    }
    if levels > MAX_LEVELS {
        return Err(Fault::TooManyLevels { levels: Some(levels) });
    }
    if count > MAX_STEPS {
        return Err(Fault::TooManySteps { count });
    }
    Ok(())
}

fn check_attempts(pattern: &Pattern) -> Result<(), Fault> {
    match pattern.retry {
        Some(Controller::Times { attempts, .. }) if !(1..=MAX_ATTEMPTS).contains(&attempts) => {
            Err(Fault::Attempts { pattern: pattern.name.clone(), attempts })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{pattern, step};

    fn fault(pattern: &Value) -> String {
        let pattern = serde_json::from_str(&pattern.to_string()).unwrap();
        Tree::new(&pattern).unwrap_err().to_string()
    }

    #[test]
    fn a_pattern_comes_before_its_items() {
        let flow = pattern(
            "graph",
            "f",
            &[step(json!({"name": "a"})), pattern("linear", "g", &[step(json!({"name": "b"}))])],
        );
        let mut flow: Pattern = serde_json::from_value(flow["flow"].clone()).unwrap();
        let link = json!({"from": "a", "to": "g", "only_if": "a.ready", "depth": "flow"});
        flow.links.push(serde_json::from_value(link).unwrap());
        let tree = Tree::new(&flow).unwrap();
        let names: Vec<&str> = tree.nodes.iter().map(Node::name).collect();
        assert_eq!(names, ["f", "a", "g", "b"]);
        assert_eq!(tree.nodes[0].items, [1, 2]);
        assert_eq!(tree.nodes[3].outer, Some(2));
        assert_eq!(tree.nodes[0].links, [(1, 2)]);
        assert_eq!(tree.nodes[2].condition, Some(("a.ready", Depth::Flow)));
    }

    #[test]
    fn names_are_unique_where_they_are_used() {
        let twice =
            [step(json!({"name": "a"})), pattern("linear", "g", &[step(json!({"name": "a"}))])];
        assert_eq!(fault(&pattern("linear", "f", &twice)["flow"]), "two steps are called `a`");
        let same = [step(json!({"name": "a"})), pattern("linear", "a", &[])];
        let expected = "two items of `f` are called `a`";
        assert_eq!(fault(&pattern("linear", "f", &same)["flow"]), expected);
        let apart = [
            pattern("linear", "g", &[pattern("linear", "h", &[])]),
            pattern("linear", "h", &[step(json!({"name": "f"}))]),
        ];
        let apart = serde_json::from_value(pattern("linear", "f", &apart)["flow"].clone()).unwrap();
        assert_eq!(Tree::new(&apart).unwrap().nodes.len(), 5);
        let empty = pattern("linear", "f", &[step(json!({"name": ""}))]);
        assert_eq!(fault(&empty["flow"]), "`` cannot be the name of a step: it is empty");
    }

    #[test]
    fn links_join_items_of_a_graph() {
        let items =
            [step(json!({"name": "first", "after": ["last"]})), step(json!({"name": "last"}))];
        let expected = "step `first` has `after`, which is only possible in a graph";
        assert_eq!(fault(&pattern("unordered", "f", &items)["flow"]), expected);
        let links = |kind: &str, links: Value| {
            let mut flow = pattern(kind, "f", &items)["flow"].clone();
            flow["links"] = links;
            fault(&flow)
        };
        let link = json!({"from": "first", "to": "last"});
        let expected = "`f` has links, and only a graph can have them";
        assert_eq!(links("unordered", json!([link])), expected);
        let expected =
            "`f` has no step or flow `lost` to follow or to be followed: did you mean `last`?";
        assert_eq!(links("graph", json!([{"from": "first", "to": "lost"}])), expected);
        let condition = json!({"from": "first", "to": "last", "only_if": "x"});
        let expected = "`last` has two conditions, and can have only one: \
                        that of the step or that of one link to it";
        assert_eq!(links("graph", json!([condition, condition])), expected);
    }

    #[test]
    fn steps_and_levels_are_limited() {
        let nested = |levels: usize| {
            (1..levels)
                .fold(pattern("linear", "f", &[]), |inner, _| pattern("linear", "f", &[inner]))
        };
        let flow: Pattern = serde_json::from_value(nested(16)["flow"].clone()).unwrap();
        assert_eq!(Tree::new(&flow).unwrap().nodes.len(), 16);
        let expected = "at most 16 levels of patterns, this flow has 17";
        assert_eq!(fault(&nested(17)["flow"]), expected);
        let items: Vec<Value> =
            (0..20_001).map(|number| step(json!({"name": number.to_string()}))).collect();
        let expected = "at most 20,000 steps, this flow has 20,001";
        assert_eq!(fault(&pattern("unordered", "f", &items)["flow"]), expected);
        let retry = json!({"pattern": "linear", "name": "f", "items": [],
            "retry": {"kind": "times", "attempts": 0}});
        let expected = "the controller of `f` has 0 attempts: it needs 1 to 999,999,999";
        assert_eq!(fault(&retry), expected);
    }
}
