//! The link to the database: one connection, which also receives notifications and is opened again when it breaks.
//! Users of the link take the present connection, or wait until there is one.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use rework_core::db::{
    connect::{Db, Notifications},
    dsn::Dsn,
    error::{Error, Result},
};
use rework_process::boot_time;
use tokio::{sync::watch, time::sleep};

use crate::{
    event::{Event, Notification},
    inbox::Inbox,
};

/// The pause after the first failed attempt to connect. It is short because most outages are.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two attempts to connect. The pause doubles up to this value.
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause before the retry of an action that the database refused. Such an action succeeds only after
/// somebody has repaired the cause, so frequent retries would only fill the log.
const LAST_REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// The connection to the database, for the whole life of the monitor.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    db: watch::Receiver<Option<Rc<Db>>>,
}

impl Link {
    /// Connects now, and again whenever the connection breaks. Sends notifications to `inbox`.
    ///
    /// `dsn` may lead through a pooler, which does not pass notifications on. Then `listen_dsn` is the DSN of a second
    /// connection for them. `name` is the application name that Postgres shows.
    pub(crate) fn open(dsn: Dsn, listen_dsn: Option<Dsn>, name: String, inbox: Inbox) -> Link {
        let (sender, receiver) = watch::channel(None);
        let listens = listen_dsn.is_none();
        if let Some(listen_dsn) = listen_dsn {
            let name = format!("{name} (notifications)");
            let target = ConnectionTarget { dsn: listen_dsn, listens: true, name };
            tokio::task::spawn_local(keep_listening(target, inbox.clone()));
        }
        let target = ConnectionTarget { dsn, listens, name };
        tokio::task::spawn_local(keep_connected(target, sender, inbox));
        Link { db: receiver }
    }

    /// Returns the present connection. `None` if there is none at the moment.
    pub(crate) fn current(&self) -> Option<Rc<Db>> {
        self.db.borrow().clone().filter(|db| !db.is_closed())
    }

    /// Repeats an action until it succeeds. The action must be safe to repeat.
    ///
    /// After a connection error it waits for the next connection. If the database refuses the action, it logs the error
    /// and tries again later, because somebody may repair the cause. `what` completes the message "cannot …".
    pub(crate) async fn retry_until_done<T>(
        &self,
        what: &str,
        action: impl AsyncFn(&Db) -> Result<T>,
    ) -> T {
        let mut refused_pause = FIRST_PAUSE;
        loop {
            let db = self.wait_connected().await;
            match action(&db).await {
                Ok(done) => return done,
                Err(error) if error.is_connection() => sleep(FIRST_PAUSE).await,
                Err(error) => {
                    tracing::error!("cannot {what}: {error}; trying again in {refused_pause:?}");
                    sleep(refused_pause).await;
                    refused_pause = (refused_pause * 2).min(LAST_REFUSED_PAUSE);
                }
            }
        }
    }

    async fn wait_connected(&self) -> Rc<Db> {
        let mut changes = self.db.clone();
        loop {
            if let Some(db) = self.current() {
                return db;
            }
            if changes.changed().await.is_err() {
                // The monitor is ending, and this task ends with it.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The parameters of a connection that is opened again and again.
struct ConnectionTarget {
    dsn: Dsn,
    /// Whether the connection receives notifications.
    listens: bool,
    name: String,
}

impl ConnectionTarget {
    async fn connect(&self) -> Result<(Db, Notifications)> {
        let (db, notices) = Db::connect_listening(&self.dsn, &self.name).await?;
        if self.listens {
            db.execute_script("listen rework").await?;
        }
        db.record_direct(&self.dsn).await?;
        Ok((db, notices))
    }
}

/// Keeps a separate connection that only receives notifications.
async fn keep_listening(target: ConnectionTarget, inbox: Inbox) {
    while !inbox.is_closed() {
        let attempted_at = boot_time();
        match target.connect().await {
            Ok((_db, mut notices)) => {
                inbox.send(Event::DatabaseBack);
                forward(&mut notices, &inbox).await;
                // This connection has ended. The cause may affect the other one too, so the state starts its
                // observations again.
                inbox.send(Event::DatabaseBack);
            }
            Err(error) if target.dsn.is_down_for_everyone(&error) => {
                inbox.send(Event::DatabaseDown { attempted_at });
            }
            Err(error) => tracing::debug!("cannot listen for notifications: {error}"),
        }
        sleep(LAST_PAUSE).await;
    }
}

/// Sends notifications to the inbox until the connection ends.
async fn forward(notices: &mut Notifications, inbox: &Inbox) {
    while let Some((_, payload)) = notices.recv().await {
        if let Some(notification) = Notification::parse(&payload) {
            inbox.send(Event::Notified(notification));
        }
    }
}

/// Keeps the connection of the link.
async fn keep_connected(
    target: ConnectionTarget,
    sender: watch::Sender<Option<Rc<Db>>>,
    inbox: Inbox,
) {
    let mut outage = Outage::default();
    while !inbox.is_closed() {
        let attempted_at = boot_time();
        match target.connect().await {
            Ok((db, mut notices)) => {
                outage.end(&target.dsn);
                let _ = sender.send(Some(Rc::new(db)));
                inbox.send(Event::DatabaseBack);
                forward(&mut notices, &inbox).await;
                let _ = sender.send(None);
                outage.start_or_continue(&target.dsn, None);
            }
            Err(error) => {
                if target.dsn.is_down_for_everyone(&error) {
                    inbox.send(Event::DatabaseDown { attempted_at });
                }
                outage.start_or_continue(&target.dsn, Some(&error));
                if matches!(error, Error::TooManyConnections { .. }) {
                    // The workers of this host give connections back, and this monitor needs one of them before others
                    // take all: its lease depends on it.
                    inbox.send(Event::ConnectionRefused);
                    outage.retry_soon();
                }
            }
        }
        sleep(outage.next_pause()).await;
    }
}

/// The present outage of the database. It is logged as a warning once, and again if the reason changes, not at every
/// attempt to connect.
#[derive(Debug, Default)]
struct Outage {
    /// The start of the outage. `None` if the database is available.
    since: Option<Instant>,
    /// The last pause between two attempts. `None` before the first one.
    pause: Option<Duration>,
    /// The last reason that was logged.
    reason: String,
}

impl Outage {
    fn start_or_continue(&mut self, dsn: &Dsn, error: Option<&Error>) {
        let reason = error.map_or_else(|| "the connection ended".to_owned(), Error::to_string);
        if self.since.is_none() {
            tracing::warn!("the database at {} is unavailable: {reason}", dsn.server());
            self.since = Some(Instant::now());
        } else if self.reason != reason {
            tracing::info!("the database is still unavailable: {reason}");
        }
        self.reason = reason;
    }

    /// Makes the next pause as short as the first one.
    fn retry_soon(&mut self) {
        self.pause = None;
    }

    fn end(&mut self, dsn: &Dsn) {
        if let Some(since) = self.since.take() {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(
                "the database at {} is available again after {seconds:.1} s",
                dsn.server()
            );
        }
        self.pause = None;
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LAST_PAUSE));
        self.pause = Some(pause);
        pause
    }
}
