//! Reads the keys of a TOML table with their types. A wrong type is an error with its line.

use std::{collections::BTreeMap, fmt::Display};

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    error::{LocatedError, ManifestErrorKind},
    program::Program,
};
use crate::values::name;
use rework_arguments::suggest::did_you_mean;

/// A table of a manifest, and its name in messages (`subject`): `` operation `thumbnail` ``.
pub(super) struct Table<'a, 'i> {
    table: &'a Spanned<DeTable<'i>>,
    subject: String,
}

impl<'a, 'i> Table<'a, 'i> {
    pub(super) fn new(table: &'a Spanned<DeTable<'i>>, subject: String) -> Self {
        Table { table, subject }
    }

    /// Returns an error about the whole table.
    pub(super) fn error(&self, kind: impl FnOnce(String) -> ManifestErrorKind) -> LocatedError {
        LocatedError::span(kind(self.subject.clone()), self.table.span())
    }

    /// Returns an error about the value of a key.
    pub(super) fn error_at(
        &self,
        key: &str,
        kind: impl FnOnce(String) -> ManifestErrorKind,
    ) -> LocatedError {
        let span = self.get(key).map_or_else(|| self.table.span(), Spanned::span);
        LocatedError::span(kind(self.subject.clone()), span)
    }

    pub(super) fn missing(&self, key: &'static str) -> LocatedError {
        self.error(|subject| ManifestErrorKind::MissingKey { key, subject })
    }

    /// Returns an error if the table has a key that is not among `known`.
    pub(super) fn refuse_unknown(&self, known: &[&str]) -> Result<(), LocatedError> {
        for key in self.table.get_ref().keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let suggestion = did_you_mean(name, known.iter().copied());
                let kind = ManifestErrorKind::UnknownKey {
                    key: name.to_owned(),
                    subject: self.subject.clone(),
                    suggestion,
                };
                return Err(LocatedError::span(kind, key.span()));
            }
        }
        Ok(())
    }

    pub(super) fn string(&self, key: &'static str) -> Result<Option<String>, LocatedError> {
        self.read(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// Reads a name; `None` if the key is missing. A name is one word that does not start with `-`,
    /// so that it can be an argument on a command line.
    pub(super) fn name(&self, key: &'static str) -> Result<Option<String>, LocatedError> {
        let Some(name) = self.string(key)? else { return Ok(None) };
        self.check_name(key, &name)?;
        Ok(Some(name))
    }

    /// Reads one name or a list of names; an empty list if the key is missing.
    pub(super) fn names(&self, key: &'static str) -> Result<Vec<String>, LocatedError> {
        let names = self.read(key, "a name or a list of names", |value| {
            if let Some(name) = value.as_str() {
                return Some(vec![name.to_owned()]);
            }
            let items = value.as_array()?.iter();
            items.map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        })?;
        let names: Vec<String> = names.unwrap_or_default();
        names.iter().try_for_each(|name| self.check_name(key, name))?;
        Ok(names)
    }

    fn check_name(&self, key: &'static str, name: &str) -> Result<(), LocatedError> {
        if name.is_empty() || name.starts_with('-') || name.contains(char::is_whitespace) {
            return Err(self.invalid(key, format!("{name:?} is not a name: write one word")));
        }
        name::check(name).map_err(|fault| self.invalid(key, format!("the name {name:?} {fault}")))
    }

    pub(super) fn boolean(&self, key: &'static str) -> Result<Option<bool>, LocatedError> {
        self.read(key, "`true` or `false`", DeValue::as_bool)
    }

    pub(super) fn positive(&self, key: &'static str) -> Result<Option<i32>, LocatedError> {
        self.read(key, "a whole number from 1", |value| {
            integer(value).and_then(|number| i32::try_from(number).ok()).filter(|n| *n >= 1)
        })
    }

    pub(super) fn priority(&self, key: &'static str) -> Result<Option<i16>, LocatedError> {
        self.read(key, "a whole number from -32768 to 32767", |value| {
            integer(value).and_then(|number| i16::try_from(number).ok())
        })
    }

    /// Reads a duration or a size, which `parse` parses from a string; `None` if the key is
    /// missing. `Err` if it is less than `least`.
    pub(super) fn quantity<E: Display>(
        &self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<i64, E>,
        least: i64,
    ) -> Result<Option<i64>, LocatedError> {
        let expected = "a string with a unit, such as \"5m\" or \"2GiB\"";
        let Some(text) = self.read(key, expected, |value| value.as_str().map(str::to_owned))?
        else {
            return Ok(None);
        };
        let value = parse(&text).map_err(|error| self.invalid(key, error.to_string()))?;
        if value < least {
            let message = format!("`{text}` is zero: leave the key out for no limit");
            return Err(self.invalid(key, message));
        }
        Ok(Some(value))
    }

    pub(super) fn strings(&self, key: &'static str) -> Result<Option<Vec<String>>, LocatedError> {
        self.read(key, "a list of strings", |value| {
            let items = value.as_array()?.iter();
            items.map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        })
    }

    /// Reads a program: a script for the shell, or a list of a program and its arguments.
    pub(super) fn program(&self, key: &'static str) -> Result<Option<Program>, LocatedError> {
        self.read(key, "a script, or a list of a program and its arguments", |value| {
            if let Some(script) = value.as_str() {
                return (!script.trim().is_empty()).then(|| Program::Shell(script.to_owned()));
            }
            let items = value.as_array()?.iter();
            let argv = items.map(|item| item.get_ref().as_str().map(str::to_owned));
            let argv = argv.collect::<Option<Vec<String>>>()?;
            argv.first().is_some_and(|first| !first.is_empty()).then_some(Program::Command(argv))
        })
        .and_then(|program| match program {
            Some(program) if program.text().contains('\0') => {
                Err(self.invalid(key, "it contains a NUL character".to_owned()))
            }
            program => Ok(program),
        })
    }

    /// Reads names and values of environment variables. Names that start with `REWORK_` are refused: rework sets them.
    pub(super) fn variables(
        &self,
        key: &'static str,
    ) -> Result<BTreeMap<String, String>, LocatedError> {
        let declared = self.read(key, "a table of strings", |value| {
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
                return Err(self.invalid(key, format!("{name:?} cannot be set as a variable")));
            }
            if name.starts_with("REWORK_") {
                return Err(self.invalid(
                    key,
                    format!("`{name}` is reserved for rework: choose another name"),
                ));
            }
        }
        Ok(declared)
    }

    /// Reads a table and converts it to JSON; `None` if the key is missing.
    pub(super) fn object(
        &self,
        key: &'static str,
    ) -> Result<Option<Map<String, Value>>, LocatedError> {
        let Some(object) = self.read(key, "a table", |value| value.as_table().map(json_object))?
        else {
            return Ok(None);
        };
        let message =
            "it has a number that is not JSON: `nan`, `inf`, or an integer of more than 64 bits";
        object.map(Some).ok_or_else(|| self.invalid(key, message.to_owned()))
    }

    /// Reads any value and converts it to JSON; `None` if the key is missing.
    pub(super) fn json(&self, key: &'static str) -> Result<Option<Value>, LocatedError> {
        self.read(key, "JSON", json)
    }

    pub(super) fn tables(
        &self,
        key: &'static str,
    ) -> Result<Vec<Spanned<DeTable<'i>>>, LocatedError> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let tables = value.get_ref().as_array().and_then(|items| {
            items
                .iter()
                .map(|item| Some(Spanned::new(item.span(), item.get_ref().as_table()?.clone())))
                .collect::<Option<Vec<_>>>()
        });
        tables.ok_or_else(|| LocatedError::span(ManifestErrorKind::NotTables, value.span()))
    }

    /// Reads the value of a key with `take`. Returns `None` if the key is missing, and an error that names the
    /// `expected` type if `take` returns `None`.
    fn read<T>(
        &self,
        key: &'static str,
        expected: &str,
        take: impl FnOnce(&DeValue<'i>) -> Option<T>,
    ) -> Result<Option<T>, LocatedError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match take(value.get_ref()) {
            Some(taken) => Ok(Some(taken)),
            None => Err(self.invalid(key, format!("{} is not {expected}", shown(value.get_ref())))),
        }
    }

    /// Returns an error about the value of a key, with a message that follows the names of the key and the table.
    pub(super) fn invalid(&self, key: &'static str, message: String) -> LocatedError {
        self.error_at(key, |subject| ManifestErrorKind::BadValue { key, subject, message })
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.table.get_ref().iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }
}

/// Converts a table to JSON. `None` if a number in it cannot be converted.
fn json_object(table: &DeTable<'_>) -> Option<Map<String, Value>> {
    table
        .iter()
        .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)))
        .collect()
}

/// Converts a value to JSON. `None` if a number in it cannot be converted.
fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(_) => integer(value)?.into(),
        DeValue::Float(number) => Value::Number(Number::from_f64(number.as_str().parse().ok()?)?),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| json(item.get_ref())).collect::<Option<_>>()?)
        }
        DeValue::Table(table) => Value::Object(json_object(table)?),
    })
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Returns the value as one line of a message. Arrays and tables may be long, so they are not shown.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Array(_) | DeValue::Table(_) => "it".to_owned(),
        other => json(other).map_or_else(|| "it".to_owned(), |json| json.to_string()),
    }
}
