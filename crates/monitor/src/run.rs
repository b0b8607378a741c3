//! Running a monitor: it registers, adopts the workers that earlier monitors have left, and then
//! runs the event loop until it is to end.

use std::io;

use rework_process::{Containment, Identity, SelfKill, become_subreaper};
use tokio::task::{LocalSet, spawn_local};

use crate::{
    adopt,
    cleanup_plan::signal_words,
    effects::Effects,
    error::Error,
    event_loop::EventLoop,
    health::Health,
    inbox::Inbox,
    link::Link,
    options::{Ended, Options},
    signals::Signals,
    spawn::Nursery,
    startup::{describe, say_hello, start},
    state::drain::reload,
};

/// Runs this process as a monitor, until it is to end. To be called on the first thread of a
/// process, in a current-thread runtime.
pub async fn run(options: Options) -> Result<Ended, Error> {
    LocalSet::new().run_until(Box::pin(live(options))).await
}

async fn live(options: Options) -> Result<Ended, Error> {
    let system = |what| move |source: io::Error| Error::System { what, source };
    let mut signals = Signals::handle().map_err(system("signals cannot be handled"))?;
    become_subreaper().map_err(system("orphaned processes cannot be taken over"))?;
    let own = Identity::own();
    let containment = Containment::detect(options.wish)?;
    let health = Health::default();
    if let Some(address) = options.listen {
        let bound = health.serve(address).await;
        bound.map_err(|source| Error::Listen { address, source })?;
    }
    let new = describe(&options, &own, &containment);
    let (registration, left) = tokio::select! {
        started = start(&options, &new, &own) => started?,
        signal = signals.next() => {
            let reexec = signal == reload::SIGNAL;
            return Ok(Ended { reason: signal_words(signal), reexec });
        }
    };
    say_hello(&options, &registration, &containment);
    let (inbox, messages) = Inbox::new();
    spawn_local(signals.pass_on(inbox.clone()));
    let who = format!("rework monitor {}", registration.monitor);
    let link = Link::keep(options.dsn.clone(), options.listen_dsn.clone(), who, inbox.clone());
    let nursery = Nursery::new(&options, &registration, &own, containment);
    for left in left {
        adopt::take_over(left, &inbox);
    }
    let self_kill = SelfKill::new().map_err(system("cannot create a kernel timer"))?;
    let effects = Effects::new(options, registration, link, nursery, inbox, self_kill);
    Ok(EventLoop::new(effects, health).run(messages).await)
}
