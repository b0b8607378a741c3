//! A pool of connections for programs that schedule tasks concurrently. Each statement is a transaction of its own, and
//! the server flushes the commits of several connections to disk together.

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool as Connections, PoolError, RecyclingMethod, Runtime,
};

use crate::{
    db::{
        deadline::DEADLINE,
        dsn::Dsn,
        error::{Error, Result},
    },
    task::{
        payload::Payload,
        schedule::{self, Request},
        schedule_many::{self, CommonOptions},
        schedule_many_once,
        unique::{Scheduled, UniqueOptions},
    },
};

/// The largest number of connections of one pool.
const MAX_CONNECTIONS: usize = 8;

/// A pool that opens connections when they are needed, and keeps them for later statements.
#[derive(Debug, Clone)]
pub struct Pool {
    dsn: Dsn,
    connections: Connections,
}

impl Pool {
    /// Creates a pool without opening a connection. The server shows `application_name` for the
    /// connections of the pool.
    pub fn new(dsn: &Dsn, application_name: &str) -> Result<Pool> {
        let mut config = dsn.config().clone();
        config.application_name(application_name);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let connections = Connections::builder(Manager::from_config(config, dsn.tls(), recycling))
            .max_size(MAX_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(DEADLINE))
            .create_timeout(Some(DEADLINE))
            .build()
            .map_err(|_| Error::ConnectTimeout { server: dsn.server() })?;
        Ok(Pool { dsn: dsn.clone(), connections })
    }

    /// Schedules a task and returns its id. `Err` in the cases of [`schedule::schedule`], and if no
    /// connection is free or can be opened in time. A connection that missed its deadline is not
    /// used again.
    pub async fn schedule(&self, request: &Request<'_>) -> Result<i64> {
        let connection = self.connections.get().await.map_err(|error| self.explain(error))?;
        let scheduled = schedule::schedule(&**connection, request).await;
        if matches!(scheduled, Err(Error::Deadline { .. })) {
            drop(Object::take(connection));
        }
        scheduled
    }

    /// Schedules one task for each input, all of them or none. Returns their ids in the order of
    /// the inputs. `Err` in the cases of [`Pool::schedule`].
    pub async fn schedule_many(
        &self,
        common: &CommonOptions<'_>,
        inputs: Vec<Payload>,
    ) -> Result<Vec<i64>> {
        let mut connection = self.connections.get().await.map_err(|error| self.explain(error))?;
        let scheduled = schedule_many::schedule_many(&mut connection, common, inputs).await;
        if matches!(scheduled, Err(Error::Deadline { .. })) {
            drop(Object::take(connection));
        }
        scheduled
    }

    /// Schedules a task, unless a task has its unique key. Returns the task that has the key then. `Err` in the cases
    /// of [`Pool::schedule`].
    pub async fn schedule_once(&self, request: &Request<'_>) -> Result<Scheduled> {
        let connection = self.connections.get().await.map_err(|error| self.explain(error))?;
        let scheduled = schedule::schedule_once(&**connection, request).await;
        if matches!(scheduled, Err(Error::Deadline { .. })) {
            drop(Object::take(connection));
        }
        scheduled
    }

    /// Schedules a task for each input, each unless a task has its unique key, in one transaction. Returns their
    /// answers in the order of the inputs. `Err` in the cases of [`Pool::schedule`], and if there are not as many keys
    /// as inputs.
    pub async fn schedule_many_once(
        &self,
        common: &CommonOptions<'_>,
        unique: &UniqueOptions,
        keys: &[String],
        inputs: &[Payload],
    ) -> Result<Vec<Scheduled>> {
        let mut connection = self.connections.get().await.map_err(|error| self.explain(error))?;
        let scheduled =
            schedule_many_once::schedule_many_once(&mut connection, common, unique, keys, inputs)
                .await;
        if matches!(scheduled, Err(Error::Deadline { .. })) {
            drop(Object::take(connection));
        }
        scheduled
    }

    fn explain(&self, error: PoolError) -> Error {
        match error {
            PoolError::Backend(error) => {
                Error::connecting(self.dsn.server(), self.dsn.database(), &error)
            }
            _ => Error::ConnectTimeout { server: self.dsn.server() },
        }
    }
}
