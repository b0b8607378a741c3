//! Finds the operations of our database to which imported schedules and tasks belong, and creates the missing ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_postgres::{Transaction, types::Type};

use super::{ImportedOperation, ItemKind, SkippedItem, source::SourceOperation};
use rework_core::{
    db::{connect::Param, deadline::within_deadline, error::Result, row::Columns},
    task::payload::Payload,
    values::{io_specs::Spec, name, quantity, validate::Schema},
};

/// Domain and name of an operation. They identify it.
pub(super) type Key = (String, String);

/// An operation of our database.
pub(super) struct TargetOperation {
    /// The schema of the operation's input. `None` if there is none, or one that is not valid.
    schema: Option<Schema>,
    unregistered: bool,
}

/// The result of [`create_missing`].
pub(super) struct TargetOperations {
    /// The operations of our database that the source has too.
    pub(super) by_key: BTreeMap<Key, TargetOperation>,
    /// The operations of `by_key`, for the summary.
    pub(super) operations: Vec<ImportedOperation>,
    /// The operations that could not be created.
    pub(super) skipped: Vec<SkippedItem>,
}

impl SourceOperation {
    pub(super) fn key(&self) -> Key {
        (self.domain.clone(), self.name.clone())
    }

    /// Returns the declarations of the inputs. `None` if the operation declares none; `Err` if they cannot be read.
    pub(super) fn specs(&self) -> Result<Option<Vec<Spec>>, String> {
        specs("inputs", self.inputs.as_ref())
    }

    /// Returns the columns of the operation in our database as JSON. `Err` with a reason if it cannot be imported.
    fn to_row(&self) -> Result<Value, String> {
        for (what, text) in [("domain", &self.domain), ("name", &self.name)] {
            name::check(text).map_err(|fault| format!("its {what} {fault}"))?;
        }
        let schema = |column: &str, declared: &Option<Value>| {
            Ok::<_, String>(specs(column, declared.as_ref())?.map(|specs| Spec::schema(&specs)))
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

/// Reads the declarations in the column `inputs` or `outputs`. `None` if the column is null; `Err`
/// with a reason if it is not valid.
fn specs(column: &str, declared: Option<&Value>) -> Result<Option<Vec<Spec>>, String> {
    let read = |declared| Spec::all(declared).map_err(|why| format!("its {column} are {why}"));
    declared.filter(|declared| !declared.is_null()).map(read).transpose()
}

fn timeout_ms(text: &str) -> Result<i64, String> {
    match quantity::milliseconds(text) {
        Ok(0) => Err(format!("its timeout `{text}` is zero")),
        Ok(milliseconds) => Ok(milliseconds),
        Err(error) => Err(format!("its timeout: {error}")),
    }
}

impl TargetOperation {
    /// Returns the reason why a task with this input cannot be queued, or `None` if it can.
    pub(super) fn refusal(&self, input: &Payload) -> Option<String> {
        if self.unregistered {
            return Some("its operation is not registered any more in this database".to_owned());
        }
        let schema = self.schema.as_ref()?;
        let violation = match input {
            Payload::Json(text) => schema.check(text.as_bytes()).err(),
            // A task without an input gets `{}` when it runs, if the schema allows no null.
            Payload::None if schema.check(b"null").is_ok() => None,
            Payload::None => schema.check(b"{}").err(),
            Payload::Bytes(_) => {
                return Some("its input is bytes, and its operation takes JSON".to_owned());
            }
        };
        violation.map(|violation| {
            format!("its input does not match the schema of its operation: {violation}")
        })
    }
}

/// Creates the operations of the source that do not exist in our database, and returns all that the source has.
///
/// The source may have several rows for one operation, since each host registers it. The newest row is used. `identity`
/// identifies the source in the audit log.
pub(super) async fn create_missing(
    transaction: &Transaction<'_>,
    operations: &[SourceOperation],
    identity: &str,
) -> Result<TargetOperations> {
    let newest: BTreeMap<Key, &SourceOperation> =
        operations.iter().map(|operation| (operation.key(), operation)).collect();
    let existing = find(transaction, newest.keys()).await?;
    let (mut rows, mut skipped) = (Vec::new(), Vec::new());
    for (key, operation) in newest.iter().filter(|(key, _)| !existing.contains_key(*key)) {
        match operation.to_row() {
            Ok(row) => rows.push(row),
            Err(reason) => {
                skipped.push(SkippedItem::new(ItemKind::Operation, operation.id, key, reason));
            }
        }
    }
    let rows_json = Value::from(rows).to_string();
    let params: [Param<'_>; 2] = [(&rows_json, Type::TEXT), (&identity, Type::TEXT)];
    let query = transaction.query_typed(include_str!("sql/import_create_operations.sql"), &params);
    within_deadline(query).await?;
    let by_key = find(transaction, newest.keys()).await?;
    let imported = by_key.keys().map(|key| ImportedOperation {
        domain: key.0.clone(),
        name: key.1.clone(),
        new: !existing.contains_key(key),
    });
    Ok(TargetOperations { operations: imported.collect(), by_key, skipped })
}

/// Returns those of the operations that exist in our database.
async fn find(
    transaction: &Transaction<'_>,
    keys: impl Iterator<Item = &Key>,
) -> Result<BTreeMap<Key, TargetOperation>> {
    let (domains, names): (Vec<&str>, Vec<&str>) =
        keys.map(|(domain, name)| (domain.as_str(), name.as_str())).unzip();
    let params: [Param<'_>; 2] = [(&domains, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)];
    let query = transaction.query_typed(include_str!("sql/import_find_operations.sql"), &params);
    let rows = within_deadline(query).await?;
    rows.iter().map(|row| read_target(Columns::of("operation", "name", row))).collect()
}

fn read_target(row: Columns<'_>) -> Result<(Key, TargetOperation)> {
    let declared: Option<Value> = row.get("input_schema")?;
    // A schema that does not compile was stored past the registration. Then the input is not validated here; the worker
    // reports the invalid schema.
    let schema = declared.and_then(|declared| Schema::compile(&declared).ok());
    let target = TargetOperation { schema, unregistered: row.get("unregistered")? };
    Ok(((row.get("domain")?, row.get("name")?), target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(timeout: Option<&str>, inputs: Option<Value>) -> SourceOperation {
        SourceOperation {
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
    fn timeout_and_schema_of_an_operation_are_imported() {
        let inputs = json!([{ "name": "n", "type": "number", "required": true }]);
        let row = operation(Some("P61DT12H45M30S"), Some(inputs)).to_row().unwrap();
        assert_eq!(row["timeout_ms"], json!(5_316_330_000_i64));
        assert_eq!(row["input_schema"]["required"], json!(["n"]));
        assert_eq!(row["output_schema"], Value::Null);
        let plain = operation(None, Some(Value::Null)).to_row().unwrap();
        assert_eq!((&plain["timeout_ms"], &plain["input_schema"]), (&Value::Null, &Value::Null));
        let named = |name: &str| SourceOperation { name: name.to_owned(), ..operation(None, None) };
        for (refused, why) in [
            (named(""), "its name is empty"),
            (named("re\u{200b}size"), "its name contains an invisible character"),
            (operation(Some("PT0S"), None), "its timeout `PT0S` is zero"),
            (operation(Some("soon"), None), "its timeout: `soon` is not a duration"),
            (operation(None, Some(json!({}))), "its inputs are not a list, but {}"),
        ] {
            let reason = refused.to_row().unwrap_err();
            assert!(reason.starts_with(why), "{reason}");
        }
    }

    #[test]
    fn an_input_is_validated_against_the_schema_of_our_database() {
        let schema = json!({ "type": "object", "required": ["n"] });
        let target =
            |unregistered| TargetOperation { schema: Schema::compile(&schema).ok(), unregistered };
        let json = |text: &str| Payload::Json(text.to_owned());
        assert_eq!(target(false).refusal(&json(r#"{"n": 1}"#)), None);
        for (target, input, why) in [
            (
                target(false),
                json("{}"),
                "its input does not match the schema of its operation: missing `n`",
            ),
            (
                target(false),
                Payload::None,
                "its input does not match the schema of its operation: missing `n`",
            ),
            (
                target(false),
                Payload::Bytes(vec![1]),
                "its input is bytes, and its operation takes JSON",
            ),
            (
                target(true),
                json(r#"{"n": 1}"#),
                "its operation is not registered any more in this database",
            ),
        ] {
            assert_eq!(target.refusal(&input).as_deref(), Some(why));
        }
        let free = TargetOperation { schema: None, unregistered: false };
        assert_eq!(free.refusal(&Payload::Bytes(vec![1])), None);
    }
}
