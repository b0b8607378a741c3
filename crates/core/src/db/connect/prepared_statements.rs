//! Prepared statements: the few statements that a worker sends for every task are parsed and planned once.
//!
//! They are used only if the connection certainly goes to the server itself. Only calls of functions are prepared. A
//! prepared statement that reads a table may keep a plan from when the table was empty; the functions choose their
//! plans so that this does no harm.
//!
//! If there is a pooler after all, a statement name may belong to the statement of another client. Our statements
//! differ from each other in the number of parameters or in the type of the first one. So the server refuses the
//! parameters of one statement for another, instead of running the wrong statement.

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

/// The prepared statements of a connection, by their SQL text. The map is `None` if statements must not be prepared.
#[derive(Default)]
pub(crate) struct PreparedStatements(Mutex<Option<HashMap<&'static str, Statement>>>);

impl std::fmt::Debug for PreparedStatements {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PreparedStatements").field(&self.are_enabled()).finish()
    }
}

impl Db {
    /// Enables prepared statements, if this connection certainly goes to the server itself. Records in `dsn` whether
    /// the connection is direct.
    pub async fn enable_prepared_statements(&mut self, dsn: &Dsn) -> Result<()> {
        self.record_direct(dsn).await?;
        let statements = self.certainly_leads_to_server().await?.then(HashMap::new);
        self.prepared = PreparedStatements(Mutex::new(statements));
        Ok(())
    }

    /// Executes a frequent statement and returns its rows. Prepares it at the first call, if that is enabled.
    pub(crate) async fn query_prepared(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> std::result::Result<Vec<Row>, tokio_postgres::Error> {
        self.prepare_once(sql, params).await?;
        let is_prepared = self.prepared.find(sql).is_some();
        match self.send_prepared(sql, params).await {
            // The server refused the prepared statement before it executed anything, so it can be sent again.
            Err(error) if is_prepared && is_outdated(&error) && !self.is_closed() => {
                self.client().query_typed(sql, params).await
            }
            answer => answer,
        }
    }

    /// Executes a statement for which [`Db::prepare_once`] was called, and returns its rows.
    ///
    /// The request is sent when the future is polled first. Further statements can be sent behind it without waiting
    /// for its answer (pipelining).
    pub(crate) async fn send_prepared(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> std::result::Result<Vec<Row>, tokio_postgres::Error> {
        let Some(statement) = self.prepared.find(sql) else {
            return self.client().query_typed(sql, params).await;
        };
        let values: Vec<&(dyn ToSql + Sync)> = params.iter().map(|(value, _)| *value).collect();
        let answer = self.client().query(&statement, &values).await;
        if answer.as_ref().is_err_and(is_outdated) {
            self.prepared.disable();
        }
        answer
    }

    /// Prepares a statement, unless it is prepared already or prepared statements are disabled.
    pub(crate) async fn prepare_once(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> std::result::Result<(), tokio_postgres::Error> {
        if !self.prepared.are_enabled() || self.prepared.find(sql).is_some() {
            return Ok(());
        }
        let types: Vec<Type> = params.iter().map(|(_, kind)| kind.clone()).collect();
        match self.client().prepare_typed(sql, &types).await {
            Ok(statement) => self.prepared.insert(sql, statement),
            Err(error) if is_outdated(&error) => self.prepared.disable(),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl PreparedStatements {
    fn are_enabled(&self) -> bool {
        self.lock().is_some()
    }

    fn find(&self, sql: &str) -> Option<Statement> {
        self.lock().as_ref()?.get(sql).cloned()
    }

    fn insert(&self, sql: &'static str, statement: Statement) {
        if let Some(statements) = self.lock().as_mut() {
            // Statements must differ here, so that the server refuses the parameters of one for another (see above).
            let signature = |statement: &Statement| {
                (statement.params().len(), statement.params().first().cloned())
            };
            let is_alike = |other: &Statement| signature(other) == signature(&statement);
            debug_assert!(
                !statements.values().any(is_alike),
                "the server would accept the parameters of another statement for this one: {sql}"
            );
            statements.insert(sql, statement);
        }
    }

    /// Stops using prepared statements on this connection.
    fn disable(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<&'static str, Statement>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether an error means that a prepared statement cannot be used: the schema has changed since it was
/// prepared, or the server has no statement of that name, or another one.
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
