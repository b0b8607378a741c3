//! The one connection of a client, and who is told of the ends of tasks over it.

use std::time::Duration;

use rework_core::admin::schema;
use rework_core::db::error::Result;
use rework_core::db::{connect::Db, dsn::Dsn};
use rework_core::task::wait::CHANNEL;
use tokio::sync::{OnceCell, broadcast};

/// What the server calls us.
pub(super) const WHO: &str = "rework client";

/// Ends that a waiting task may be behind; one that missed some looks.
const ENDS: usize = 1024;

/// Between two looks at a task whose end was not notified: a pooler passes no notifications on.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Connection {
    db: Db,
    ends: broadcast::Sender<i64>,
    listening: OnceCell<()>,
}

/// The ends of tasks, from the moment on at which they were asked for.
pub(super) struct Ends(broadcast::Receiver<i64>);

impl Connection {
    pub(super) async fn open(dsn: &Dsn) -> Result<Connection> {
        let (db, mut notified) = Db::connect_listening(dsn, WHO).await?;
        schema::check(&db, dsn).await?;
        let (ends, _) = broadcast::channel(ENDS);
        let told = ends.clone();
        tokio::spawn(async move {
            while let Some((_, payload)) = notified.recv().await {
                if let Ok(task) = payload.parse() {
                    // Nobody may be waiting just now.
                    let _ = told.send(task);
                }
            }
        });
        Ok(Connection { db, ends, listening: OnceCell::new() })
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// From now on no end is missed.
    pub(super) async fn ends(&self) -> Result<Ends> {
        let ends = Ends(self.ends.subscribe());
        let listen = format!("listen {CHANNEL}");
        self.listening.get_or_try_init(|| self.db.execute_script(&listen)).await?;
        Ok(ends)
    }
}

impl Ends {
    /// Returns when this task may have ended.
    pub(super) async fn of(&mut self, task: i64) {
        let heard = async {
            // An error says that some were missed, or that the connection is gone.
            while let Ok(ended) = self.0.recv().await {
                if ended == task {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LOOK, heard).await;
    }
}
