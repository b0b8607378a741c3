//! The environment variables in which a command gets the texts, numbers and booleans of its input. Numbers have the
//! digits with which the input was written.

use std::collections::BTreeMap;

use rework_core::{module::input_variable, task::payload::Payload};
use serde_json::value::RawValue;

use crate::environment::Variable;

/// The longest scalar of an input that becomes an environment variable, in bytes. Linux allows 128 KiB for one
/// variable.
const MAX_VARIABLE_BYTES: usize = 64 << 10;

/// The most bytes of all such variables together. Linux allows at most 2 MiB for arguments and environment, often less.
const MAX_VARIABLES_BYTES: usize = 512 << 10;

/// The variables of one input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct InputVariables {
    pub variables: Vec<Variable>,
    /// Warnings for the log of the task about inputs that have no variable because another one has its name.
    pub warnings: Vec<String>,
}

/// Returns a variable `INPUT_<NAME>` for each text, number and boolean at the top level of a JSON object; none for any
/// other input. A value is left out if it contains a NUL byte, if it is too long, or if all variables together would be
/// too long. It is left out with a warning if its variable is in `env`, the variables of the manifest, or belongs to
/// another input. Of several inputs with the same variable, the first one in the order of their names has it.
pub(crate) fn input_variables(input: &Payload, env: &BTreeMap<String, String>) -> InputVariables {
    let mut inputs = InputVariables::default();
    let Payload::Json(text) = input else { return inputs };
    let Ok(object) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else {
        return inputs;
    };
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut bytes_left = MAX_VARIABLES_BYTES;
    for (name, json) in object {
        let Some(value) = scalar(json.get()) else { continue };
        let variable = input_variable::name(&name);
        if let Some(warning) = warning(&name, &variable, owners.get(&variable), env) {
            inputs.warnings.push(warning);
            continue;
        }
        let bytes = variable.len() + value.len();
        if !value.contains('\0') && bytes <= MAX_VARIABLE_BYTES && bytes <= bytes_left {
            bytes_left -= bytes;
            inputs.variables.push((variable.clone().into(), value.into()));
        }
        owners.insert(variable, name);
    }
    inputs
}

/// Returns the warning that an input has no variable. `owner` is another input that has the variable. `None` if the
/// variable is free.
fn warning(
    name: &str,
    variable: &str,
    owner: Option<&String>,
    env: &BTreeMap<String, String>,
) -> Option<String> {
    if let Some(owner) = owner {
        return Some(format!(
            "the inputs `{owner}` and `{name}` have the same variable {variable}: it has the value of `{owner}`"
        ));
    }
    if !env.contains_key(variable) {
        return None;
    }
    Some(format!("the input `{name}` has no variable: `env` in the manifest sets {variable}"))
}

/// Returns the text of a scalar: a string without its quotes, a number as it was written, or a boolean. `None` for
/// null, an array and an object.
fn scalar(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'n' | b'[' | b'{' => None,
        _ => Some(json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(input: &str) -> InputVariables {
        let env = BTreeMap::from([("INPUT_FIXED".to_owned(), "x".to_owned())]);
        input_variables(&Payload::Json(input.to_owned()), &env)
    }

    fn expected(pairs: &[(&str, &str)]) -> Vec<Variable> {
        pairs.iter().map(|(name, value)| (format!("INPUT_{name}").into(), value.into())).collect()
    }

    #[test]
    fn scalars_at_the_top_become_variables() {
        let inputs = variables(
            r#"{"width": 300, "page-size": "a\u00e4", "deep": {"x": 1}, "dry": true, "none": null, "l": [1]}"#,
        );
        let pairs = [("DRY", "true"), ("PAGE_SIZE", "aä"), ("WIDTH", "300")];
        assert_eq!(inputs.variables, expected(&pairs));
        assert!(inputs.warnings.is_empty());
        assert_eq!(variables("[1]"), InputVariables::default());
    }

    #[test]
    fn numbers_keep_their_digits() {
        let inputs = variables(
            r#"{"id": 123456789012345678901234567890, "f": 12345678901234567.25, "g": 1e400, "h": -0.10}"#,
        );
        let pairs = [
            ("F", "12345678901234567.25"),
            ("G", "1e400"),
            ("H", "-0.10"),
            ("ID", "123456789012345678901234567890"),
        ];
        assert_eq!(inputs.variables, expected(&pairs));
    }

    #[test]
    fn an_input_without_a_variable_of_its_own_is_warned_of() {
        let inputs = variables(r#"{"page-size": 1, "page_size": 2, "fixed": 3}"#);
        assert_eq!(inputs.variables, expected(&[("PAGE_SIZE", "1")]));
        assert_eq!(
            inputs.warnings,
            [
                "the input `fixed` has no variable: `env` in the manifest sets INPUT_FIXED",
                "the inputs `page-size` and `page_size` have the same variable INPUT_PAGE_SIZE: \
                 it has the value of `page-size`",
            ]
        );
    }
}
