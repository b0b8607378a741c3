//! The connections that all clones of a client share.

use std::sync::Arc;

use rework_core::db::{dsn::Dsn, error::Result};
use rework_core::task::connection_pool::Pool;
use tokio::sync::Mutex;

use crate::connection::Connection;

#[derive(Debug)]
pub(crate) struct Shared {
    dsn: Dsn,
    /// The connections for scheduling, so that many callers can schedule at the same time.
    pub pool: Pool,
    /// The connection for everything else. `None` if it was lost and not replaced yet.
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Shared {
    pub(crate) fn new(dsn: Dsn, pool: Pool) -> Shared {
        Shared { dsn, pool, connection: Mutex::new(None) }
    }

    /// Discards a connection that failed, unless it was replaced already. The failed connection may not yet know that
    /// it is closed.
    pub(crate) async fn discard(&self, lost: &Arc<Connection>) {
        let mut connection = self.connection.lock().await;
        if connection.as_ref().is_some_and(|open| Arc::ptr_eq(open, lost)) {
            *connection = None;
        }
    }

    /// Returns the shared connection. Opens a new one if there is none, or if it is closed.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>> {
        let mut connection = self.connection.lock().await;
        match &*connection {
            Some(open) if !open.db().is_closed() => Ok(open.clone()),
            _ => {
                let opened = Arc::new(Connection::open(&self.dsn).await?);
                *connection = Some(opened.clone());
                Ok(opened)
            }
        }
    }
}
