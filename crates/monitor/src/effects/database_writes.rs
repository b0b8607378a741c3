//! The actions of a monitor that write to the database outside a poll.

use rework_core::{
    db::{connect::Db, error::Result},
    fleet::{
        monitor,
        start_fault::{self, StartFault},
    },
    pause,
};
use tokio::task::spawn_local;

use super::Effects;
use crate::event::Event;

impl Effects {
    pub(super) fn publish(&self, domains: Vec<String>) {
        let (db, inbox, id) = (self.link.current(), self.inbox.clone(), self.registration.monitor);
        spawn_local(async move {
            let committed = match db {
                Some(db) => monitor::publish_idle_domains(&db, id, &domains).await.is_ok(),
                None => false,
            };
            inbox.send(Event::Published(committed));
        });
    }

    /// Lets the monitor serve further domains, if no other monitor of the host serves them. This
    /// needs a transaction. So it opens a connection of its own, because the shared one has other
    /// statements in flight.
    pub(super) fn take_domains(&self, domains: Vec<String>) {
        let (dsn, inbox) = (self.options.dsn.clone(), self.inbox.clone());
        let (id, host) = (self.registration.monitor, self.options.host.clone());
        spawn_local(async move {
            let taken = async {
                let mut db = Db::connect(&dsn, &format!("rework monitor {id}")).await?;
                monitor::add_domains(&mut db, id, &host, &domains).await
            };
            match taken.await {
                Ok(domains) => inbox.send(Event::DomainsTaken(domains)),
                Err(error) => tracing::warn!("cannot serve new domains yet: {error}"),
            }
        });
    }

    pub(super) fn record_start_faults(&self, faults: Vec<StartFault>) {
        let (id, inbox) = (self.registration.monitor, self.inbox.clone());
        let store = async move |db: &Db| -> Result<()> {
            start_fault::record(db, id, &faults).await?;
            inbox.send(Event::StartFaultsRecorded(faults));
            Ok(())
        };
        self.fault_job.start("store what cannot be started", self.link.current(), store);
    }

    pub(super) fn record_pauses(&self, ids: Vec<i64>) {
        let (id, inbox) = (self.registration.monitor, self.inbox.clone());
        let store = async move |db: &Db| -> Result<()> {
            pause::progress::record(db, id, &ids).await?;
            inbox.send(Event::PausesRecorded(ids));
            Ok(())
        };
        self.pause_job.start("store which pauses are carried out", self.link.current(), store);
    }

    pub(super) fn record(
        &self,
        what: &'static str,
        action: impl AsyncFn(&Db) -> Result<()> + 'static,
    ) {
        let link = self.link.clone();
        spawn_local(async move { link.retry_until_done(what, action).await });
    }
}
