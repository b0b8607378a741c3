//! The link to the database: one connection, which is made again when it breaks, and on which
//! notifications arrive. Its users take it as it is now, or wait for it.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use rework_core::db::{
    connect::Db,
    dsn::Dsn,
    error::{Error, Result},
};
use rework_process::boot_time;
use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    time::sleep,
};

use crate::{
    event::{Event, Hint},
    inbox::Inbox,
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause before something that the database refused is tried again.
const LAST_REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// The connection, as long as the monitor lives.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    db: watch::Receiver<Option<Rc<Db>>>,
    direct: Rc<Cell<bool>>,
}

impl Link {
    /// Connects now, and again whenever the connection breaks. Notifications go to `inbox`. They come
    /// on this connection, or on a second one to `direct` if `dsn` leads through a pooler.
    pub(crate) fn keep(dsn: Dsn, direct: Option<Dsn>, who: String, inbox: Inbox) -> Link {
        let (sender, receiver) = watch::channel(None);
        let listens = direct.is_none();
        if let Some(direct) = direct {
            let who = format!("{who} (notifications)");
            let line = Line { dsn: direct, listens: true, who, direct: Rc::default() };
            tokio::task::spawn_local(hear(line, inbox.clone()));
        }
        let line = Line { dsn, listens, who, direct: Rc::default() };
        let direct = Rc::clone(&line.direct);
        tokio::task::spawn_local(keep(line, sender, inbox));
        Link { db: receiver, direct }
    }

    /// The connection, if there is one now.
    pub(crate) fn now(&self) -> Option<Rc<Db>> {
        self.db.borrow().clone().filter(|db| !db.is_closed())
    }

    /// Whether it leads to the server itself, so that a refusal comes from the server.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct.get()
    }

    /// Tries an action until it succeeds: the database may be away for long, and an action that it
    /// refuses may succeed after somebody has repaired it. Only for actions that can be done twice.
    pub(crate) async fn persist<T>(&self, what: &str, action: impl AsyncFn(&Db) -> Result<T>) -> T {
        let mut refused = FIRST_PAUSE;
        loop {
            let db = self.up().await;
            match action(&db).await {
                Ok(done) => return done,
                Err(error) if error.is_connection() => sleep(FIRST_PAUSE).await,
                Err(error) => {
                    tracing::error!("cannot {what}: {error}; trying again in {refused:?}");
                    sleep(refused).await;
                    refused = (refused * 2).min(LAST_REFUSED_PAUSE);
                }
            }
        }
    }

    async fn up(&self) -> Rc<Db> {
        let mut changes = self.db.clone();
        loop {
            if let Some(db) = self.now() {
                return db;
            }
            if changes.changed().await.is_err() {
                // The monitor ends, and with it this task.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A way to the database.
struct Line {
    dsn: Dsn,
    listens: bool,
    who: String,
    /// Whether the last connection led to the server itself.
    direct: Rc<Cell<bool>>,
}

impl Line {
    async fn connect(&self) -> Result<(Db, UnboundedReceiver<(String, String)>)> {
        let (db, notices) = Db::connect_listening(&self.dsn, &self.who).await?;
        if self.listens {
            db.execute_script("listen rework").await?;
        }
        self.direct.set(db.is_direct(&self.dsn).await?);
        Ok((db, notices))
    }

    /// Whether the error of an attempt proves that the server is down for everyone.
    async fn serves_nobody(&self, error: &Error) -> bool {
        self.direct.get() && self.dsn.serves_nobody(error).await
    }
}

/// Listens on a connection of its own.
async fn hear(line: Line, inbox: Inbox) {
    while !inbox.is_closed() {
        let asked_at = boot_time();
        match line.connect().await {
            Ok((_db, mut notices)) => {
                inbox.send(Event::Back);
                pass_on(&mut notices, &inbox).await;
                // The reason for its end may have broken the other connection too.
                inbox.send(Event::Back);
            }
            Err(error) if line.serves_nobody(&error).await => {
                inbox.send(Event::Away { asked_at });
            }
            Err(error) => tracing::debug!("nothing is notified now: {error}"),
        }
        sleep(LAST_PAUSE).await;
    }
}

async fn pass_on(notices: &mut UnboundedReceiver<(String, String)>, inbox: &Inbox) {
    while let Some((_, payload)) = notices.recv().await {
        if let Some(hint) = Hint::parse(&payload) {
            inbox.send(Event::Hint(hint));
        }
    }
}

async fn keep(line: Line, sender: watch::Sender<Option<Rc<Db>>>, inbox: Inbox) {
    let mut away = Away::default();
    while !inbox.is_closed() {
        let asked_at = boot_time();
        match line.connect().await {
            Ok((db, mut notices)) => {
                away.is_back(&line.dsn);
                let _ = sender.send(Some(Rc::new(db)));
                inbox.send(Event::Back);
                pass_on(&mut notices, &inbox).await;
                let _ = sender.send(None);
                away.begins(&line.dsn, None);
            }
            Err(error) => {
                if line.serves_nobody(&error).await {
                    inbox.send(Event::Away { asked_at });
                }
                away.begins(&line.dsn, Some(&error));
            }
        }
        sleep(away.pause()).await;
    }
}

/// Since when the database has been away; logged as a warning once, not at every attempt.
#[derive(Debug, Default)]
struct Away {
    since: Option<Instant>,
    pause: Option<Duration>,
}

impl Away {
    fn begins(&mut self, dsn: &Dsn, why: Option<&Error>) {
        let why = why.map_or_else(|| "the connection ended".to_owned(), Error::to_string);
        if self.since.is_none() {
            tracing::warn!("the database at {} is away: {why}", dsn.place());
            self.since = Some(Instant::now());
        } else {
            tracing::debug!("the database is still away: {why}");
        }
    }

    fn is_back(&mut self, dsn: &Dsn) {
        if let Some(since) = self.since.take() {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!("the database at {} is back after {seconds:.1} s", dsn.place());
        }
        self.pause = None;
    }

    fn pause(&mut self) -> Duration {
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LAST_PAUSE));
        self.pause = Some(pause);
        pause
    }
}
