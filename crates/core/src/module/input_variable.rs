//! The environment variables in which a command gets the texts, numbers and booleans of its input: `INPUT_WIDTH` for
//! the input `width`. Two inputs must not have the same variable.

use std::collections::BTreeMap;

use serde_json::Value;

use rework_arguments::describe;

/// Returns the name of the variable for an input: in capitals, with `_` for all but ASCII letters and digits.
pub fn name(input: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("INPUT_{}", input.chars().map(letter).collect::<String>())
}

/// Returns why commands with inputs of this schema cannot get all of them as variables: two inputs have the same
/// variable, or `env` sets one. `None` if each input has a variable of its own.
pub fn collision(schema: &Value, env: &BTreeMap<String, String>) -> Option<String> {
    let mut inputs: BTreeMap<String, String> = BTreeMap::new();
    for input in describe(schema) {
        // Arrays and objects have no variables.
        if matches!(input.type_name.as_str(), "array" | "object" | "array or object") {
            continue;
        }
        let variable = name(&input.name);
        if env.contains_key(&variable) {
            return Some(format!(
                "`env` sets {variable}, the variable of the input `{}`: rename one of them",
                input.name
            ));
        }
        if let Some(other) = inputs.insert(variable.clone(), input.name.clone()) {
            return Some(format!(
                "the inputs `{other}` and `{}` would have the same variable {variable}: rename one of them",
                input.name
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_variable_has_capitals_digits_and_underscores() {
        assert_eq!(name("page-size"), "INPUT_PAGE_SIZE");
        assert_eq!(name("größe 2"), "INPUT_GR__E_2");
    }

    #[test]
    fn two_inputs_with_the_same_variable_collide() {
        let schema = json!({"properties": {
            "page-size": {"type": "string"}, "Page_Size": {"type": "integer"}, "width": {"type": "integer"},
            "tags": {"type": "array"}, "TAGS": {"type": "string"},
        }});
        assert_eq!(
            collision(&schema, &BTreeMap::new()).unwrap(),
            "the inputs `Page_Size` and `page-size` would have the same variable INPUT_PAGE_SIZE: rename one of them"
        );
        let width = json!({"properties": {"width": {"type": "integer"}}});
        assert_eq!(collision(&width, &BTreeMap::new()), None);
        let env = BTreeMap::from([("INPUT_WIDTH".to_owned(), "3".to_owned())]);
        assert_eq!(
            collision(&width, &env).unwrap(),
            "`env` sets INPUT_WIDTH, the variable of the input `width`: rename one of them"
        );
        let lists = json!({"properties": {"tags": {"type": "array"}, "TAGS": {"type": "string"}}});
        assert_eq!(collision(&lists, &BTreeMap::new()), None, "an array has no variable");
    }
}
