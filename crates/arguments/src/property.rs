//! What a JSON Schema says of the named parts of an object, as far as a command line needs it:
//! their names, and which texts they take.
//!
//! The schemas are those of `schemars`, of pydantic and of people: references into `$defs`,
//! alternatives (`anyOf`, `oneOf`), lists of types, enumerations. What is not understood takes any
//! JSON, and is judged by whoever takes the input.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// Schemas may refer to themselves; names and scalars are never this deep.
const DEEPEST: usize = 12;

/// One named part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) name: &'a str,
    pub(super) schema: &'a Value,
    pub(super) required: bool,
}

impl Property<'_> {
    /// Which texts it takes. The root is where references lead.
    pub(super) fn accepts(&self, root: &Value) -> Accepts {
        accepts(root, self.schema)
    }

    /// It is bytes, and travels as base64.
    pub(super) fn is_base64(&self, root: &Value) -> bool {
        self.text(root, "contentEncoding").as_deref() == Some("base64")
    }

    /// A text of its schema, its own or that of the definition that it refers to.
    pub(super) fn text(&self, root: &Value, key: &str) -> Option<String> {
        [self.schema, resolved(root, self.schema)]
            .iter()
            .find_map(|schema| schema.get(key).and_then(Value::as_str))
            .map(str::to_owned)
    }
}

/// The named parts of an object, those of its alternatives among them.
pub(super) fn properties(root: &Value) -> Vec<Property<'_>> {
    let mut found = Vec::new();
    collect_properties(root, root, true, DEEPEST, &mut found);
    found
}

/// The part that an object without fixed names has under any name: one that says of what form
/// they are, or an input that may be anything.
pub(super) fn additional<'a>(root: &'a Value, name: &'a str) -> Option<Property<'a>> {
    static ANYTHING: Value = Value::Bool(true);
    let schema = match resolved(root, root).get("additionalProperties") {
        Some(Value::Bool(false)) => return None,
        Some(schema) => schema,
        None => accepts(root, root).anything().then_some(&ANYTHING)?,
    };
    Some(Property { name, schema, required: false })
}

fn collect_properties<'a>(
    root: &'a Value,
    schema: &'a Value,
    certain: bool,
    depth: usize,
    found: &mut Vec<Property<'a>>,
) {
    if depth == 0 {
        return;
    }
    let required: Vec<&str> = list(schema, "required").filter_map(Value::as_str).collect();
    for (name, part) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if found.iter().all(|known| known.name != name) {
            let required = certain && required.contains(&name.as_str());
            found.push(Property { name, schema: part, required });
        }
    }
    if let Some(target) = target(root, schema) {
        collect_properties(root, target, certain, depth - 1, found);
    }
    for (key, certain) in [("allOf", certain), ("anyOf", false), ("oneOf", false)] {
        for part in list(schema, key) {
            collect_properties(root, part, certain, depth - 1, found);
        }
    }
}

/// The types of JSON, in the order in which a text is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    Array,
    Object,
    String,
}

impl Kind {
    const NAMES: [(&'static str, Kind); 7] = [
        ("null", Kind::Null),
        ("boolean", Kind::Boolean),
        ("integer", Kind::Integer),
        ("number", Kind::Number),
        ("array", Kind::Array),
        ("object", Kind::Object),
        ("string", Kind::String),
    ];

    fn fits(self, value: &Value) -> bool {
        match self {
            Kind::Null => value.is_null(),
            Kind::Boolean => value.is_boolean(),
            Kind::Integer => value.is_i64() || value.is_u64(),
            Kind::Number => value.is_number(),
            Kind::Array => value.is_array(),
            Kind::Object => value.is_object(),
            Kind::String => value.is_string(),
        }
    }
}

/// Which texts a part takes.
#[derive(Debug, Default)]
pub(super) struct Accepts {
    kinds: BTreeSet<Kind>,
    choices: Vec<Value>,
}

/// Which texts a schema takes; one that says nothing takes any JSON.
pub(super) fn accepts(root: &Value, schema: &Value) -> Accepts {
    let mut accepts = Accepts::default();
    accepts.collect(root, schema, DEEPEST);
    if accepts.kinds.is_empty() && accepts.choices.is_empty() {
        accepts.kinds.extend(Kind::NAMES.map(|(_, kind)| kind));
    }
    accepts
}

impl Accepts {
    /// It may be said by its name alone.
    pub(super) fn boolean(&self) -> bool {
        self.kinds.contains(&Kind::Boolean) && !self.kinds.contains(&Kind::String)
    }

    /// It may be any JSON.
    fn anything(&self) -> bool {
        self.kinds.len() == Kind::NAMES.len()
    }

    /// It may have named parts.
    pub(super) fn object(&self) -> bool {
        self.kinds.contains(&Kind::Object)
    }

    /// The value that a text stands for. A text is what it says it is: `3` is a number, where both
    /// a number and a string are taken; there `"3"`, with its quotes, is the string.
    pub(super) fn read(&self, text: &str) -> Option<Value> {
        let json = serde_json::from_str::<Value>(text).ok();
        let chosen =
            |choice: &&Value| choice.as_str() == Some(text) || Some(*choice) == json.as_ref();
        if let Some(choice) = self.choices.iter().find(chosen) {
            return Some(choice.clone());
        }
        let text_only = self.kinds.iter().all(|kind| matches!(kind, Kind::String | Kind::Null));
        if let Some(json) = json
            && !(text_only && self.kinds.contains(&Kind::String))
            && self.kinds.iter().any(|kind| kind.fits(&json))
        {
            return Some(json);
        }
        self.kinds.contains(&Kind::String).then(|| Value::from(text))
    }

    fn collect(&mut self, root: &Value, schema: &Value, depth: usize) {
        if depth == 0 {
            return;
        }
        if let Some(target) = target(root, schema) {
            self.collect(root, target, depth - 1);
        }
        self.choices.extend(schema.get("const").into_iter().chain(list(schema, "enum")).cloned());
        if schema.get("const").or(schema.get("enum")).is_none() {
            let one = schema.get("type").filter(|kind| kind.is_string());
            for name in one.into_iter().chain(list(schema, "type")).filter_map(Value::as_str) {
                self.kinds.extend(Kind::NAMES.iter().filter(|(n, _)| *n == name).map(|(_, k)| k));
            }
        }
        for part in ["anyOf", "oneOf", "allOf"].iter().flat_map(|key| list(schema, key)) {
            self.collect(root, part, depth - 1);
        }
    }
}

impl fmt::Display for Accepts {
    /// `integer`, `small|large`, `integer or string`. That a part may be null is said by its being
    /// optional.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.anything() {
            return f.write_str("any JSON");
        }
        let choices: Vec<String> = self
            .choices
            .iter()
            .filter(|choice| !choice.is_null())
            .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned))
            .collect();
        let kinds = Kind::NAMES.iter().filter(|(_, kind)| self.kinds.contains(kind));
        let mut names: Vec<&str> =
            kinds.map(|(name, _)| *name).filter(|name| *name != "null").collect();
        let choices = choices.join("|");
        if !choices.is_empty() {
            names.insert(0, &choices);
        }
        f.write_str(if names.is_empty() { "null" } else { "" })?;
        f.write_str(&names.join(" or "))
    }
}

fn list<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    target(root, schema).unwrap_or(schema)
}

fn target<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}
