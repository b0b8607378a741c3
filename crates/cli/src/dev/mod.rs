//! `rework dev`: one command that brings up everything, keeps it up, and takes it down.
//!
//! A Postgres, unless it is given one; the schema; the modules, registered again whenever they
//! change; a monitor; the logs of all tasks on the screen. Other commands find it by the file that
//! it writes (`claim`). Whatever a killed `rework dev` left behind, the next one of the same
//! project adopts or stops.

mod announce;
mod binaries;
mod claim;
mod cluster;
mod error;
mod layout;
mod logs;
mod modules;
mod monitor;
mod postgres;
mod postmaster;
mod server;
mod server_log;
mod stopping;
mod watch;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;
use chrono::Utc;
use rework_core::{
    admin::schema,
    db::{connect::Db, dsn::Dsn},
    operation::list::list_operations,
};
use tokio::time::{MissedTickBehavior, interval};

pub use error::DevError;
pub use postgres::Installation;

use self::{claim::Claim, logs::Logs, modules::Modules, monitor::Monitor, stopping::Stopping};
use crate::{
    context::Context,
    discover::{Process, Running},
    report::with_hint,
};

/// Between two looks at the logs and at the files.
const LOOK: Duration = Duration::from_millis(300);

/// What `rework dev` is asked to do.
#[derive(Debug)]
pub struct DevOptions {
    /// The database to use; none: a Postgres of its own.
    pub dsn: Option<Dsn>,
    /// The modules to register; empty: a few examples.
    pub paths: Vec<PathBuf>,
    /// The directory in which, and below which, other commands find it.
    pub project: PathBuf,
    /// The most workers of a domain; none: as the monitor has it.
    pub maxworkers: Option<u32>,
}

/// Runs until Ctrl-C or SIGTERM, and stops everything that it has started.
pub async fn run(options: DevOptions, context: &Context) -> anyhow::Result<()> {
    let ended = bring_up(options, context).await;
    ended.map_err(|error| match error.downcast_ref::<DevError>().and_then(DevError::hint) {
        Some(hint) => with_hint(error, hint),
        None => error,
    })
}

async fn bring_up(options: DevOptions, context: &Context) -> anyhow::Result<()> {
    let mut stopping = Stopping::listen()?;
    let project = fs::canonicalize(&options.project)
        .with_context(|| format!("cannot find `{}`", options.project.display()))?;
    let claim = Claim::take(&project)?;
    let modules = Modules::of(&options.paths, &project)?;
    if let Some(dsn) = options.dsn {
        let up = Up { claim: &claim, dsn, own: None, modules, maxworkers: options.maxworkers };
        return up.serve(&mut stopping, context).await;
    }
    context.note("bringing up a Postgres of our own");
    let mut own = Installation::bring_up(&project).await?;
    let dsn = Dsn::parse(&own.dsn);
    let served = match dsn {
        Ok(dsn) => {
            let own = Some(&mut own);
            let up = Up { claim: &claim, dsn, own, modules, maxworkers: options.maxworkers };
            up.serve(&mut stopping, context).await
        }
        Err(error) => Err(error.into()),
    };
    // The first error is the one to tell.
    let stopped = own.stop().await;
    served?;
    stopped?;
    context.note("everything is stopped");
    Ok(())
}

/// A database that is up, and what is to run on it.
struct Up<'a> {
    claim: &'a Claim,
    dsn: Dsn,
    own: Option<&'a mut Installation>,
    modules: Modules,
    maxworkers: Option<u32>,
}

impl Up<'_> {
    async fn serve(mut self, stopping: &mut Stopping, context: &Context) -> anyhow::Result<()> {
        if let Some(left) = self.claim.left().and_then(|left| left.monitor) {
            monitor::replace(left).await?;
        }
        schema::migrate(&self.dsn).await?;
        for path in self.modules.paths() {
            context.note(modules::register(path, self.dsn.text()).await?);
        }
        let mut monitor = Monitor::start(self.dsn.text(), self.maxworkers)?;
        let kept = match self.announce(&monitor, context).await {
            Ok(()) => self.keep(&mut monitor, stopping, context).await,
            Err(error) => Err(error),
        };
        // However it came to this: nothing of ours stays.
        let database_is_gone = kept.as_ref().is_err_and(anyhow::Error::is::<DevError>);
        let ended = monitor.end(database_is_gone).await;
        kept.and(ended)
    }

    /// Says where things are: to other commands, and to whoever has typed this one.
    async fn announce(&self, monitor: &Monitor, context: &Context) -> anyhow::Result<()> {
        let process = Process::look(std::process::id() as i32).context("/proc is not mounted")?;
        self.claim.publish(&Running {
            dsn: self.dsn.text().to_owned(),
            process,
            monitor: monitor.process(),
            started_at: Utc::now(),
            data: self.own.as_ref().map(|own| own.data.clone()),
        })?;
        let db = Db::connect(&self.dsn, "rework dev").await?;
        let operations = list_operations(&db, None, false).await?;
        context.print(announce::text(&self.dsn, self.own.as_deref(), &operations))
    }

    /// Shows logs and registers what changes, until somebody stops us or something ends.
    async fn keep(
        &mut self,
        monitor: &mut Monitor,
        stopping: &mut Stopping,
        context: &Context,
    ) -> anyhow::Result<()> {
        let mut logs = Logs::new(self.dsn.clone());
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = false;
        loop {
            tokio::select! {
                ended = monitor.ended() => {
                    logs.look(context).await?;
                    let status = ended?;
                    anyhow::ensure!(told, "`rework monitor` ended by itself: {status}");
                    return Ok(());
                }
                error = ended(self.own.as_deref_mut()) => return Err(error.into()),
                () = stopping.asked() => {
                    context.note(if told {
                        "stopping now"
                    } else {
                        "stopping: running tasks get their grace; Ctrl-C again stops them now"
                    });
                    told = true;
                    monitor.stop();
                }
                _ = look.tick() => {
                    logs.look(context).await?;
                    for path in self.modules.changed() {
                        context.note(modules::register(&path, self.dsn.text()).await?);
                    }
                }
            }
        }
    }
}

/// Waits for the end of a Postgres of our own; one that was given is not ours to watch.
async fn ended(own: Option<&mut Installation>) -> DevError {
    match own {
        Some(own) => own.ended().await,
        None => std::future::pending().await,
    }
}
