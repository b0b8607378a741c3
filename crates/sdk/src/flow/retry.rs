//! The controllers of a flow: what follows when one of its steps fails.

use rework_flow::Json;
use rework_flow::description::Controller as Described;
use serde::Serialize;

/// Decides what follows when a step of a flow fails. [`Flow::retry`](crate::Flow::retry) takes everything that converts
/// into it: [`Times`], [`ForEach`], [`ForEachOf`], [`AlwaysRevert`] and [`AlwaysRevertAll`]. For a function `pick` with
/// `#[controller]`, `pick::controller()` makes one.
///
/// When a flow has no controller, or its controller gives up, the controller of the flow around it decides. If there is
/// none, everything is undone.
#[derive(Debug, Clone)]
#[must_use]
pub struct Controller {
    described: Described,
    /// Why the controller cannot be described.
    fault: Option<String>,
}

impl Controller {
    /// Makes a controller that runs an operation. The operation takes a [`History`](crate::History), returns a
    /// [`Decision`](crate::Decision), and may be written in any language. It is named as in
    /// [`Step::operation`](crate::Step::operation).
    pub fn operation(operation: impl Into<String>) -> Controller {
        Controller::new(Described::Operation { operation: operation.into(), provides: None })
    }

    /// Lets the controller undo everything when it gives up, whatever the flows around it would decide.
    ///
    /// An operation decides that itself, with [`Decision::RevertAll`](crate::Decision::RevertAll).
    pub fn revert_all(mut self) -> Controller {
        match &mut self.described {
            Described::Times { revert_all, .. }
            | Described::ForEach { revert_all, .. }
            | Described::ForEachOf { revert_all, .. } => *revert_all = true,
            Described::AlwaysRevert | Described::AlwaysRevertAll => {
                self.described = Described::AlwaysRevertAll;
            }
            Described::Operation { operation, .. } => {
                let fault = format!(
                    "`revert_all` has no effect on operation `{operation}`, which decides itself"
                );
                self.fault.get_or_insert(fault);
            }
        }
        self
    }

    /// Gives the value of the current round a name. Steps require it by this name.
    ///
    /// The value is the number of the round for [`Times`], the element of the list for [`ForEach`] and [`ForEachOf`],
    /// and that of [`Decision::Retry`](crate::Decision::Retry) for an operation.
    pub fn provides(mut self, name: impl Into<String>) -> Controller {
        match &mut self.described {
            Described::Times { provides, .. }
            | Described::ForEach { provides, .. }
            | Described::ForEachOf { provides, .. }
            | Described::Operation { provides, .. } => *provides = Some(name.into()),
            Described::AlwaysRevert | Described::AlwaysRevertAll => {
                let fault = format!(
                    "a controller that always reverts has no value to provide as `{}`",
                    name.into()
                );
                self.fault.get_or_insert(fault);
            }
        }
        self
    }

    fn new(described: Described) -> Controller {
        Controller { described, fault: None }
    }

    /// Returns the description. If it is not complete, also returns why.
    pub(super) fn into_parts(self) -> (Described, Option<String>) {
        (self.described, self.fault)
    }
}

/// Runs the steps of a flow up to this number of times, until none of them fails.
///
/// ```
/// use rework::{Flow, Step, Times};
///
/// let flow = Flow::linear("server")
///     .retry(Times(3).provides("attempt"))
///     .add(Step::operation("create_vm").rebind("number", "attempt"));
/// # assert!(flow.description().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times(pub u32);

impl Times {
    /// Sets what [`Controller::revert_all`] sets.
    pub fn revert_all(self) -> Controller {
        Controller::from(self).revert_all()
    }

    /// Gives the number of the round, from 1, this name. Steps require it by this name.
    pub fn provides(self, name: impl Into<String>) -> Controller {
        Controller::from(self).provides(name)
    }
}

impl From<Times> for Controller {
    fn from(Times(attempts): Times) -> Controller {
        Controller::new(Described::Times { attempts, revert_all: false, provides: None })
    }
}

/// Runs the steps of a flow once for each value of a list, until none of them fails.
///
/// ```
/// use rework::{Flow, ForEach, Step};
///
/// let flow = Flow::linear("server")
///     .retry(ForEach(["north", "south"]).provides("zone"))
///     .add(Step::operation("create_vm"));
/// # assert!(flow.description().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForEach<L>(pub L);

impl<L: IntoIterator<Item: Serialize>> ForEach<L> {
    /// Sets what [`Controller::revert_all`] sets.
    pub fn revert_all(self) -> Controller {
        Controller::from(self).revert_all()
    }

    /// Gives the value of the round this name. Steps require it by this name.
    pub fn provides(self, name: impl Into<String>) -> Controller {
        Controller::from(self).provides(name)
    }
}

impl<L: IntoIterator<Item: Serialize>> From<ForEach<L>> for Controller {
    fn from(ForEach(list): ForEach<L>) -> Controller {
        let mut values = Vec::new();
        let mut fault = None;
        for value in list {
            match Json::new(&value) {
                Ok(value) => values.push(value),
                Err(error) => {
                    fault =
                        Some(format!("a value of `ForEach` cannot be written as JSON: {error}"));
                    break;
                }
            }
        }
        let described = Described::ForEach { values, revert_all: false, provides: None };
        Controller { described, fault }
    }
}

/// Runs the steps of a flow once for each value of a list, until none of them fails. The list is not known before the
/// flow runs: it is a value with this name, or a part of it such as `"site.zones"`. A step before the flow provides the
/// value, or it is in the input of the flow's task.
///
/// ```
/// use rework::{Flow, ForEachOf, Step};
///
/// let server = Flow::linear("server")
///     .retry(ForEachOf("zones").provides("zone"))
///     .add(Step::operation("create_vm"));
/// let flow = Flow::linear("all")
///     .add(Step::operation("list_zones").provides("zones"))
///     .add(server);
/// # assert!(flow.description().is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForEachOf<N>(pub N);

impl<N: Into<String>> ForEachOf<N> {
    /// Sets what [`Controller::revert_all`] sets.
    pub fn revert_all(self) -> Controller {
        Controller::from(self).revert_all()
    }

    /// Gives the value of the round this name. Steps require it by this name.
    pub fn provides(self, name: impl Into<String>) -> Controller {
        Controller::from(self).provides(name)
    }
}

impl<N: Into<String>> From<ForEachOf<N>> for Controller {
    fn from(ForEachOf(from): ForEachOf<N>) -> Controller {
        let from = from.into();
        Controller::new(Described::ForEachOf { from, revert_all: false, provides: None })
    }
}

/// Undoes the steps of a flow as soon as one of them fails. The controller of the flow around it decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlwaysRevert;

impl From<AlwaysRevert> for Controller {
    fn from(AlwaysRevert: AlwaysRevert) -> Controller {
        Controller::new(Described::AlwaysRevert)
    }
}

/// Undoes everything as soon as a step of the flow fails, whatever the controllers of the flows around it would decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlwaysRevertAll;

impl From<AlwaysRevertAll> for Controller {
    fn from(AlwaysRevertAll: AlwaysRevertAll) -> Controller {
        Controller::new(Described::AlwaysRevertAll)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    fn described(controller: impl Into<Controller>) -> Value {
        let (described, fault) = controller.into().into_parts();
        assert_eq!(fault, None);
        serde_json::to_value(described).unwrap()
    }

    #[test]
    fn each_controller_has_a_kind() {
        let times = json!({"kind": "times", "attempts": 3, "revert_all": true, "provides": "n"});
        assert_eq!(described(Times(3).revert_all().provides("n")), times);
        let list = described(ForEach(vec!["a", "b"]).provides("x"));
        assert_eq!((&list["kind"], &list["values"]), (&json!("for_each"), &json!(["a", "b"])));
        let found = described(ForEachOf("mirrors").revert_all());
        assert_eq!((&found["kind"], &found["from"]), (&json!("for_each_of"), &json!("mirrors")));
        assert_eq!(described(AlwaysRevert), json!({"kind": "always_revert"}));
        assert_eq!(described(AlwaysRevertAll), json!({"kind": "always_revert_all"}));
        let always = Controller::from(AlwaysRevert).revert_all();
        assert_eq!(described(always), json!({"kind": "always_revert_all"}));
        let own = described(Controller::operation("cloud/pick").provides("zone"));
        let expected = json!({"kind": "operation", "operation": "cloud/pick", "provides": "zone"});
        assert_eq!(own, expected);
    }

    #[test]
    fn the_first_fault_is_kept() {
        let no_json = BTreeMap::from([([1, 2], 3)]);
        let fault = |controller: Controller| controller.into_parts().1.unwrap();
        assert!(fault(ForEach([no_json]).into()).starts_with("a value of `ForEach` cannot be"));
        let always = Controller::from(AlwaysRevert).provides("a").provides("b");
        assert!(fault(always).ends_with("has no value to provide as `a`"));
        let own = Controller::operation("pick").revert_all();
        assert!(fault(own).contains("operation `pick`"));
    }
}
