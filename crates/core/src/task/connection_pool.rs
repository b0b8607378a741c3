//! A pool of connections, for programs that schedule from many places at once: each statement is a
//! commit of its own, and several wait for the disk together.

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
        schedule_many::{self, Common},
    },
};

/// Most connections of one pool.
const MAX_CONNECTIONS: usize = 8;

/// Connections that are made when they are needed and kept for the next one.
#[derive(Debug, Clone)]
pub struct Pool {
    dsn: Dsn,
    connections: Connections,
}

impl Pool {
    /// Connects when first used. `who` becomes the `application_name`.
    pub fn new(dsn: &Dsn, who: &str) -> Result<Pool> {
        let mut config = dsn.config().clone();
        config.application_name(who);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let connections = Connections::builder(Manager::from_config(config, dsn.tls(), recycling))
            .max_size(MAX_CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(DEADLINE))
            .create_timeout(Some(DEADLINE))
            .build()
            .map_err(|_| Error::ConnectTimeout { place: dsn.place() })?;
        Ok(Pool { dsn: dsn.clone(), connections })
    }

    /// Schedules a task. A connection that missed its deadline is not used again.
    pub async fn schedule(&self, request: &Request<'_>) -> Result<i64> {
        let connection = self.connections.get().await.map_err(|error| self.explain(error))?;
        let scheduled = schedule::schedule(&**connection, request).await;
        if matches!(scheduled, Err(Error::Deadline { .. })) {
            drop(Object::take(connection));
        }
        scheduled
    }

    /// Schedules many tasks, all of them or none.
    pub async fn schedule_many(
        &self,
        common: &Common<'_>,
        inputs: Vec<Payload>,
    ) -> Result<Vec<i64>> {
        let mut connection = self.connections.get().await.map_err(|error| self.explain(error))?;
        let scheduled = schedule_many::schedule_many(&mut connection, common, inputs).await;
        if matches!(scheduled, Err(Error::Deadline { .. })) {
            drop(Object::take(connection));
        }
        scheduled
    }

    fn explain(&self, error: PoolError) -> Error {
        match error {
            PoolError::Backend(error) => {
                Error::connecting(self.dsn.place(), self.dsn.database(), &error)
            }
            _ => Error::ConnectTimeout { place: self.dsn.place() },
        }
    }
}
