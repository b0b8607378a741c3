//! Lets the library `jsonschema` validate a [`Json`], so that it compares numbers by all their digits.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet, btree_map},
};

use jsonschema::{
    JsonType,
    json::{self as representation, Array, JsonNumber, Node, NodeIdentity, Object},
};
use serde_json::Value;

use crate::values::{json::Json, number::Number};

/// The representation of JSON whose values are [`Json`].
pub(super) enum Exact {}

impl representation::Json for Exact {
    type Node<'a> = &'a Json;
    type PreparedKey = String;
    type StringBuffer = Json;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut Json, string: &str, f: impl FnOnce(&Json) -> T) -> T {
        *buffer = Json::String(string.to_owned());
        f(buffer)
    }
}

impl<'a> Node<'a, Exact> for &'a Json {
    type Object = &'a BTreeMap<String, Json>;
    type Array = &'a [Json];
    type Number = &'a Number;

    fn as_object(&self) -> Option<&'a BTreeMap<String, Json>> {
        match self {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<&'a [Json]> {
        match self {
            Json::Array(items) => Some(items),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        match self {
            Json::String(text) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self {
            Json::Number(number) => Some(number),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self {
            Json::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    fn json_type(&self) -> JsonType {
        match self {
            Json::Null => JsonType::Null,
            Json::Boolean(_) => JsonType::Boolean,
            Json::Number(_) => JsonType::Number,
            Json::String(_) => JsonType::String,
            Json::Array(_) => JsonType::Array,
            Json::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        is_equal(self, expected)
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(Json::to_value(self))
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref::<Json>(self).addr()))
    }
}

/// Returns whether a value is equal to one of the schema.
fn is_equal(value: &Json, expected: &Value) -> bool {
    match (value, expected) {
        (Json::Null, Value::Null) => true,
        (Json::Boolean(truth), Value::Bool(expected)) => truth == expected,
        (Json::Number(number), Value::Number(expected)) => {
            *number == Number::new(&expected.to_string())
        }
        (Json::String(text), Value::String(expected)) => text == expected,
        (Json::Array(items), Value::Array(expected)) => {
            items.len() == expected.len()
                && items.iter().zip(expected).all(|(item, expected)| is_equal(item, expected))
        }
        (Json::Object(members), Value::Object(expected)) => {
            let has_equal = |(name, value): (&String, &Json)| {
                expected.get(name).is_some_and(|expected| is_equal(value, expected))
            };
            members.len() == expected.len() && members.iter().all(has_equal)
        }
        _ => false,
    }
}

impl<'a> Object<'a, Exact> for &'a BTreeMap<String, Json> {
    type Node = &'a Json;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        (*self).len()
    }

    fn get(&self, key: &String) -> Option<&'a Json> {
        (*self).get(key.as_str())
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter((*self).iter())
    }
}

/// An iterator over the names and values of an object.
pub(super) struct MembersIter<'a>(btree_map::Iter<'a, String, Json>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, &'a Json);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value))
    }
}

impl<'a> Array<'a, Exact> for &'a [Json] {
    type Node = &'a Json;
    type ElementsIter = std::slice::Iter<'a, Json>;

    fn len(&self) -> usize {
        <[Json]>::len(self)
    }

    fn elements(&self) -> std::slice::Iter<'a, Json> {
        (*self).iter()
    }

    fn is_unique(&self) -> bool {
        let mut known = HashSet::new();
        self.iter().all(|item| known.insert(item.canonical()))
    }
}

impl JsonNumber for &Number {
    fn as_u64(&self) -> Option<u64> {
        self.text().parse().ok()
    }

    fn as_i64(&self) -> Option<i64> {
        self.text().parse().ok()
    }

    fn as_f64(&self) -> Option<f64> {
        self.text().parse().ok().filter(|double: &f64| double.is_finite())
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.text())
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(self.rounded())
    }

    fn is_integer(&self) -> bool {
        Number::is_integer(self)
    }
}
