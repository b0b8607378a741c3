//! Makes the plan of a flow.

use crate::bind::{Bindings, Outline, bind};
use crate::description::{Controller, Description, OnFailure, Pattern};
use crate::fault::Fault;
use crate::numbers::{Neighbors, Numbers};
use crate::operations::{InputKeys, Operations};
use crate::order::Order;
use crate::plan::{Plan, PlannedScope, PlannedStep, StepKind};
use crate::ports::ports;
use crate::tree::{Content, Tree};
use crate::uses::{Uses, uses};

/// Makes the plan of a flow of a domain. `Err` if it can have none, with the reason as a sentence.
///
/// `input_keys` has the keys of the flow's input, `None` if it may have any. `operations` has the
/// operations with the [names](crate::operations::names) that the description contains.
pub fn compile(
    description: &Description,
    domain: &str,
    input_keys: Option<&InputKeys>,
    operations: &Operations,
) -> Result<Plan, Fault> {
    let tree = Tree::new(&description.flow)?;
    let uses = uses(&tree, domain, operations)?;
    let ports = ports(&tree, &uses)?;
    let order = Order::new(&tree, &ports)?;
    let numbers = Numbers::new(&tree, &order);
    let neighbors = numbers.neighbors(&tree, &order)?;
    let outline = Outline { tree: &tree, ports: &ports, order: &order, numbers: &numbers };
    let bindings = bind(outline, description.returns.as_ref(), input_keys)?;
    Ok(Parts { tree: &tree, uses: &uses, numbers: &numbers, bindings, neighbors }.plan())
}

/// The parts from which a plan is made.
struct Parts<'a, 'b> {
    tree: &'b Tree<'a>,
    uses: &'b [Uses<'a>],
    numbers: &'b Numbers,
    bindings: Bindings,
    neighbors: Neighbors,
}

impl Parts<'_, '_> {
    fn plan(mut self) -> Plan {
        let scopes = self.scopes();
        let steps: Vec<PlannedStep> =
            (0..self.numbers.rows.len()).map(|number| self.step(number)).collect();
        let simple = scopes.len() == 1
            && scopes.iter().all(|scope| scope.controller.is_none())
            && steps
                .iter()
                .all(|step| step.condition.is_none() && step.on_failure == OnFailure::Revert);
        let remaining = steps.iter().filter(|step| step.after.is_empty()).count() as i32;
        Plan { simple, returns: self.bindings.returns, remaining, scopes, steps }
    }

    fn scopes(&mut self) -> Vec<PlannedScope> {
        let numbers = self.numbers;
        let mut scopes = Vec::with_capacity(numbers.scopes.len());
        for (number, &id) in numbers.scopes.iter().enumerate() {
            let Content::Pattern(pattern) = self.tree.nodes[id].content else { continue };
            let whole = (0, numbers.rows.len() as i32 - 1);
            let outer = self.tree.nodes[id].outer;
            let range = outer.and(numbers.enter[id].zip(numbers.exit[id])).unwrap_or(whole);
            let mut scope = scope(number as i32, range, pattern);
            scope.outer = outer.map(|outer| numbers.scope[outer]);
            scope.values_from = self.bindings.lists[id].take();
            scope.operation = self.uses[id].operation.map(|operation| operation.id);
            scopes.push(scope);
        }
        scopes
    }

    /// Makes the step or gate with a number. It takes its parts out of `self`.
    fn step(&mut self, number: usize) -> PlannedStep {
        let (id, kind) = self.numbers.rows[number];
        let node = &self.tree.nodes[id];
        let mut planned = PlannedStep {
            number: number as i32,
            name: node.name().to_owned(),
            scope: self.numbers.scope[id],
            kind,
            operation: None,
            undo_operation: None,
            before: std::mem::take(&mut self.neighbors.before[number]),
            after: std::mem::take(&mut self.neighbors.after[number]),
            args: None,
            condition: None,
            on_failure: OnFailure::Revert,
        };
        match kind {
            StepKind::Task => {}
            StepKind::Enter => planned.name.push_str(" enter"),
            StepKind::Exit => planned.name.push_str(" exit"),
        }
        if kind != StepKind::Exit {
            planned.condition = self.bindings.conditions[id].take();
        }
        if let Content::Step(step) = node.content {
            planned.scope = node.outer.map_or(0, |outer| self.numbers.scope[outer]);
            planned.operation = self.uses[id].operation.map(|operation| operation.id);
            planned.undo_operation = self.uses[id].undo.map(|operation| operation.id);
            planned.args = self.bindings.args[id].take();
            planned.on_failure = step.on_failure;
        }
        planned
    }
}

/// Makes a scope of what its pattern says by itself.
fn scope(number: i32, (first, last): (i32, i32), pattern: &Pattern) -> PlannedScope {
    let controller = pattern.retry.as_ref();
    PlannedScope {
        number,
        outer: None,
        first,
        last,
        name: pattern.name.clone(),
        pattern: pattern.kind,
        controller: controller.map(Controller::kind),
        attempts: match controller {
            Some(Controller::Times { attempts, .. }) => Some(*attempts),
            _ => None,
        },
        values: match controller {
            Some(Controller::ForEach { values, .. }) => Some(values.clone()),
            _ => None,
        },
        values_from: None,
        operation: None,
        revert_all: controller.is_some_and(Controller::reverts_all),
        provides: controller.and_then(Controller::provides).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::scene::{compiled, pattern, plan, step};

    /// A flow that makes a server of a machine and a disk.
    fn server() -> Value {
        let mut parts = pattern(
            "unordered",
            "parts",
            &[
                step(
                    json!({"name": "vm", "operation": "sized", "revert": "undo", "provides": "vm"}),
                ),
                step(json!({"name": "disk", "operation": "any", "provides": {"disk": "id"},
                    "inject": {"gib": 10}})),
            ],
        );
        parts["flow"]["retry"] = json!({"kind": "times", "attempts": 3, "provides": "round"});
        let attach = step(json!({"name": "attach", "operation": "moved", "only_if": "vm.ready",
            "depth": "atom", "on_failure": "stop"}));
        let mut flow = pattern("linear", "server", &[parts, attach]);
        flow["returns"] = json!("vm");
        flow
    }

    #[test]
    fn the_plan_of_a_flow_has_everything_that_the_database_needs() {
        let plan = compiled(&server(), Some(&["size"])).unwrap();
        let gate = |number: i32, kind: &str, before: Value, after: Value| {
            json!({"number": number, "name": format!("parts {kind}"), "scope": 1, "kind": kind,
                "before": before, "after": after, "on_failure": "revert"})
        };
        let vm = json!([{"step": 1, "path": []}]);
        let expected = json!({
            "simple": false,
            "returns": {"whole": vm},
            "remaining": 1,
            "scopes": [
                {"number": 0, "first": 0, "last": 4, "name": "server", "pattern": "linear",
                    "revert_all": false},
                {"number": 1, "outer": 0, "first": 0, "last": 3, "name": "parts",
                    "pattern": "unordered", "controller": "times", "attempts": 3,
                    "revert_all": false, "provides": "round"}],
            "steps": [
                gate(0, "enter", json!([]), json!([1, 2])),
                {"number": 1, "name": "vm", "scope": 1, "kind": "task", "operation": 2,
                    "undo_operation": 5, "before": [0], "after": [3],
                    "args": {"args": {"size": [{"input": "size", "path": []}]}},
                    "on_failure": "revert"},
                {"number": 2, "name": "disk", "scope": 1, "kind": "task", "operation": 1,
                    "before": [0], "after": [3],
                    "args": {"whole": [{"value": {"gib": 10}}]}, "on_failure": "revert"},
                gate(3, "exit", json!([1, 2]), json!([4])),
                {"number": 4, "name": "attach", "scope": 0, "kind": "task", "operation": 3,
                    "before": [3], "after": [],
                    "args": {"args": {"vm": vm, "disk": [{"step": 2, "path": ["id"]}]}},
                    "condition": {"sources": [{"step": 1, "path": ["ready"]}], "depth": "atom"},
                    "on_failure": "stop"}]});
        assert_eq!(json!(plan), expected);
    }

    #[test]
    fn a_flow_is_simple_if_it_has_only_steps_that_revert() {
        let with = |keys: Value| pattern("graph", "f", &[step(keys)]);
        assert!(plan(&with(json!({"name": "a"}))).simple);
        assert!(plan(&pattern("linear", "f", &[])).simple);
        assert!(!plan(&with(json!({"name": "a", "on_failure": "continue"}))).simple);
        let condition = with(json!({"name": "a", "only_if": "go"}));
        assert!(!compiled(&condition, None).unwrap().simple);
        let nested = pattern("linear", "f", &[pattern("linear", "g", &[])]);
        assert!(!plan(&nested).simple);
        let mut retried = pattern("linear", "f", &[]);
        retried["flow"]["retry"] = json!({"kind": "always_revert_all"});
        assert!(!plan(&retried).simple);
    }

    #[test]
    fn a_controller_is_part_of_its_scope() {
        let scope = |retry: Value| {
            let mut flow = pattern("linear", "f", &[]);
            flow["flow"]["retry"] = retry;
            json!(compiled(&flow, None).unwrap().scopes[0])
        };
        let picked = scope(json!({"kind": "operation", "operation": "pick", "provides": "zone"}));
        assert_eq!((&picked["controller"], &picked["operation"]), (&json!("operation"), &json!(6)));
        assert_eq!(picked["provides"], "zone");
        let each = scope(json!({"kind": "for_each", "values": [1, 1], "revert_all": true}));
        assert_eq!((&each["values"], &each["revert_all"]), (&json!([1, 1]), &json!(true)));
        let of = scope(json!({"kind": "for_each_of", "from": "zones"}));
        assert_eq!(of["values_from"], json!([{"input": "zones", "path": []}]));
        let all = scope(json!({"kind": "always_revert_all"}));
        assert_eq!(
            (&all["controller"], &all["revert_all"]),
            (&json!("always_revert_all"), &json!(false))
        );
    }

    #[test]
    fn conditions_of_links_belong_to_the_entry_of_a_pattern() {
        let items =
            [step(json!({"name": "a"})), pattern("linear", "g", &[step(json!({"name": "b"}))])];
        let mut flow = pattern("graph", "f", &items);
        flow["flow"]["links"] = json!([{"from": "a", "to": "g", "only_if": "go", "depth": "flow"}]);
        let plan = compiled(&flow, None).unwrap();
        let condition = json!({"sources": [{"input": "go", "path": []}], "depth": "flow"});
        assert_eq!(json!(plan.steps[1].condition), condition);
        let others = plan.steps.iter().filter(|step| step.condition.is_some());
        assert_eq!(others.map(|step| step.name.as_str()).collect::<Vec<_>>(), ["g enter"]);
    }
}
