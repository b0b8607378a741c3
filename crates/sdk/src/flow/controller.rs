//! The types that the function of a controller takes and returns: [`History`] and [`Decision`].

use std::collections::BTreeMap;

use rework_wire::operation::Form;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::output::{IntoOutput, Outcome};

/// The rounds of a flow that a controller decides about: the input of a function with `#[controller]`.
///
/// The function is called when the flow is entered, with no round. It must then return [`Decision::Retry`]. It is
/// called again whenever a step has failed and the steps of the round are undone.
///
/// ```
/// use rework::{Decision, Flow, History, Step, controller};
///
/// /// Tries one zone after the other.
/// #[controller]
/// fn pick(history: &History) -> Decision {
///     match ["north", "south"].get(history.rounds.len()) {
///         Some(zone) => Decision::Retry((*zone).into()),
///         None => Decision::Revert,
///     }
/// }
///
/// fn main() {
///     let flow = Flow::linear("server").retry(pick::controller().provides("zone"));
///     let flow = flow.add(Step::operation("create_vm"));
///     assert!(flow.description().is_ok());
///
///     assert_eq!(pick(&History::default()), Decision::Retry("north".into()));
/// }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// The rounds that have failed, the oldest one first.
    #[serde(rename = "history")]
    pub rounds: Vec<Round>,
}

/// A round of a flow that has failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// The value that the controller gave to the round.
    #[serde(default)]
    pub value: Value,
    /// The steps that failed in the round, with the reason of each.
    #[serde(default)]
    pub failures: BTreeMap<String, String>,
}

/// The decision of a controller: the output of a function with `#[controller]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "decision", content = "value", rename_all = "snake_case")]
pub enum Decision {
    /// Runs the steps of the flow again. The value is that of the new round, see
    /// [`Controller::provides`](crate::Controller::provides).
    Retry(Value),
    /// Gives up. The flow around this one decides; if there is none, everything is undone.
    Revert,
    /// Gives up, and undoes everything, whatever the flows around this one would decide.
    RevertAll,
}

impl Decision {
    /// Makes the decision to run the steps again, with this value.
    ///
    /// ```
    /// use rework::Decision;
    ///
    /// assert_eq!(Decision::retry("north").unwrap(), Decision::Retry("north".into()));
    /// ```
    ///
    /// # Errors
    /// An error of kind `json` if the value cannot be written as JSON.
    pub fn retry(value: impl Serialize) -> Result<Decision, Error> {
        Ok(Decision::Retry(serde_json::to_value(value)?))
    }
}

/// A type that the function of a controller can return: [`Decision`], or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "the function of a controller cannot return `{Self}`",
    note = "return `rework::Decision`, or a `Result` of it and an error that is `Into<rework::Error>`"
)]
pub trait ControllerReturn {
    /// Returns the form and the schema of the decision.
    fn describe() -> (Form, Option<Value>);

    /// Converts the returned value to the result of the run.
    fn outcome(self) -> Outcome;
}

impl ControllerReturn for Decision {
    fn describe() -> (Form, Option<Value>) {
        <Decision as IntoOutput>::describe()
    }

    fn outcome(self) -> Outcome {
        self.to_output()
    }
}

impl<E: Into<Error>> ControllerReturn for Result<Decision, E> {
    fn describe() -> (Form, Option<Value>) {
        <Decision as IntoOutput>::describe()
    }

    fn outcome(self) -> Outcome {
        self.map_err(Into::into)?.to_output()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_history_is_read_from_the_input_of_the_task() {
        let text = json!({"history": [{"value": 1, "failures": {"vm": "exit code 3"}}]});
        let history: History = serde_json::from_value(text).unwrap();
        assert_eq!(history.rounds[0].value, json!(1));
        assert_eq!(history.rounds[0].failures["vm"], "exit code 3");
        let empty: History = serde_json::from_value(json!({"history": []})).unwrap();
        assert_eq!(empty, History::default());
    }

    #[test]
    fn a_decision_is_an_object() {
        for (decision, expected) in [
            (Decision::retry("north").unwrap(), json!({"decision": "retry", "value": "north"})),
            (Decision::Revert, json!({"decision": "revert"})),
            (Decision::RevertAll, json!({"decision": "revert_all"})),
        ] {
            assert_eq!(serde_json::to_value(&decision).unwrap(), expected);
        }
        let (form, schema) = <Result<Decision, Error> as ControllerReturn>::describe();
        assert_eq!(form, Form::Json);
        assert!(schema.unwrap().to_string().contains("revert_all"));
    }
}
