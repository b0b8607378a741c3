//! Reading rows: each column by its name, and never with a panic. Postgres allows more values than Rust's types
//! hold (the timestamp `infinity`, an array with a null in it), and anybody with the right to may have written one.

use std::{fmt::Display, iter::Enumerate, slice::Iter, str::FromStr};

use serde::de::DeserializeOwned;
use tokio_postgres::{Row, types::FromSql};

use crate::db::error::{Error, Result};

/// The columns of one row.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    row: &'a Row,
    source: Option<Source>,
}

/// Where a person finds a row: the one of `table` whose column `key` has the value that is read here as `column`.
#[derive(Debug, Clone, Copy)]
struct Source {
    table: &'static str,
    key: &'static str,
    column: &'static str,
}

impl<'a> Columns<'a> {
    /// The columns of a row that comes from no single row of a table: counts, clocks.
    pub fn new(row: &'a Row) -> Columns<'a> {
        Columns { row, source: None }
    }

    /// The columns of a row of `table`, which is found there again by the column `key`.
    pub fn of(table: &'static str, key: &'static str, row: &'a Row) -> Columns<'a> {
        Columns::found_by(table, key, key, row)
    }

    /// The same, where the key has another name here.
    pub fn found_by(
        table: &'static str,
        key: &'static str,
        column: &'static str,
        row: &'a Row,
    ) -> Columns<'a> {
        Columns { row, source: Some(Source { table, key, column }) }
    }

    /// Reads a column.
    pub fn get<T: FromSql<'a>>(&self, column: &'static str) -> Result<T> {
        self.row.try_get(column).map_err(|error| self.failed(column, &error))
    }

    /// Reads a column whose place is known. For statements that a worker sends all the time: to find each
    /// of fourteen columns by its name takes a third of a microsecond for each task.
    pub(crate) fn at<T: FromSql<'a>>(&self, place: usize, column: &'static str) -> Result<T> {
        debug_assert_eq!(self.row.columns()[place].name(), column);
        self.row.try_get(place).map_err(|error| self.failed(column, &error))
    }

    /// Reads the columns one after the other, as the statement lists them.
    pub(crate) fn in_order(self, names: &'static [&'static str]) -> InOrder<'a> {
        InOrder { columns: self, names: names.iter().enumerate() }
    }

    /// Reads a column that holds one word of several.
    pub fn word<T: FromStr<Err: Display>>(&self, column: &'static str) -> Result<T> {
        self.parse(column, self.get(column)?)
    }

    /// The same of a column whose place is known.
    pub(crate) fn word_at<T: FromStr<Err: Display>>(
        &self,
        place: usize,
        column: &'static str,
    ) -> Result<T> {
        self.parse(column, self.at(place, column)?)
    }

    /// Reads a column of JSON text; `None` if it is null.
    pub fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>> {
        let text: Option<&str> = self.get(column)?;
        let read = text.map(serde_json::from_str).transpose();
        read.map_err(|error| self.unreadable(column, error.to_string()))
    }

    fn parse<T: FromStr<Err: Display>>(&self, column: &'static str, word: &str) -> Result<T> {
        word.parse().map_err(|error| self.unreadable(column, format!("`{word}`: {error}")))
    }

    fn failed(&self, column: &'static str, error: &tokio_postgres::Error) -> Error {
        let why = std::error::Error::source(error).map(ToString::to_string);
        self.unreadable(column, why.unwrap_or_else(|| error.to_string()))
    }

    fn unreadable(&self, column: &'static str, why: String) -> Error {
        let found = self.source.map(|source| (source, self.key(source.column)));
        let (of, query) = match found {
            None => (String::new(), None),
            Some((Source { table, .. }, None)) => (format!(" of a {table}"), None),
            Some((Source { table, key, .. }, Some((value, literal)))) => (
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

/// Columns that are read one after the other.
#[derive(Debug)]
pub(crate) struct InOrder<'a> {
    columns: Columns<'a>,
    names: Enumerate<Iter<'static, &'static str>>,
}

impl<'a> InOrder<'a> {
    /// Reads the next one.
    pub(crate) fn next<T: FromSql<'a>>(&mut self) -> Result<T> {
        let (place, name) = self.names.next().ok_or(Error::NoColumn)?;
        self.columns.at(place, name)
    }
}
