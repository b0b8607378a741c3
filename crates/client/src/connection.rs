//! The shared connection of a client, and the notifications about ended tasks that arrive on it.

use std::time::Duration;

use rework_core::admin::schema;
use rework_core::db::error::Result;
use rework_core::db::{connect::Db, dsn::Dsn};
use rework_core::task::wait::CHANNEL;
use tokio::sync::{OnceCell, broadcast};

/// The `application_name` of the client's connections.
pub(super) const APPLICATION_NAME: &str = "rework client";

/// Number of notifications that are kept for a slow receiver. A receiver that misses some polls its task once.
const NOTIFICATION_BUFFER: usize = 1024;

/// Interval at which a task is polled if no notification arrives. A pooler does not pass notifications on.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The connection that the clones of a client share.
#[derive(Debug)]
pub(super) struct Connection {
    db: Db,
    /// The ids of ended tasks, as notifications report them.
    ended_tasks: broadcast::Sender<i64>,
    /// Set once this connection has executed `listen`.
    is_listening: OnceCell<()>,
}

/// Receives the ids of tasks that end after it was created.
pub(super) struct EndListener(broadcast::Receiver<i64>);

impl Connection {
    /// Connects, checks the schema, and starts to forward notifications.
    pub(super) async fn open(dsn: &Dsn) -> Result<Connection> {
        let (db, mut notifications) = Db::connect_listening(dsn, APPLICATION_NAME).await?;
        schema::check(&db, dsn).await?;
        let (ended_tasks, _) = broadcast::channel(NOTIFICATION_BUFFER);
        let sender = ended_tasks.clone();
        tokio::spawn(async move {
            while let Some((_, payload)) = notifications.recv().await {
                if let Ok(task) = payload.parse() {
                    // Fails if no task waits at the moment. Then nobody needs the notification.
                    let _ = sender.send(task);
                }
            }
        });
        Ok(Connection { db, ended_tasks, is_listening: OnceCell::new() })
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// Returns a listener that gets all notifications from now on.
    pub(super) async fn listen_for_ends(&self) -> Result<EndListener> {
        // Subscribe before `listen`, so that no notification is lost between the two.
        let listener = EndListener(self.ended_tasks.subscribe());
        let listen = format!("listen {CHANNEL}");
        self.is_listening.get_or_try_init(|| self.db.execute_script(&listen)).await?;
        Ok(listener)
    }
}

impl EndListener {
    /// Waits until a task may have ended: until its notification arrives, notifications are lost, or
    /// [`POLL_INTERVAL`] has passed.
    pub(super) async fn wait_for(&mut self, task: i64) {
        let notification = async {
            // An error means that notifications were dropped, or that the connection is closed.
            while let Ok(ended) = self.0.recv().await {
                if ended == task {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(POLL_INTERVAL, notification).await;
    }
}
