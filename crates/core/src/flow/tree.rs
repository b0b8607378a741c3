//! Arranges a flow as a tree: patterns are branches, steps are leaves. Gates are left out. Each line has the text of
//! its branches. The command line adds the text of what the line is about.

use std::collections::BTreeMap;

use crate::flow::{
    rounds::{EndedRound, ended_rounds},
    show::{FlowPage, FlowScope, FlowStep},
    state::StepKind,
};

/// The largest number of ended rounds of a scope that are shown, the latest ones.
const SHOWN_ROUNDS: usize = 5;

/// A line of the tree.
#[derive(Debug)]
pub struct TreeLine<'a> {
    /// The branches that lead to the line, such as `│  ├─ `.
    pub branches: String,
    pub item: TreeItem<'a>,
}

/// The subject of a line of the tree.
#[derive(Debug)]
pub enum TreeItem<'a> {
    /// A pattern within another one. The lines of its steps follow.
    Scope(&'a FlowScope),
    Step(&'a FlowStep),
    /// A round of the pattern around it that has ended.
    Round(EndedRound<'a>),
    /// So many rounds before those that follow.
    EarlierRounds(usize),
    /// So many steps that were not read.
    MoreSteps(i64),
}

/// Returns the lines of a flow below the line of the flow itself.
pub fn lines(page: &FlowPage) -> Vec<TreeLine<'_>> {
    let mut branches = children(&page.scopes, &page.steps);
    add_rounds(&mut branches, ended_rounds(page));
    if page.more_steps > 0 {
        branches.entry(0).or_default().push(TreeItem::MoreSteps(page.more_steps));
    }
    Tree { branches, lines: Vec::new() }.drawn()
}

/// Returns the lines of a plan below the line of the flow itself.
pub fn plan_lines<'a>(scopes: &'a [FlowScope], steps: &'a [FlowStep]) -> Vec<TreeLine<'a>> {
    Tree { branches: children(scopes, steps), lines: Vec::new() }.drawn()
}

/// Returns what is directly within each scope: its steps and scopes in the order of their numbers.
fn children<'a>(
    scopes: &'a [FlowScope],
    steps: &'a [FlowStep],
) -> BTreeMap<i32, Vec<TreeItem<'a>>> {
    let steps = steps.iter().filter(|step| step.kind == StepKind::Task);
    let steps = steps.map(|step| (step.scope, step.number, TreeItem::Step(step)));
    let scopes = scopes.iter().filter_map(|scope| {
        // An outer scope has a smaller number. So the tree is finite, whatever the rows say.
        let outer = scope.outer.filter(|outer| *outer < scope.number)?;
        Some((outer, scope.first, TreeItem::Scope(scope)))
    });
    let mut ordered: Vec<_> = steps.chain(scopes).collect();
    ordered.sort_by_key(|(_, number, _)| *number);
    let mut children = BTreeMap::<i32, Vec<TreeItem<'_>>>::new();
    for (scope, _, item) in ordered {
        children.entry(scope).or_default().push(item);
    }
    children
}

/// Adds to each scope the latest of its rounds that have ended. Rounds before the present round of a scope around it
/// are left out.
fn add_rounds<'a>(children: &mut BTreeMap<i32, Vec<TreeItem<'a>>>, rounds: Vec<EndedRound<'a>>) {
    let mut by_scope = BTreeMap::<i32, Vec<EndedRound<'_>>>::new();
    for round in rounds {
        let scope = round.scope;
        let is_within = |other: &FlowScope| {
            other.number > scope.number && (scope.first..=scope.last).contains(&other.first)
        };
        by_scope.retain(|_, ended| !ended.iter().any(|earlier| is_within(earlier.scope)));
        by_scope.entry(scope.number).or_default().push(round);
    }
    for (scope, mut ended) in by_scope {
        let earlier = ended.len().saturating_sub(SHOWN_ROUNDS);
        let of_scope = children.entry(scope).or_default();
        if earlier > 0 {
            of_scope.push(TreeItem::EarlierRounds(earlier));
        }
        of_scope.extend(ended.drain(earlier..).map(TreeItem::Round));
    }
}

/// A tree whose lines are made.
struct Tree<'a> {
    /// The items directly within each scope that have no line yet.
    branches: BTreeMap<i32, Vec<TreeItem<'a>>>,
    lines: Vec<TreeLine<'a>>,
}

impl<'a> Tree<'a> {
    /// Makes all lines.
    fn drawn(mut self) -> Vec<TreeLine<'a>> {
        self.append(0, "");
        self.lines
    }

    /// Appends the lines of everything within a scope. `indent` is the text before its branches.
    fn append(&mut self, scope: i32, indent: &str) {
        let items = self.branches.remove(&scope).unwrap_or_default();
        let last = items.len().saturating_sub(1);
        for (index, item) in items.into_iter().enumerate() {
            let (branch, below) =
                if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let nested = if let TreeItem::Scope(scope) = &item { Some(scope.number) } else { None };
            self.lines.push(TreeLine { branches: format!("{indent}{branch}"), item });
            if let Some(nested) = nested {
                self.append(nested, &format!("{indent}{below}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{
        scene::{done, failed, page, past, scope, step},
        state::{Phase, StepState},
    };

    /// Returns the lines as texts, with the names of what they are about.
    fn drawn(page: &FlowPage) -> Vec<String> {
        let text = |line: &TreeLine<'_>| {
            let about = match &line.item {
                TreeItem::Scope(scope) => scope.name.clone(),
                TreeItem::Step(step) => step.name.clone(),
                TreeItem::Round(round) => format!("round {}", round.round),
                TreeItem::EarlierRounds(count) => format!("{count} earlier"),
                TreeItem::MoreSteps(count) => format!("{count} more"),
            };
            format!("{}{about}", line.branches)
        };
        lines(page).iter().map(text).collect()
    }

    #[test]
    fn patterns_are_branches_and_gates_are_left_out() {
        let scopes = vec![
            scope((0, None), "server", (0, 6), 1, None),
            scope((1, Some(0)), "parts", (0, 3), 2, Some(3)),
            scope((2, Some(0)), "rest", (5, 6), 1, None),
        ];
        let names =
            ["parts enter", "vm", "volume", "parts exit", "attach", "rest enter", "rest exit"];
        let own_scopes = [1, 1, 1, 1, 0, 2, 2];
        let steps = (0..).zip(names).zip(own_scopes);
        let steps = steps.map(|((n, name), scope)| step(n, name, scope, StepState::Pending));
        let rows = vec![
            past("vm", (1, 1), done(1, 0), done(3, 4)),
            past("volume", (1, 1), failed(2, 0), None),
        ];
        let page = page(Phase::Executing, scopes, steps.collect(), rows);
        let expected =
            ["├─ parts", "│  ├─ vm", "│  ├─ volume", "│  └─ round 1", "├─ attach", "└─ rest"];
        assert_eq!(drawn(&page), expected);
    }

    #[test]
    fn only_the_latest_rounds_are_shown() {
        let scopes = vec![scope((0, None), "f", (0, 0), 9, Some(9))];
        let steps = vec![step(0, "a", 0, StepState::Started)];
        let rows = (1..=8).map(|round| past("a", (0, round), failed(1, 0), None)).collect();
        let mut page = page(Phase::Executing, scopes, steps, rows);
        page.more_steps = 12;
        let mut expected = vec!["├─ a".to_owned(), "├─ 3 earlier".to_owned()];
        expected.extend((4..=8).map(|round| format!("├─ round {round}")));
        expected.push("└─ 12 more".to_owned());
        assert_eq!(drawn(&page), expected);
    }
}
