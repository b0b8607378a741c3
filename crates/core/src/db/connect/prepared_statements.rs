//! Plans that a connection keeps: what a worker asks all the time is prepared where the line leads to the
//! server itself. Only calls of functions, whose own plans are safe on a table that grows: a prepared
//! statement that reads a table may have been planned when it was empty.
//!
//! Behind a pooler a statement name may belong to another client's statement. No two of ours agree in the number of parameters and in
//! the type of the first, so that the server refuses the parameters of one for the other.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio_postgres::{
    Row, Statement,
    error::SqlState,
    types::{ToSql, Type},
};

use crate::db::{
    connect::{Db, Param},
    dsn::Dsn,
    error::Result,
};

/// The statements that were prepared, by their text; none: none is to be.
#[derive(Default)]
pub(crate) struct Plans(Mutex<Option<HashMap<&'static str, Statement>>>);

impl std::fmt::Debug for Plans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Plans").field(&self.are_kept()).finish()
    }
}

impl Db {
    /// Keeps the plans of what is asked again and again, if the line to `dsn` leads to the server
    /// itself for certain.
    pub async fn keep_plans(&mut self, dsn: &Dsn) -> Result<()> {
        let kept = self.leads_to(dsn).await?.unwrap_or(false).then(HashMap::new);
        self.plans = Plans(Mutex::new(kept));
        Ok(())
    }

    /// Rows of a statement that is asked again and again.
    pub(crate) async fn repeat(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> std::result::Result<Vec<Row>, tokio_postgres::Error> {
        self.make_ready(sql, params).await?;
        let kept = self.plans.find(sql).is_some();
        match self.send(sql, params).await {
            // It was refused before it began.
            Err(error) if kept && is_outdated(&error) && !self.is_closed() => {
                self.client().query_typed(sql, params).await
            }
            answer => answer,
        }
    }

    /// The same of one that [`Db::make_ready`] was called for: it is on its way from the first poll, so that
    /// others may follow it without waiting.
    pub(crate) async fn send(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> std::result::Result<Vec<Row>, tokio_postgres::Error> {
        let Some(statement) = self.plans.find(sql) else {
            return self.client().query_typed(sql, params).await;
        };
        let values: Vec<&(dyn ToSql + Sync)> = params.iter().map(|(value, _)| *value).collect();
        let answer = self.client().query(&statement, &values).await;
        if answer.as_ref().is_err_and(is_outdated) {
            self.plans.give_up();
        }
        answer
    }

    /// Prepares it, where that was not done yet and may be done.
    pub(crate) async fn make_ready(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> std::result::Result<(), tokio_postgres::Error> {
        if !self.plans.are_kept() || self.plans.find(sql).is_some() {
            return Ok(());
        }
        let types: Vec<Type> = params.iter().map(|(_, kind)| kind.clone()).collect();
        match self.client().prepare_typed(sql, &types).await {
            Ok(statement) => self.plans.remember(sql, statement),
            Err(error) if is_outdated(&error) => self.plans.give_up(),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Plans {
    fn are_kept(&self) -> bool {
        self.lock().is_some()
    }

    fn find(&self, sql: &str) -> Option<Statement> {
        self.lock().as_ref()?.get(sql).cloned()
    }

    fn remember(&self, sql: &'static str, statement: Statement) {
        if let Some(kept) = self.lock().as_mut() {
            // The server then refuses the parameters of one for the other.
            let key = |statement: &Statement| {
                (statement.params().len(), statement.params().first().cloned())
            };
            let alike = |other: &Statement| key(other) == key(&statement);
            debug_assert!(!kept.values().any(alike), "it could be taken for another one: {sql}");
            kept.insert(sql, statement);
        }
    }

    /// From now on nothing is prepared on this line.
    fn give_up(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<&'static str, Statement>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The schema has changed beneath it, or the server has another one by that name, or none.
fn is_outdated(error: &tokio_postgres::Error) -> bool {
    let outdated = [
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::DUPLICATE_PSTATEMENT,
        SqlState::PROTOCOL_VIOLATION,
        SqlState::INVALID_BINARY_REPRESENTATION,
        SqlState::DATATYPE_MISMATCH,
    ];
    error.code().is_some_and(|code| outdated.contains(code))
}
