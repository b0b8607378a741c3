//! Reading rows: each column by its name, and never with a panic. Postgres allows more values than Rust's types
//! hold (the timestamp `infinity`, an array with a null in it), and anybody with the right to may have written one.

use std::{fmt::Display, str::FromStr};

use serde::de::DeserializeOwned;
use tokio_postgres::{Row, types::FromSql};

use crate::db::error::{Error, Result};

/// The columns of one row.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    row: &'a Row,
    /// The table, and the column by which a person finds the row in it.
    source: Option<(&'static str, &'static str)>,
}

impl<'a> Columns<'a> {
    /// The columns of a row that comes from no single row of a table: counts, clocks.
    pub fn new(row: &'a Row) -> Columns<'a> {
        Columns { row, source: None }
    }

    /// The columns of a row of `table`, which is found there again by the column `key`.
    pub fn of(table: &'static str, key: &'static str, row: &'a Row) -> Columns<'a> {
        Columns { row, source: Some((table, key)) }
    }

    /// Reads a column.
    pub fn get<T: FromSql<'a>>(&self, column: &'static str) -> Result<T> {
        self.row.try_get(column).map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            self.unreadable(column, why.unwrap_or_else(|| error.to_string()))
        })
    }

    /// Reads a column that holds one word of several.
    pub fn word<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T> {
        let word: &str = self.get(column)?;
        word.parse().map_err(|error| self.unreadable(column, format!("`{word}`: {error}")))
    }

    /// Reads a column of JSON text; `None` if it is null.
    pub fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>> {
        let text: Option<&str> = self.get(column)?;
        let read = text.map(serde_json::from_str).transpose();
        read.map_err(|error| self.unreadable(column, error.to_string()))
    }

    fn unreadable(&self, column: &'static str, why: String) -> Error {
        let place = self.source.map(|(table, key)| (table, key, self.key(key)));
        let (of, query) = match place {
            None => (String::new(), None),
            Some((table, _, None)) => (format!(" of a {table}"), None),
            Some((table, key, Some((value, literal)))) => (
                format!(" of {table} {value}"),
                Some(format!("select * from rework.{table} where {key} = {literal}")),
            ),
        };
        Error::Unreadable { column, of, why, query }
    }

    /// The value of the key: as people say it, and as SQL has it.
    fn key(&self, key: &str) -> Option<(String, String)> {
        let number = self.row.try_get::<_, i64>(key).map(|number| number.to_string());
        let number = number.map(|number| (number.clone(), number));
        number.ok().or_else(|| {
            let text: &str = self.row.try_get(key).ok()?;
            Some((format!("`{text}`"), format!("'{}'", text.replace('\'', "''"))))
        })
    }
}
