//! Which operations the steps and controllers of a flow use.

use crate::description::Controller;
use crate::fault::Fault;
use crate::operations::{Absence, Operation, Operations};
use crate::tree::{Content, Node, Tree};

/// The operations of a step or a pattern.
#[derive(Debug)]
pub(crate) struct Uses<'a> {
    /// The operation that a step runs, or that decides about a pattern. `None` if no operation decides.
    pub(crate) operation: Option<&'a Operation>,
    /// The operation that undoes a step. `None` if nothing has to be done.
    pub(crate) undo: Option<&'a Operation>,
}

/// Returns the operations of each node of the flow, which is in the domain `own`.
pub(crate) fn uses<'a>(
    tree: &Tree<'_>,
    own: &str,
    operations: &'a Operations,
) -> Result<Vec<Uses<'a>>, Fault> {
    tree.nodes.iter().map(|node| uses_of(node, own, operations)).collect()
}

fn uses_of<'a>(node: &Node<'_>, own: &str, operations: &'a Operations) -> Result<Uses<'a>, Fault> {
    let name = node.name();
    match (node.content, node.controller()) {
        (Content::Step(step), _) => {
            let operation = find(&step.operation, own, operations)
                .map_err(|problem| problem.fault(format!("step `{name}` runs")))?;
            let undo = step.revert.as_ref().map(|revert| {
                find(revert, own, operations)
                    .map_err(|problem| problem.fault(format!("step `{name}` is reverted by")))
            });
            Ok(Uses { operation: Some(operation), undo: undo.transpose()? })
        }
        (Content::Pattern(_), Some(Controller::Operation { operation, .. })) => {
            let operation = find(operation, own, operations)
                .map_err(|problem| problem.fault(format!("the controller of `{name}` runs")))?;
            Ok(Uses { operation: Some(operation), undo: None })
        }
        (Content::Pattern(_), _) => Ok(Uses { operation: None, undo: None }),
    }
}

/// Why an operation cannot be used, and how the description names it.
struct Problem<'d> {
    text: &'d str,
    /// `None` if it is a flow.
    absence: Option<Absence>,
}

fn find<'a, 'd>(
    text: &'d str,
    own: &str,
    operations: &'a Operations,
) -> Result<&'a Operation, Problem<'d>> {
    match operations.near(text, own) {
        Ok(operation) if operation.is_flow => Err(Problem { text, absence: None }),
        Ok(operation) => Ok(operation),
        Err(absence) => Err(Problem { text, absence: Some(absence) }),
    }
}

impl Problem<'_> {
    /// Returns the fault. `user` is who needs the operation, with the verb.
    fn fault(self, user: String) -> Fault {
        let operation = self.text.to_owned();
        match self.absence {
            None => Fault::Nested { user, operation },
            Some(Absence::Unregistered { suggestion }) => {
                Fault::Unregistered { user, operation, suggestion }
            }
            Some(Absence::SeveralDomains { choices }) => {
                Fault::SeveralDomains { user, operation, choices }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::scene::{fault, named, pattern, plan, step};

    fn one(keys: Value) -> Value {
        pattern("linear", "f", &[step(keys)])
    }

    #[test]
    fn operations_are_found_by_their_names() {
        let plan = plan(&one(json!({"name": "a", "operation": "any", "revert": "default/undo"})));
        assert_eq!(named(&plan, "a").operation, Some(1));
        assert_eq!(named(&plan, "a").undo_operation, Some(5));
    }

    #[test]
    fn an_operation_that_cannot_be_used_is_named() {
        let controller = json!({"flow": {"pattern": "linear", "name": "f", "items": [],
            "retry": {"kind": "operation", "operation": "pik"}}});
        for (flow, expected) in [
            (
                one(json!({"name": "tell", "operation": "cloud/notify"})),
                "step `tell` runs `cloud/notify`, which is not registered",
            ),
            (
                one(json!({"name": "a", "revert": "undoo"})),
                "step `a` is reverted by `undoo`, which is not registered: did you mean `undo`?",
            ),
            (
                controller,
                "the controller of `f` runs `pik`, which is not registered: did you mean `pick`?",
            ),
            (
                one(json!({"name": "audit", "operation": "flow"})),
                "step `audit` runs `flow`, which is a flow: \
                 flows within flows are not possible yet",
            ),
        ] {
            assert_eq!(fault(&flow), expected);
        }
    }
}
