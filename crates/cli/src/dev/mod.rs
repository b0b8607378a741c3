//! Implements `rework dev`: one command that starts everything, keeps it running, and stops it again.
//!
//! The command starts a private Postgres unless it is given a database, creates the schema, registers the modules
//! (again whenever their files change), runs a monitor, and prints the logs of all tasks. Other commands find its
//! database through the file that it writes (`project_lock.rs`). If `rework dev` is killed, the next one of the same
//! project adopts the Postgres and replaces the monitor that are still running.

mod binaries;
mod changed_files;
mod cluster;
mod error;
mod layout;
mod log_follower;
mod modules;
mod monitor;
mod postmaster;
mod private_postgres;
mod project_lock;
mod server;
mod server_log;
mod startup_text;
mod stop_signals;

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
pub use private_postgres::PrivatePostgres;

use self::{
    log_follower::LogFollower, modules::DevModules, monitor::MonitorProcess,
    project_lock::ProjectLock, stop_signals::StopSignals,
};
use crate::{
    context::Context,
    discover::{DevInfo, Process},
    error_text::with_hint,
};

/// The interval at which `rework dev` polls the logs and the registered files: short enough for a person who watches.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// The options of `rework dev`.
#[derive(Debug)]
pub struct DevOptions {
    /// The database to use. `None` to start a private Postgres.
    pub dsn: Option<Dsn>,
    /// The modules to register. If empty, a few examples are registered.
    pub paths: Vec<PathBuf>,
    /// The project directory. Other commands find this `rework dev` from there and from below.
    pub project: PathBuf,
    /// The maximum number of workers per domain. `None` for the default of the monitor.
    pub maxworkers: Option<u32>,
}

/// Runs until Ctrl-C or SIGTERM, then stops everything that it started.
pub async fn run(options: DevOptions, context: &Context) -> anyhow::Result<()> {
    let result = start_and_serve(options, context).await;
    result.map_err(|error| match error.downcast_ref::<DevError>().and_then(DevError::hint) {
        Some(hint) => with_hint(error, hint),
        None => error,
    })
}

/// Starts a private Postgres if no database is given, and serves until it is stopped.
async fn start_and_serve(options: DevOptions, context: &Context) -> anyhow::Result<()> {
    let mut stop_signals = StopSignals::listen()?;
    let project = fs::canonicalize(&options.project)
        .with_context(|| format!("cannot find `{}`", options.project.display()))?;
    let lock = ProjectLock::take(&project)?;
    let modules = DevModules::of(&options.paths, &project)?;
    if let Some(dsn) = options.dsn {
        let session =
            Session { lock: &lock, dsn, postgres: None, modules, maxworkers: options.maxworkers };
        return session.serve(&mut stop_signals, context).await;
    }
    context.note("starting a private Postgres");
    let mut postgres = PrivatePostgres::start(&project).await?;
    let dsn = Dsn::parse(&postgres.dsn);
    let served = match dsn {
        Ok(dsn) => {
            let postgres = Some(&mut postgres);
            let session =
                Session { lock: &lock, dsn, postgres, modules, maxworkers: options.maxworkers };
            session.serve(&mut stop_signals, context).await
        }
        Err(error) => Err(error.into()),
    };
    // Stop the server in any case. If both steps fail, the first error is the cause, so it is returned.
    let stopped = postgres.stop().await;
    served?;
    stopped?;
    context.note("everything is stopped");
    Ok(())
}

/// A running database and everything that is needed to serve it.
struct Session<'a> {
    lock: &'a ProjectLock,
    dsn: Dsn,
    /// The private Postgres. `None` if the database was given.
    postgres: Option<&'a mut PrivatePostgres>,
    modules: DevModules,
    maxworkers: Option<u32>,
}

impl Session<'_> {
    /// Creates the schema, registers the modules, and runs a monitor until a signal or an error stops it.
    async fn serve(
        mut self,
        stop_signals: &mut StopSignals,
        context: &Context,
    ) -> anyhow::Result<()> {
        if let Some(monitor) = self.lock.leftover().and_then(|leftover| leftover.monitor) {
            monitor::kill_leftover(monitor).await?;
        }
        schema::migrate(&self.dsn).await?;
        for path in self.modules.paths() {
            context.note(modules::register(path, self.dsn.text()).await?);
        }
        let mut monitor = MonitorProcess::start(self.dsn.text(), self.maxworkers)?;
        let served = match self.announce(&monitor, context).await {
            Ok(()) => self.serve_until_stopped(&mut monitor, stop_signals, context).await,
            Err(error) => Err(error),
        };
        // Stop the monitor in any case. A `DevError` here usually means that the private Postgres has exited.
        let database_is_gone = served.as_ref().is_err_and(anyhow::Error::is::<DevError>);
        let stopped = monitor.stop_and_wait(database_is_gone).await;
        served.and(stopped)
    }

    /// Publishes where the database is, in a file for other commands and on the terminal for the user.
    async fn announce(&self, monitor: &MonitorProcess, context: &Context) -> anyhow::Result<()> {
        let process = Process::find(std::process::id() as i32).context("/proc is not mounted")?;
        self.lock.publish(&DevInfo {
            dsn: self.dsn.text().to_owned(),
            process,
            monitor: monitor.process(),
            started_at: Utc::now(),
            data: self.postgres.as_ref().map(|postgres| postgres.data.clone()),
        })?;
        let db = Db::connect(&self.dsn, "rework dev").await?;
        let operations = list_operations(&db, None, false).await?;
        context.print(startup_text::render(&self.dsn, self.postgres.as_deref(), &operations))
    }

    /// Prints logs and registers changed modules, until the monitor or the private Postgres exits.
    ///
    /// Every signal is passed to the monitor, which then exits. `Err` if the monitor exits without a signal.
    async fn serve_until_stopped(
        &mut self,
        monitor: &mut MonitorProcess,
        stop_signals: &mut StopSignals,
        context: &Context,
    ) -> anyhow::Result<()> {
        let mut logs = LogFollower::new(self.dsn.clone(), context);
        let mut poll = interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop_requested = false;
        loop {
            tokio::select! {
                exited = monitor.wait() => {
                    // Print the last lines that tasks wrote before the monitor exited.
                    logs.print_new(context).await?;
                    logs.end_line(context)?;
                    let status = exited?;
                    anyhow::ensure!(stop_requested, "`rework monitor` exited unexpectedly: {status}");
                    return Ok(());
                }
                error = exited(self.postgres.as_deref_mut()) => {
                    logs.end_line(context)?;
                    return Err(error.into());
                }
                () = stop_signals.recv() => {
                    logs.end_line(context)?;
                    context.note(if stop_requested {
                        "stopping now"
                    } else {
                        "stopping: running tasks may finish within their grace period; press Ctrl-C again to stop \
                         them now"
                    });
                    stop_requested = true;
                    monitor.request_stop();
                }
                _ = poll.tick() => {
                    logs.print_new(context).await?;
                    for path in self.modules.changed() {
                        logs.end_line(context)?;
                        context.note(modules::register(&path, self.dsn.text()).await?);
                    }
                }
            }
        }
    }
}

/// Waits until the private Postgres exits. Waits forever if there is none.
async fn exited(postgres: Option<&mut PrivatePostgres>) -> DevError {
    match postgres {
        Some(postgres) => postgres.exited().await,
        None => std::future::pending().await,
    }
}
