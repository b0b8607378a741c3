//! Reads the columns of a row without panicking.
//!
//! Postgres allows values that Rust's types cannot hold (the timestamp `infinity`, an array that contains a null), and
//! a user with the right to do so may have stored one. The resulting error names the row and the column. A lint forbids
//! `tokio_postgres::Row::get`, which would panic.

use std::{fmt::Display, iter::Enumerate, slice::Iter, str::FromStr};

use serde::de::DeserializeOwned;
use tokio_postgres::{Row, types::FromSql};

use crate::db::error::{Error, Result};

/// The columns of one row, and where the row comes from, for error messages.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    row: &'a Row,
    source: Option<RowSource>,
}

/// The row of a table that a result row comes from: `table.key` equals the value of `column` in the result.
#[derive(Debug, Clone, Copy)]
struct RowSource {
    table: &'static str,
    key: &'static str,
    column: &'static str,
}

impl<'a> Columns<'a> {
    /// Wraps a row that does not come from one row of a table, such as a count or the time.
    pub fn new(row: &'a Row) -> Columns<'a> {
        Columns { row, source: None }
    }

    /// Wraps a row that comes from one row of `table`, whose key is the column `key`.
    pub fn of(table: &'static str, key: &'static str, row: &'a Row) -> Columns<'a> {
        Columns::with_key_column(table, key, key, row)
    }

    /// Wraps a row like [`Columns::of`], if the key of the table is named `column` in the result.
    pub fn with_key_column(
        table: &'static str,
        key: &'static str,
        column: &'static str,
        row: &'a Row,
    ) -> Columns<'a> {
        Columns { row, source: Some(RowSource { table, key, column }) }
    }

    /// Reads a column. `Err` if its value does not fit the type.
    pub fn get<T: FromSql<'a>>(&self, column: &'static str) -> Result<T> {
        self.row.try_get(column).map_err(|error| self.unreadable_value(column, &error))
    }

    /// Reads the column at an index. `column` is its name, for error messages.
    ///
    /// For the statements that a worker sends for every task: finding fourteen columns by name takes a third of a
    /// microsecond for each task.
    pub(crate) fn at<T: FromSql<'a>>(&self, index: usize, column: &'static str) -> Result<T> {
        debug_assert_eq!(self.row.columns()[index].name(), column);
        self.row.try_get(index).map_err(|error| self.unreadable_value(column, &error))
    }

    /// Returns a reader that reads the columns one after the other. `names` are their names in the order of the
    /// statement.
    pub(crate) fn in_order(self, names: &'static [&'static str]) -> InOrder<'a> {
        InOrder { columns: self, names: names.iter().enumerate() }
    }

    /// Reads a text column and parses it, for example as a state. `Err` if the text cannot be
    /// parsed.
    pub fn parsed<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T> {
        self.parse(column, self.get(column)?)
    }

    /// Reads and parses the text column at an index. `column` is its name, for error messages.
    pub(crate) fn parsed_at<T: FromStr<Err: Display>>(
        &self,
        index: usize,
        column: &'static str,
    ) -> Result<T> {
        self.parse(column, self.at(index, column)?)
    }

    /// Reads a column that contains JSON as text. `None` if the column is null. `Err` if the text
    /// is not JSON of this type.
    pub fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>> {
        let text: Option<&str> = self.get(column)?;
        let read = text.map(serde_json::from_str).transpose();
        read.map_err(|error| self.unreadable(column, error.to_string()))
    }

    fn parse<T: FromStr<Err: Display>>(&self, column: &'static str, text: &str) -> Result<T> {
        text.parse().map_err(|error| self.unreadable(column, format!("`{text}`: {error}")))
    }

    fn unreadable_value(&self, column: &'static str, error: &tokio_postgres::Error) -> Error {
        let why = std::error::Error::source(error).map(ToString::to_string);
        self.unreadable(column, why.unwrap_or_else(|| error.to_string()))
    }

    fn unreadable(&self, column: &'static str, why: String) -> Error {
        let source = self.source.map(|source| (source, self.key(source.column)));
        let (of, query) = match source {
            None => (String::new(), None),
            Some((RowSource { table, .. }, None)) => (format!(" of a {table}"), None),
            Some((RowSource { table, key, .. }, Some((value, literal)))) => (
                format!(" of {table} {value}"),
                Some(format!("select * from rework.{table} where {key} = {literal}")),
            ),
        };
        Error::Unreadable { column, of, why, query }
    }

    /// Returns the value of the key twice: as a message shows it, and as an SQL literal. `None` if
    /// the key is neither a number nor a text.
    fn key(&self, key: &str) -> Option<(String, String)> {
        let number = self.row.try_get::<_, i64>(key).map(|number| number.to_string());
        let number = number.map(|number| (number.clone(), number));
        number.ok().or_else(|| {
            let text: &str = self.row.try_get(key).ok()?;
            Some((format!("`{text}`"), format!("'{}'", text.replace('\'', "''"))))
        })
    }
}

/// A reader of the columns of a row, one after the other.
#[derive(Debug)]
pub(crate) struct InOrder<'a> {
    columns: Columns<'a>,
    names: Enumerate<Iter<'static, &'static str>>,
}

impl<'a> InOrder<'a> {
    /// Reads the next column.
    pub(crate) fn next<T: FromSql<'a>>(&mut self) -> Result<T> {
        let (index, name) = self.names.next().ok_or(Error::NoColumn)?;
        self.columns.at(index, name)
    }
}
