//! The operations here to which schedules and tasks of another database go: those that are here, and those that are
//! made of what is there.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_postgres::{Transaction, types::Type};

use super::{Defined, Kind, Left, source::TheirOperation};
use rework_core::{
    db::{connect::Param, deadline::within_deadline, error::Result, row::Columns},
    task::payload::Payload,
    values::{io_specs::Spec, quantity, validate::Schema},
};

/// Domain and name.
pub(super) type Key = (String, String);

/// An operation here.
pub(super) struct Target {
    schema: Option<Schema>,
    unregistered: bool,
}

/// What came of operations.
pub(super) struct Targets {
    pub(super) known: BTreeMap<Key, Target>,
    pub(super) defined: Vec<Defined>,
    pub(super) left: Vec<Left>,
}

impl TheirOperation {
    pub(super) fn key(&self) -> Key {
        (self.domain.clone(), self.name.clone())
    }

    /// What it declares of its inputs, if anything.
    pub(super) fn specs(&self) -> Result<Option<Vec<Spec>>, String> {
        specs("inputs", self.inputs.as_ref())
    }

    /// Its row here, but for what nobody has declared there.
    fn row(&self) -> Result<Value, String> {
        if self.domain.is_empty() || self.name.is_empty() {
            return Err("it has no name, or none of its domain".to_owned());
        }
        let schema = |what: &str, declared: &Option<Value>| {
            Ok::<_, String>(specs(what, declared.as_ref())?.map(|specs| Spec::schema(&specs)))
        };
        let timeout = self.timeout.as_deref().map(timeout_ms).transpose()?;
        Ok(json!({
            "domain": self.domain,
            "name": self.name,
            "input_schema": schema("inputs", &self.inputs)?,
            "output_schema": schema("outputs", &self.outputs)?,
            "timeout_ms": timeout,
        }))
    }
}

fn specs(what: &str, declared: Option<&Value>) -> Result<Option<Vec<Spec>>, String> {
    let read = |declared| Spec::all(declared).map_err(|why| format!("its {what} are {why}"));
    declared.filter(|declared| !declared.is_null()).map(read).transpose()
}

fn timeout_ms(text: &str) -> Result<i64, String> {
    match quantity::milliseconds(text) {
        Ok(0) => Err(format!("its timeout `{text}` is no time at all")),
        Ok(milliseconds) => Ok(milliseconds),
        Err(error) => Err(format!("its timeout: {error}")),
    }
}

impl Target {
    /// Why a task with this input cannot be queued here; none: it can.
    pub(super) fn refusal(&self, input: &Payload) -> Option<String> {
        if self.unregistered {
            return Some("its operation is unregistered here".to_owned());
        }
        let schema = self.schema.as_ref()?;
        let misfit = match input {
            Payload::Json(text) => schema.check(text.as_bytes()).err(),
            // What is queued without an input is given `{}` where only an object fits.
            Payload::None if schema.check(b"null").is_ok() => None,
            Payload::None => schema.check(b"{}").err(),
            Payload::Bytes(_) => {
                return Some("its input is bytes, and its operation takes JSON".to_owned());
            }
        };
        misfit.map(|misfit| format!("its input does not fit its operation: {misfit}"))
    }
}

/// Makes those operations that are not here. The newest row of a name in a domain counts: a registration there is on
/// one host, and what it declares is of the operation here.
pub(super) async fn make(
    transaction: &Transaction<'_>,
    operations: &[TheirOperation],
    from: &str,
) -> Result<Targets> {
    let newest: BTreeMap<Key, &TheirOperation> =
        operations.iter().map(|operation| (operation.key(), operation)).collect();
    let before = find(transaction, newest.keys()).await?;
    let (mut rows, mut left) = (Vec::new(), Vec::new());
    for (key, operation) in newest.iter().filter(|(key, _)| !before.contains_key(*key)) {
        match operation.row() {
            Ok(row) => rows.push(row),
            Err(reason) => left.push(Left::new(Kind::Operation, operation.id, key, reason)),
        }
    }
    let given = Value::from(rows).to_string();
    let params: [Param<'_>; 2] = [(&given, Type::TEXT), (&from, Type::TEXT)];
    let making = transaction.query_typed(include_str!("sql/import_define.sql"), &params);
    within_deadline(making).await?;
    let known = find(transaction, newest.keys()).await?;
    let defined = known.keys().map(|key| Defined {
        domain: key.0.clone(),
        name: key.1.clone(),
        new: !before.contains_key(key),
    });
    Ok(Targets { defined: defined.collect(), known, left })
}

/// Those that are here.
async fn find(
    transaction: &Transaction<'_>,
    keys: impl Iterator<Item = &Key>,
) -> Result<BTreeMap<Key, Target>> {
    let (domains, names): (Vec<&str>, Vec<&str>) =
        keys.map(|(domain, name)| (domain.as_str(), name.as_str())).unzip();
    let params: [Param<'_>; 2] = [(&domains, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)];
    let asking = transaction.query_typed(include_str!("sql/import_targets.sql"), &params);
    let rows = within_deadline(asking).await?;
    rows.iter().map(|row| target(Columns::of("operation", "name", row))).collect()
}

fn target(row: Columns<'_>) -> Result<(Key, Target)> {
    let declared: Option<Value> = row.get("input_schema")?;
    // One that was registered can be made ready; of any other, the worker says what it is.
    let schema = declared.and_then(|declared| Schema::compile(&declared).ok());
    let target = Target { schema, unregistered: row.get("unregistered")? };
    Ok(((row.get("domain")?, row.get("name")?), target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(timeout: Option<&str>, inputs: Option<Value>) -> TheirOperation {
        TheirOperation {
            id: 1,
            host: "192.0.2.2".to_owned(),
            name: "resize".to_owned(),
            domain: "images".to_owned(),
            timeout: timeout.map(str::to_owned),
            inputs,
            outputs: None,
        }
    }

    #[test]
    fn an_operation_keeps_its_timeout_and_its_schema() {
        let inputs = json!([{ "name": "n", "type": "number", "required": true }]);
        let row = operation(Some("P61DT12H45M30S"), Some(inputs)).row().unwrap();
        assert_eq!(row["timeout_ms"], json!(5_316_330_000_i64));
        assert_eq!(row["input_schema"]["required"], json!(["n"]));
        assert_eq!(row["output_schema"], Value::Null);
        let plain = operation(None, Some(Value::Null)).row().unwrap();
        assert_eq!((&plain["timeout_ms"], &plain["input_schema"]), (&Value::Null, &Value::Null));
        for (refused, why) in [
            (operation(Some("PT0S"), None), "its timeout `PT0S` is no time at all"),
            (operation(Some("soon"), None), "its timeout: `soon` is not a duration"),
            (operation(None, Some(json!({}))), "its inputs are not a list, but {}"),
        ] {
            let said = refused.row().unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }

    #[test]
    fn an_input_is_held_against_the_schema_that_is_here() {
        let schema = json!({ "type": "object", "required": ["n"] });
        let target = |unregistered| Target { schema: Schema::compile(&schema).ok(), unregistered };
        let json = |text: &str| Payload::Json(text.to_owned());
        assert_eq!(target(false).refusal(&json(r#"{"n": 1}"#)), None);
        for (target, input, why) in [
            (target(false), json("{}"), "its input does not fit its operation: missing `n`"),
            (target(false), Payload::None, "its input does not fit its operation: missing `n`"),
            (
                target(false),
                Payload::Bytes(vec![1]),
                "its input is bytes, and its operation takes JSON",
            ),
            (target(true), json(r#"{"n": 1}"#), "its operation is unregistered here"),
        ] {
            assert_eq!(target.refusal(&input).as_deref(), Some(why));
        }
        let free = Target { schema: None, unregistered: false };
        assert_eq!(free.refusal(&Payload::Bytes(vec![1])), None);
    }
}
