//! Reads controllers. Which keys a controller may have depends on its kind.

use serde::{Deserialize, Deserializer, de};

use super::{Controller, ControllerKind};
use crate::json::Json;

/// The keys of all kinds of controllers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    kind: ControllerKind,
    attempts: Option<u32>,
    values: Option<Vec<Json>>,
    from: Option<String>,
    operation: Option<String>,
    #[serde(default)]
    revert_all: bool,
    provides: Option<String>,
}

// This is not derived, because serde can read the text of a value only if it knows the kind from the start.
impl<'de> Deserialize<'de> for Controller {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Controller, D::Error> {
        Keys::deserialize(deserializer)?.controller().map_err(de::Error::custom)
    }
}

impl Controller {
    /// Returns the kind.
    pub fn kind(&self) -> ControllerKind {
        match self {
            Controller::Times { .. } => ControllerKind::Times,
            Controller::ForEach { .. } => ControllerKind::ForEach,
            Controller::ForEachOf { .. } => ControllerKind::ForEachOf,
            Controller::AlwaysRevert => ControllerKind::AlwaysRevert,
            Controller::AlwaysRevertAll => ControllerKind::AlwaysRevertAll,
            Controller::Operation { .. } => ControllerKind::Operation,
        }
    }

    /// Returns the name of the value that the steps of a round may use. `None` if there is none.
    pub fn provides(&self) -> Option<&str> {
        match self {
            Controller::Times { provides, .. }
            | Controller::ForEach { provides, .. }
            | Controller::ForEachOf { provides, .. }
            | Controller::Operation { provides, .. } => provides.as_deref(),
            Controller::AlwaysRevert | Controller::AlwaysRevertAll => None,
        }
    }

    /// Returns whether the whole flow is undone at once after the last round.
    pub fn reverts_all(&self) -> bool {
        match self {
            Controller::Times { revert_all, .. }
            | Controller::ForEach { revert_all, .. }
            | Controller::ForEachOf { revert_all, .. } => *revert_all,
            Controller::AlwaysRevert
            | Controller::AlwaysRevertAll
            | Controller::Operation { .. } => false,
        }
    }
}

impl ControllerKind {
    /// Returns the name of the kind in descriptions and plans.
    pub fn as_str(self) -> &'static str {
        match self {
            ControllerKind::Times => "times",
            ControllerKind::ForEach => "for_each",
            ControllerKind::ForEachOf => "for_each_of",
            ControllerKind::AlwaysRevert => "always_revert",
            ControllerKind::AlwaysRevertAll => "always_revert_all",
            ControllerKind::Operation => "operation",
        }
    }
}

impl Keys {
    fn controller(self) -> Result<Controller, String> {
        self.check()?;
        let Keys { kind, attempts, values, from, operation, revert_all, provides } = self;
        let missing = |key: &str| format!("a controller `{}` needs `{key}`", kind.as_str());
        Ok(match kind {
            ControllerKind::Times => {
                let attempts = attempts.ok_or_else(|| missing("attempts"))?;
                Controller::Times { attempts, revert_all, provides }
            }
            ControllerKind::ForEach => {
                let values = values.ok_or_else(|| missing("values"))?;
                Controller::ForEach { values, revert_all, provides }
            }
            ControllerKind::ForEachOf => {
                let from = from.ok_or_else(|| missing("from"))?;
                Controller::ForEachOf { from, revert_all, provides }
            }
            ControllerKind::AlwaysRevert => Controller::AlwaysRevert,
            ControllerKind::AlwaysRevertAll => Controller::AlwaysRevertAll,
            ControllerKind::Operation => {
                let operation = operation.ok_or_else(|| missing("operation"))?;
                Controller::Operation { operation, provides }
            }
        })
    }

    /// Checks that the controller has no key of another kind.
    fn check(&self) -> Result<(), String> {
        use ControllerKind::{ForEach, ForEachOf, Operation, Times};

        let given: [(&str, bool, &[ControllerKind]); 6] = [
            ("attempts", self.attempts.is_some(), &[Times]),
            ("values", self.values.is_some(), &[ForEach]),
            ("from", self.from.is_some(), &[ForEachOf]),
            ("operation", self.operation.is_some(), &[Operation]),
            ("revert_all", self.revert_all, &[Times, ForEach, ForEachOf]),
            ("provides", self.provides.is_some(), &[Times, ForEach, ForEachOf, Operation]),
        ];
        match given.iter().find(|(_, is_given, kinds)| *is_given && !kinds.contains(&self.kind)) {
            Some((key, ..)) => {
                Err(format!("a controller `{}` cannot have `{key}`", self.kind.as_str()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Result<Controller, String> {
        serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_controller_is_read_as_it_was_written() {
        for value in [
            json!({"kind": "times", "attempts": 3, "revert_all": true, "provides": "round"}),
            json!({"kind": "for_each", "values": [1, "a", null], "revert_all": false,
                   "provides": null}),
            json!({"kind": "for_each_of", "from": "mirrors.near", "revert_all": false,
                   "provides": "mirror"}),
            json!({"kind": "always_revert"}),
            json!({"kind": "always_revert_all"}),
            json!({"kind": "operation", "operation": "cloud/pick", "provides": "zone"}),
        ] {
            let controller = read(&value).unwrap();
            assert_eq!(serde_json::to_value(&controller).unwrap(), value);
            assert_eq!(json!(controller.kind()), value["kind"]);
            assert_eq!(value["kind"], controller.kind().as_str());
            let provides = value.get("provides").cloned().unwrap_or_default();
            assert_eq!(json!(controller.provides()), provides);
        }
        let expected = Controller::Times { attempts: 2, revert_all: false, provides: None };
        assert_eq!(read(&json!({"kind": "times", "attempts": 2})), Ok(expected));
    }

    #[test]
    fn the_keys_depend_on_the_kind() {
        for (value, expected) in [
            (json!({"kind": "times"}), "a controller `times` needs `attempts`"),
            (json!({"kind": "for_each"}), "a controller `for_each` needs `values`"),
            (json!({"kind": "operation"}), "a controller `operation` needs `operation`"),
            (json!({"kind": "times", "values": []}), "a controller `times` cannot have `values`"),
            (
                json!({"kind": "always_revert", "provides": "x"}),
                "a controller `always_revert` cannot have `provides`",
            ),
            (json!({"kind": "times", "attempts": -1}), "invalid value: integer `-1`"),
            (json!({"kind": "thrice"}), "unknown variant `thrice`"),
            (json!({"kind": "times", "tries": 3}), "unknown field `tries`"),
        ] {
            let fault = read(&value).unwrap_err();
            assert!(fault.starts_with(expected), "{fault}");
        }
    }
}
