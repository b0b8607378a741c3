//! [`Operations`]: what a plan needs to know about the operations that its flow uses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rework_arguments::suggest::did_you_mean;
use rework_arguments::{describe, type_name};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::description::{Controller, Description, Item};

/// The properties of an operation that a plan needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The id in the database.
    pub id: i64,
    /// The domain.
    pub domain: String,
    /// The name.
    pub name: String,
    /// The properties of the input. `None` if the input is no object, or any JSON. See [`properties`].
    pub properties: Option<Vec<Property>>,
    /// Whether a run of the operation makes a plan.
    pub is_flow: bool,
    /// Whether the operation is registered. Others are known from the past, and cannot be used.
    pub is_registered: bool,
}

/// A property of the input of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The name.
    pub name: String,
    /// Whether the input must have the property.
    pub required: bool,
}

/// Returns the properties of an input with this JSON Schema. `None` if the schema declares none.
pub fn properties(schema: Option<&Value>) -> Option<Vec<Property>> {
    let schema = schema?;
    let listed: Vec<Property> = describe(schema)
        .into_iter()
        .map(|argument| Property { name: argument.name, required: argument.required })
        .collect();
    (!listed.is_empty() || type_name(schema) == "object").then_some(listed)
}

/// The keys of a flow's input, from which steps may take values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputKeys {
    /// The keys that the input has.
    pub present: Vec<String>,
    /// The keys that it does not have, although its schema declares them. A condition may name them, and is false.
    pub absent: Vec<String>,
}

impl InputKeys {
    /// Returns the keys of an input with this schema. There are none if the input is not an object.
    pub fn new(input: &str, schema: Option<&Value>) -> InputKeys {
        let object = serde_json::from_str::<BTreeMap<String, &RawValue>>(input);
        let present: Vec<String> =
            object.map(|object| object.into_keys().collect()).unwrap_or_default();
        let declared = properties(schema).unwrap_or_default().into_iter();
        let mut absent: Vec<String> = declared.map(|property| property.name).collect();
        absent.retain(|name| !present.contains(name));
        InputKeys { present, absent }
    }
}

/// Returns the names under which the operations of a flow have to be searched, in any domain. A text such as
/// `cloud/notify` is the operation `notify` of the domain `cloud`, or an operation with this name as it is.
pub fn names(description: &Description) -> Vec<&str> {
    let mut names = BTreeSet::new();
    let mut patterns = vec![&description.flow];
    while let Some(pattern) = patterns.pop() {
        if let Some(Controller::Operation { operation, .. }) = &pattern.retry {
            names.extend(readings(operation).map(|(_, name)| name));
        }
        for item in &pattern.items {
            match item {
                Item::Flow(nested) => patterns.push(nested),
                Item::Step(step) => {
                    let texts = [Some(&step.operation), step.revert.as_ref()];
                    let found = texts.into_iter().flatten().flat_map(|text| readings(text));
                    names.extend(found.map(|(_, name)| name));
                }
            }
        }
    }
    // Postgres cannot even search for the character 0.
    names.into_iter().filter(|name| !name.contains('\0')).collect()
}

/// Returns what a text in a description can mean: the whole is a name, or a part before a slash is a domain.
fn readings(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let parts = text.match_indices('/');
    let in_domain = parts.map(|(at, _)| (text.get(..at), text.get(at + 1..).unwrap_or_default()));
    in_domain.chain([(None, text)])
}

/// The operations with the names that [`names`] returns, of all domains.
#[derive(Debug, Clone, Default)]
pub struct Operations {
    by_name: HashMap<String, Vec<Operation>>,
}

/// Why a description cannot use an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Absence {
    /// It is not registered. The suggestion ends a message, and is empty if there is none.
    Unregistered { suggestion: String },
    /// Only other domains have it, and more than one. The text lists their operations.
    SeveralDomains { choices: String },
}

impl FromIterator<Operation> for Operations {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Operations {
        let mut by_name = HashMap::<String, Vec<Operation>>::new();
        for operation in operations {
            by_name.entry(operation.name.clone()).or_default().push(operation);
        }
        Operations { by_name }
    }
}

impl Operations {
    /// Returns the operation that a flow of the domain `own` calls `text`. If the text names no domain, it is the
    /// operation of the flow's own domain, else the only one of the other domains.
    pub(crate) fn near(&self, text: &str, own: &str) -> Result<&Operation, Absence> {
        for (domain, name) in readings(text) {
            let Some(domain) = domain else { continue };
            if let Some(found) = self.named(name).find(|operation| operation.domain == domain) {
                return Ok(found);
            }
        }
        if let Some(found) = self.named(text).find(|operation| operation.domain == own) {
            return Ok(found);
        }
        let others: Vec<&Operation> = self.named(text).collect();
        match others.as_slice() {
            &[only] => Ok(only),
            [] => Err(Absence::Unregistered { suggestion: self.suggestion(text) }),
            _ => {
                let mut names: Vec<String> = others
                    .iter()
                    .map(|other| format!("`{}/{}`", other.domain, other.name))
                    .collect();
                names.sort();
                Err(Absence::SeveralDomains { choices: names.join(" or ") })
            }
        }
    }

    /// Returns whether a flow of the domain `own` can mean an operation by this text.
    pub fn contains(&self, text: &str, own: &str) -> bool {
        !matches!(self.near(text, own), Err(Absence::Unregistered { .. }))
    }

    /// Returns the registered operations with this name.
    fn named(&self, name: &str) -> impl Iterator<Item = &Operation> {
        self.by_name.get(name).into_iter().flatten().filter(|operation| operation.is_registered)
    }

    /// Returns the end of a message about an unknown operation. Empty if no other one has a similar name.
    fn suggestion(&self, text: &str) -> String {
        let registered = || self.by_name.values().flatten().filter(|found| found.is_registered);
        let with_domain = registered().map(|found| format!("{}/{}", found.domain, found.name));
        let names: BTreeSet<String> =
            registered().map(|found| found.name.clone()).chain(with_domain).collect();
        did_you_mean(text, names.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(id: i64, domain: &str, name: &str) -> Operation {
        Operation {
            id,
            domain: domain.to_owned(),
            name: name.to_owned(),
            properties: None,
            is_flow: false,
            is_registered: true,
        }
    }

    fn operations() -> Operations {
        let gone = Operation { is_registered: false, ..operation(7, "cloud", "gone") };
        [
            operation(1, "cloud", "create"),
            operation(2, "default", "create"),
            operation(3, "mail", "notify"),
            operation(4, "chat", "notify"),
            operation(5, "mail", "send"),
            operation(6, "default", "chat/notify"),
            gone,
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn an_operation_is_that_of_the_own_domain_or_the_only_other_one() {
        let operations = operations();
        let id = |text, own| operations.near(text, own).map(|found| found.id);
        assert_eq!(id("create", "cloud"), Ok(1));
        assert_eq!(id("create", "default"), Ok(2));
        assert_eq!(id("default/create", "cloud"), Ok(2));
        assert_eq!(id("send", "cloud"), Ok(5));
        assert_eq!(id("notify", "chat"), Ok(4));
        assert_eq!(id("chat/notify", "default"), Ok(4), "the domain before the slash comes first");
        let choices = "`chat/notify` or `mail/notify`".to_owned();
        assert_eq!(id("notify", "cloud"), Err(Absence::SeveralDomains { choices }));
    }

    #[test]
    fn an_unknown_operation_may_have_a_similar_one() {
        let operations = operations();
        let suggestion = |text| match operations.near(text, "cloud") {
            Err(Absence::Unregistered { suggestion }) => suggestion,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(suggestion("gone"), "", "not registered any more");
        assert_eq!(suggestion("sendd"), ": did you mean `send`?");
        assert_eq!(suggestion("mial/send"), ": did you mean `mail/send`?");
        assert_eq!(suggestion("cloud/archive"), "");
    }

    #[test]
    fn each_operation_of_a_description_is_searched_once() {
        let text = json!({"flow": {"pattern": "linear", "name": "f",
            "retry": {"kind": "operation", "operation": "pick"},
            "items": [
                {"step": {"name": "a", "operation": "create", "revert": "cloud/delete"}},
                {"flow": {"pattern": "linear", "name": "g", "items": [
                    {"step": {"name": "b", "operation": "create"}},
                    {"step": {"name": "c", "operation": "x/y/z", "revert": "a\u{0}b"}}]}}]}});
        let description = Description::read(&text.to_string()).unwrap();
        let expected = ["cloud/delete", "create", "delete", "pick", "x/y/z", "y/z", "z"];
        assert_eq!(names(&description), expected);
    }

    #[test]
    fn the_properties_of_an_input_come_from_its_schema() {
        let property = |name: &str, required| Property { name: name.to_owned(), required };
        let schema = json!({"$ref": "#/$defs/Size", "$defs": {"Size": {"type": "object",
            "properties": {"gib": {"type": "integer"}, "note": {"type": ["string", "null"]}},
            "required": ["gib"]}}});
        let expected = vec![property("gib", true), property("note", false)];
        assert_eq!(properties(Some(&schema)), Some(expected));
        assert_eq!(properties(Some(&json!({"type": "object"}))), Some(vec![]));
        assert_eq!(properties(Some(&json!({"type": "string"}))), None);
        assert_eq!(properties(Some(&json!({"type": "null"}))), None);
        assert_eq!(properties(Some(&json!(true))), None);
        assert_eq!(properties(None), None);
        let keys = |present: &[&str], absent: &[&str]| InputKeys {
            present: present.iter().map(ToString::to_string).collect(),
            absent: absent.iter().map(ToString::to_string).collect(),
        };
        let input = r#"{"gib": 1, "other": null}"#;
        assert_eq!(InputKeys::new(input, Some(&schema)), keys(&["gib", "other"], &["note"]));
        assert_eq!(InputKeys::new("[1]", Some(&schema)), keys(&[], &["gib", "note"]));
        assert_eq!(InputKeys::new(input, None), keys(&["gib", "other"], &[]));
    }
}
