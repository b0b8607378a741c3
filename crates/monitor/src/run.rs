//! Running a monitor: it registers, adopts the workers that earlier monitors left behind, and then runs the event loop
//! until a signal requests its end.

use std::io;

use rework_process::{Containment, Identity, SelfKill, become_subreaper, raise_limits};
use tokio::task::{LocalSet, spawn_local};

use crate::{
    adopt,
    cleanup_plan::describe_signal,
    effects::Effects,
    error::Error,
    event_loop::EventLoop,
    health::Health,
    inbox::Inbox,
    link::Link,
    options::{MonitorEnd, Options},
    signals::Signals,
    spawn::WorkerSpawner,
    startup::{describe_monitor, log_registered, start},
    state::drain::reload,
    sweep_own_host::sweep_own_host,
};

/// Runs this process as a monitor until a signal requests its end. Must be called on the first
/// thread of the process, in a current-thread runtime. `Err` if the monitor cannot start: another
/// one serves its domains, or the host or the database refuses something.
pub async fn run(options: Options) -> Result<MonitorEnd, Error> {
    LocalSet::new().run_until(Box::pin(run_local(options))).await
}

async fn run_local(mut options: Options) -> Result<MonitorEnd, Error> {
    options.dsn = options.dsn.for_writing();
    options.listen_dsn = options.listen_dsn.map(|dsn| dsn.for_writing());
    let system = |what| move |source: io::Error| Error::System { what, source };
    let mut signals = Signals::handle().map_err(system("cannot handle signals"))?;
    raise_limits();
    become_subreaper().map_err(system("cannot become the subreaper of orphaned processes"))?;
    let own = Identity::own();
    let containment = Containment::detect(options.containment)?;
    let health = Health::default();
    if let Some(address) = options.listen {
        let bound = health.serve(address).await;
        bound.map_err(|source| Error::Listen { address, source })?;
    }
    let new = describe_monitor(&options, &own, &containment);
    let (registration, abandoned) = tokio::select! {
        started = start(&options, &new, &own) => started?,
        signal = signals.next() => {
            let reexec = signal == reload::SIGNAL;
            return Ok(MonitorEnd { reason: describe_signal(signal), reexec });
        }
    };
    log_registered(&options, &registration, &containment);
    let (inbox, messages) = Inbox::new();
    spawn_local(signals.forward(inbox.clone()));
    let name = format!("rework monitor {}", registration.monitor);
    let link = Link::open(options.dsn.clone(), options.listen_dsn.clone(), name, inbox.clone());
    let adopted = abandoned.iter().map(|worker| worker.process_tag.to_string());
    spawn_local(sweep_own_host(containment.clone(), adopted.collect()));
    let spawner = WorkerSpawner::new(&options, &registration, &own, containment);
    for worker in abandoned {
        adopt::adopt(worker, &inbox);
    }
    let self_kill = SelfKill::new().map_err(system("cannot create a kernel timer"))?;
    let effects = Effects::new(options, registration, link, spawner, inbox, self_kill);
    Ok(EventLoop::new(effects, health).run(messages).await)
}
