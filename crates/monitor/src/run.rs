//! The monitor's life: it takes its place, takes over what earlier monitors have left, and then
//! turns what happens into actions until it is to end.

use std::{
    io,
    time::{Duration, Instant},
};

use rework_core::{
    connect::Db,
    monitor::{Beginning, Process},
    partition, schema, worker,
};
use rework_process::{
    Containment, Exit, Identity, SelfKill, become_subreaper, boot_time, reap_adopted,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{LocalSet, spawn_local},
    time::{sleep, sleep_until},
};

use crate::{
    adopt,
    attend::Hand,
    chores::Chores,
    close::Remains,
    closing::signal_words,
    drain::Drain,
    effects::Effects,
    error::Error,
    event::{Action, Event, RELOAD},
    health::Health,
    leave::leave,
    link::Link,
    options::Options,
    pace::Pace,
    pool::Bounds,
    service,
    spawn::Nursery,
    state::State,
    tenure::Tenure,
    twin::{Seat, take_seat},
};

/// Between two attempts to reach a database that is away at the beginning.
const AWAY_PAUSE: Duration = Duration::from_millis(500);

/// What reaches the loop: events, some with what only [`Effects`] can hold.
#[derive(Debug)]
pub(crate) enum Message {
    Event(Event),
    Born { worker: i64, domain: String, hand: Hand },
    Adopted { worker: i64, domain: String, hand: Hand },
    Ended { worker: i64, exit: Option<Exit>, last_words: String, remains: Remains },
}

/// How a monitor ended that was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why, in words: `signal 15 (terminated)`.
    pub reason: String,
    /// A monitor of the same options is to take its place at once, in this very process.
    pub again: bool,
}

/// Runs this process as a monitor, until a signal ends it. On the first thread of a process, in a
/// current-thread runtime.
pub async fn run(options: Options) -> Result<Ended, Error> {
    LocalSet::new().run_until(Box::pin(live(options))).await
}

async fn live(options: Options) -> Result<Ended, Error> {
    let system = |what| move |source: io::Error| Error::System { what, source };
    let mut terminate = signals().map_err(system("signals cannot be handled"))?;
    become_subreaper().map_err(system("orphaned processes cannot be taken over"))?;
    let own = Identity::own();
    let containment = Containment::detect(options.wish)?;
    let health = Health::default();
    if let Some(address) = options.listen {
        let bound = health.serve(address).await;
        bound.map_err(|source| Error::Listen { address, source })?;
    }
    let mut db = open(&options).await?;
    if let Err(error) = partition::ensure(&db).await {
        tracing::warn!("partitions for the log cannot be made: {error}");
    }
    let new = beginning(&options, &own, &containment);
    let seat = tokio::select! {
        seat = take_seat(&mut db, &new, &own) => seat?,
        signal = next_signal(&mut terminate) => {
            return Ok(Ended { reason: signal_words(signal), again: signal == RELOAD });
        }
    };
    let left = worker::left(&db, &options.host).await?;
    drop(db);
    say_hello(&options, &seat, &containment);
    let (inbox, messages) = unbounded_channel();
    spawn_local(pass_on_signals(terminate, inbox.clone()));
    let who = format!("rework monitor {}", seat.monitor);
    let link = Link::keep(options.dsn.clone(), options.listen_dsn.clone(), who, inbox.clone());
    let nursery = Nursery::new(&options, &seat, &own, containment);
    for left in left {
        adopt::take_over(left, &own, &link, &inbox);
    }
    let self_kill = SelfKill::new().map_err(system("the kernel gives no timer"))?;
    let effects = Effects::new(options, seat, link, nursery, inbox, self_kill);
    Ok(turn(effects, messages, &health).await)
}

async fn open(options: &Options) -> Result<Db, Error> {
    loop {
        match schema::open(&options.dsn, "rework monitor").await {
            Err(error) if options.patient && error.is_connection() => {
                tracing::debug!("the database is away: {error}");
                sleep(AWAY_PAUSE).await;
            }
            opened => return Ok(opened?),
        }
    }
}

/// The loop.
async fn turn(
    mut effects: Effects,
    mut messages: UnboundedReceiver<Message>,
    health: &Health,
) -> Ended {
    let (min, max) = effects.options.bounds();
    let (timeout, grace) = (effects.options.start_timeout, effects.options.shutdown_grace);
    let domains = effects.seat.domains.clone();
    let tenure = Tenure::new(effects.options.lease, effects.seat.sent_at);
    effects.perform(Action::Arm(Some(tenure.until())));
    let mut state = State::new(Bounds { min, max }, timeout, grace, domains, tenure);
    let start = Instant::now();
    let mut pace = Pace::new(effects.options.lease.look_every(), start);
    let (dsn, age) = (effects.options.dsn.clone(), effects.options.vacuum);
    let mut chores = Chores::new(dsn, age, start);
    loop {
        let now = Instant::now();
        let lease = now + state.tenure.ends_at().saturating_sub(boot_time());
        let lease = (!state.is_over()).then_some(lease);
        let wake_at = [pace.due(), state.deadline(), lease].into_iter().flatten().min();
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            () = until(wake_at) => None,
        };
        let now = now.max(Instant::now());
        if let Some(message) = message {
            let event = unpack(message, &mut effects, &mut pace, now);
            let answered = match &event {
                Event::Seen(look) => Some(look.answer.is_some()),
                Event::Signal(signal) => {
                    service::asked(*signal);
                    None
                }
                _ => None,
            };
            state.apply(event, now);
            if let Some(answered) = answered {
                health.set(state.report(answered));
            }
        }
        state.on_time(now);
        state.tenure_on_time(boot_time(), now);
        for action in std::mem::take(&mut state.actions) {
            match action {
                Action::Look => pace.hint(),
                Action::Finish(finish) => {
                    let hurries = state.drain.as_ref().is_some_and(Drain::hurries);
                    return leave(&effects, &finish, hurries, &mut messages).await;
                }
                action => effects.perform(action),
            }
        }
        if let Some(standing) = pace.begin(now) {
            if standing {
                reap_adopted();
                chores.on_time(state.pools.keys().cloned(), now);
            }
            let question = state.question(standing);
            effects.look(question, standing, now);
        }
    }
}

fn unpack(message: Message, effects: &mut Effects, pace: &mut Pace, now: Instant) -> Event {
    match message {
        Message::Event(event) => {
            if let Event::Seen(look) = &event {
                pace.end();
                if look.answer.is_none() {
                    effects.look_was_lost();
                }
            }
            event
        }
        Message::Born { worker, domain, hand } => {
            effects.take_hand(worker, hand);
            Event::Born { worker, domain }
        }
        Message::Adopted { worker, domain, hand } => {
            let in_reach = hand.pid.is_some();
            effects.take_hand(worker, hand);
            Event::Adopted { worker, domain, in_reach }
        }
        Message::Ended { worker, exit, last_words, remains } => {
            effects.take_remains(worker, remains, now);
            Event::Ended { worker, exit, last_words }
        }
    }
}

fn beginning(options: &Options, own: &Identity, containment: &Containment) -> Beginning {
    Beginning {
        host: options.host.clone(),
        process: Process {
            boot_id: own.boot_id.clone(),
            pid_ns: own.pid_ns.clone(),
            pid: own.pid,
            pid_start: own.start,
        },
        domains: options.domains.clone(),
        capabilities: options.capabilities.clone(),
        options: options.to_json(),
        containment: containment.name().to_owned(),
        memory: containment.memory.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        terms: options.lease,
    }
}

/// `monitor 3 on alpha: domains default, images; 2-4 workers each; containment cgroup, memory cgroup1`.
fn say_hello(options: &Options, seat: &Seat, containment: &Containment) {
    let domains = match seat.domains.as_slice() {
        [] => "no operation is registered for this host yet".to_owned(),
        [one] => format!("domain {one}"),
        several => format!("domains {}", several.join(", ")),
    };
    let workers = match options.bounds() {
        (min, max) if min == max => format!("{max}"),
        (min, max) => format!("{min}-{max}"),
    };
    let (id, host) = (seat.monitor, &options.host);
    service::ready(&format!("monitor {id} on {host}: {domains}"));
    let (held, memory) = (containment.name(), containment.memory.name());
    tracing::info!(
        "monitor {id} on {host}: {domains}; {workers} workers each; containment {held}, \
         memory {memory}"
    );
}

fn signals() -> io::Result<[(i32, Signal); 3]> {
    let of = |kind: SignalKind| io::Result::Ok((kind.as_raw_value(), signal(kind)?));
    Ok([of(SignalKind::terminate())?, of(SignalKind::interrupt())?, of(SignalKind::hangup())?])
}

async fn next_signal([first, second, third]: &mut [(i32, Signal); 3]) -> i32 {
    tokio::select! {
        _ = first.1.recv() => first.0,
        _ = second.1.recv() => second.0,
        _ = third.1.recv() => third.0,
    }
}

async fn pass_on_signals(mut signals: [(i32, Signal); 3], inbox: UnboundedSender<Message>) {
    loop {
        let signal = next_signal(&mut signals).await;
        let _ = inbox.send(Message::Event(Event::Signal(signal)));
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
