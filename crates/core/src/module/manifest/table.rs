//! A table of a manifest, read key by key: every wrong type is a fault with its place and line.

use std::{collections::BTreeMap, fmt::Display};

use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::fault::{At, Fault};
use rework_arguments::suggest::did_you_mean;

/// One table, and what it is, for messages: `` operation `thumbnail` ``.
pub(super) struct Table<'a, 'i> {
    table: &'a Spanned<DeTable<'i>>,
    place: String,
}

impl<'a, 'i> Table<'a, 'i> {
    pub(super) fn new(table: &'a Spanned<DeTable<'i>>, place: String) -> Self {
        Table { table, place }
    }

    /// A fault of the table as a whole.
    pub(super) fn fault(&self, fault: impl FnOnce(String) -> Fault) -> At {
        At::span(fault(self.place.clone()), self.table.span())
    }

    /// A fault of one key's value.
    pub(super) fn fault_at(&self, key: &str, fault: impl FnOnce(String) -> Fault) -> At {
        let span = self.get(key).map_or_else(|| self.table.span(), Spanned::span);
        At::span(fault(self.place.clone()), span)
    }

    pub(super) fn missing(&self, key: &'static str) -> At {
        self.fault(|place| Fault::MissingKey { key, place })
    }

    pub(super) fn refuse_unknown(&self, known: &[&str]) -> Result<(), At> {
        for key in self.table.get_ref().keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let meant = did_you_mean(name, known.iter().copied());
                let fault =
                    Fault::UnknownKey { key: name.to_owned(), place: self.place.clone(), meant };
                return Err(At::span(fault, key.span()));
            }
        }
        Ok(())
    }

    pub(super) fn string(&self, key: &'static str) -> Result<Option<String>, At> {
        self.read(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A name: not empty, and without spaces, so that it can be typed and printed as one word.
    pub(super) fn word(&self, key: &'static str) -> Result<Option<String>, At> {
        let Some(word) = self.string(key)? else { return Ok(None) };
        let broken = |letter: char| letter.is_whitespace() || letter.is_control();
        if word.is_empty() || word.starts_with('-') || word.contains(broken) {
            return Err(self.bad(key, format!("{word:?} is not a name: write one word")));
        }
        Ok(Some(word))
    }

    pub(super) fn boolean(&self, key: &'static str) -> Result<Option<bool>, At> {
        self.read(key, "`true` or `false`", DeValue::as_bool)
    }

    pub(super) fn positive(&self, key: &'static str) -> Result<Option<i32>, At> {
        self.read(key, "a whole number from 1", |value| {
            integer(value).and_then(|number| i32::try_from(number).ok()).filter(|n| *n >= 1)
        })
    }

    pub(super) fn priority(&self, key: &'static str) -> Result<Option<i16>, At> {
        self.read(key, "a whole number from -32768 to 32767", |value| {
            integer(value).and_then(|number| i16::try_from(number).ok())
        })
    }

    /// A duration or a size, written as a text; at least `least`.
    pub(super) fn quantity<E: Display>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<i64, E>,
        least: i64,
    ) -> Result<Option<i64>, At> {
        let expected = "a text with its unit, as \"5m\" or \"2GiB\"";
        let Some(text) = self.read(key, expected, |value| value.as_str().map(str::to_owned))?
        else {
            return Ok(None);
        };
        let value = parse(&text).map_err(|error| self.bad(key, error.to_string()))?;
        if value < least {
            let message = format!("`{text}` is nothing: leave the key out for no limit");
            return Err(self.bad(key, message));
        }
        Ok(Some(value))
    }

    pub(super) fn strings(&self, key: &'static str) -> Result<Option<Vec<String>>, At> {
        self.read(key, "a list of texts", |value| {
            let items = value.as_array()?.iter();
            items.map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        })
    }

    /// Names and values of environment variables. Ours are not to be set by others.
    pub(super) fn variables(&self, key: &'static str) -> Result<BTreeMap<String, String>, At> {
        let declared = self.read(key, "a table of texts", |value| {
            let pairs = value.as_table()?.iter();
            pairs
                .map(|(name, value)| {
                    Some((name.get_ref().to_string(), value.get_ref().as_str()?.to_owned()))
                })
                .collect::<Option<BTreeMap<String, String>>>()
        })?;
        let declared = declared.unwrap_or_default();
        for (name, value) in &declared {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(self.bad(key, format!("{name:?} cannot be set as a variable")));
            }
            if name.starts_with("REWORK_") {
                return Err(self.bad(key, format!("`{name}` is rework's own: choose another name")));
            }
        }
        Ok(declared)
    }

    /// A table as JSON.
    pub(super) fn object(&self, key: &'static str) -> Result<Option<Map<String, Value>>, At> {
        self.read(key, "a table", |value| value.as_table().map(json_object))
    }

    pub(super) fn tables(&self, key: &'static str) -> Result<Vec<Spanned<DeTable<'i>>>, At> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let tables = value.get_ref().as_array().and_then(|items| {
            items
                .iter()
                .map(|item| Some(Spanned::new(item.span(), item.get_ref().as_table()?.clone())))
                .collect::<Option<Vec<_>>>()
        });
        tables.ok_or_else(|| At::span(Fault::NotTables, value.span()))
    }

    fn read<T>(
        &self,
        key: &'static str,
        expected: &str,
        take: impl FnOnce(&DeValue<'i>) -> Option<T>,
    ) -> Result<Option<T>, At> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match take(value.get_ref()) {
            Some(taken) => Ok(Some(taken)),
            None => Err(self.bad(key, format!("{} is not {expected}", shown(value.get_ref())))),
        }
    }

    fn bad(&self, key: &'static str, message: String) -> At {
        self.fault_at(key, |place| Fault::BadValue { key, place, message })
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.table.get_ref().iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }
}

fn json_object(table: &DeTable<'_>) -> Map<String, Value> {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(_) => integer(value).map_or(Value::Null, Value::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(json_object(table)),
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The value as it may be written in one line.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Array(_) | DeValue::Table(_) => "it".to_owned(),
        other => json(other).to_string(),
    }
}
