//! The values of a flow: a part of a value, whether a condition is met, and the input of a step. The functions of the
//! same purpose in `migrations/V24__flow.sql` give the same results.

use serde_json::{Map, Value};

use crate::plan::{Arguments, Condition, Source};

/// Returns the part of a value at a path of keys and positions. `None` if there is none.
///
/// The position of an element of a list is counted from 0, or backwards from -1.
pub fn at<'a, P: AsRef<str>>(value: &'a Value, path: &[P]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Object(object) => object.get(part.as_ref()),
        Value::Array(list) => list.get(position(part.as_ref(), list.len())?),
        _ => None,
    })
}

/// Returns the position that a part of a path means in a list with this length. `None` if it means none.
fn position(text: &str, length: usize) -> Option<usize> {
    // The C function `strtol`, which Postgres uses, skips these characters.
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let number: i32 = text.parse().ok()?;
    match usize::try_from(number) {
        Ok(position) => Some(position),
        Err(_) => length.checked_sub(number.unsigned_abs() as usize),
    }
}

/// Returns whether a condition with this value is met: whether it is not null, false, 0, or an empty text, list or
/// object.
pub fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// The values that a running flow has so far.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// Returns the output of a step, which is null if it has none. `None` if the step is not done.
    pub step: &'a dyn Fn(i32) -> Option<&'a Value>,
    /// Returns the value of the controller of a scope. `None` if it has given none.
    pub scope: &'a dyn Fn(i32) -> Option<&'a Value>,
    /// The input of the flow. It has keys if it is an object.
    pub input: &'a Value,
}

impl Values<'_> {
    /// Returns the first value of these sources that exists. Null exists. `None` if no source has a value.
    ///
    /// `Err` if it is a literal value that a [`Value`] cannot hold, such as the number 1e400.
    pub fn first(&self, sources: &[Source]) -> serde_json::Result<Option<Value>> {
        for source in sources {
            let found = match source {
                Source::Step { step, path } => (self.step)(*step).and_then(|whole| at(whole, path)),
                Source::Scope { scope, path } => {
                    (self.scope)(*scope).and_then(|whole| at(whole, path))
                }
                Source::Input { input, path } => match self.input {
                    Value::Object(object) => object.get(input).and_then(|whole| at(whole, path)),
                    _ => None,
                },
                Source::Value { value } => return value.value().map(Some),
            };
            if let Some(value) = found {
                return Ok(Some(value.clone()));
            }
        }
        Ok(None)
    }

    /// Returns the input of a step, or the output of a flow: null without arguments, and an object without those
    /// arguments that have no value.
    pub fn resolve(&self, arguments: Option<&Arguments>) -> serde_json::Result<Value> {
        match arguments {
            None => Ok(Value::Null),
            Some(Arguments::Whole(sources)) => Ok(self.first(sources)?.unwrap_or_default()),
            Some(Arguments::Named(named)) => {
                let mut object = Map::new();
                for (name, sources) in named {
                    if let Some(value) = self.first(sources)? {
                        object.insert(name.clone(), value);
                    }
                }
                Ok(Value::Object(object))
            }
        }
    }

    /// Returns whether a condition is met. It is not if none of its sources has a value.
    pub fn is_met(&self, condition: &Condition) -> serde_json::Result<bool> {
        Ok(self.first(&condition.sources)?.is_some_and(|value| is_truthy(&value)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::description::Depth;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let value = json!({"a": [1, {"": null, "0": "x"}], "b": "text"});
        for (path, expected) in [
            (&["a", "0"][..], Some(json!(1))),
            (&[], Some(value.clone())),
            (&["a", "-1", "0"], Some(json!("x"))),
            (&["a", " +1", ""], Some(json!(null))),
            (&["a", "2"], None),
            (&["a", "-3"], None),
            (&["a", "-2147483648"], None),
            (&["a", "x"], None),
            (&["a", ""], None),
            (&["a", "1 "], None),
            (&["b", "0"], None),
            (&["c"], None),
        ] {
            assert_eq!(at(&value, path).cloned(), expected, "{path:?}");
        }
    }

    #[test]
    fn empty_values_are_false() {
        for value in
            [json!(null), json!(false), json!(0), json!(-0.0), json!(""), json!([]), json!({})]
        {
            assert!(!is_truthy(&value), "{value}");
        }
        for value in
            [json!(true), json!(-1), json!(0.1), json!("0"), json!([0]), json!({"a": null})]
        {
            assert!(is_truthy(&value), "{value}");
        }
    }

    fn step(step: i32, path: &[&str]) -> Source {
        Source::Step { step, path: path.iter().map(ToString::to_string).collect() }
    }

    fn input(key: &str) -> Source {
        Source::Input { input: key.to_owned(), path: vec![] }
    }

    #[test]
    fn the_first_source_that_exists_wins() {
        let (done, round) = (json!({"ip": null, "disks": [7]}), json!(2));
        let values = Values {
            step: &|number| (number == 1).then_some(&done),
            scope: &|number| (number == 0).then_some(&round),
            input: &json!({"size": 3}),
        };
        let literal = Source::Value { value: json!({"x": 1}).into() };
        for (sources, expected) in [
            (vec![], None),
            (vec![step(0, &[]), step(1, &["disks", "0"]), input("size")], Some(json!(7))),
            (vec![step(1, &["ip"]), input("size")], Some(json!(null))),
            (vec![step(1, &["name"]), input("size"), literal.clone()], Some(json!(3))),
            (vec![input("name"), Source::Scope { scope: 0, path: vec![] }], Some(json!(2))),
            (vec![Source::Scope { scope: 1, path: vec![] }, literal], Some(json!({"x": 1}))),
        ] {
            assert_eq!(values.first(&sources).unwrap(), expected, "{sources:?}");
        }
        let huge = Source::Value { value: serde_json::from_str("1e400").unwrap() };
        assert!(values.first(&[huge]).is_err());
    }

    #[test]
    fn arguments_without_a_value_are_left_out() {
        let nothing = |_| None;
        let values = Values { step: &nothing, scope: &nothing, input: &json!({"size": 3}) };
        let named = [("a", vec![input("size")]), ("b", vec![step(0, &[]), input("gone")])];
        let named = named.map(|(name, sources)| (name.to_owned(), sources)).into();
        let resolved = |arguments: &Arguments| values.resolve(Some(arguments)).unwrap();
        assert_eq!(resolved(&Arguments::Named(named)), json!({"a": 3}));
        assert_eq!(resolved(&Arguments::Named([].into())), json!({}));
        assert_eq!(resolved(&Arguments::Whole(vec![step(0, &[])])), json!(null));
        assert_eq!(resolved(&Arguments::Whole(vec![input("size")])), json!(3));
        assert_eq!(values.resolve(None).unwrap(), json!(null));
        let list = Values { input: &json!([1]), ..values };
        assert_eq!(list.first(&[input("0")]).unwrap(), None, "a list has no keys");
    }

    #[test]
    fn a_condition_without_a_value_is_not_met() {
        let nothing = |_| None;
        let values =
            Values { step: &nothing, scope: &nothing, input: &json!({"go": "yes", "no": 0}) };
        let condition = |key| Condition { sources: vec![input(key)], depth: Depth::All };
        assert!(values.is_met(&condition("go")).unwrap());
        assert!(!values.is_met(&condition("no")).unwrap());
        assert!(!values.is_met(&condition("gone")).unwrap());
    }
}
