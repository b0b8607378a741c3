//! The monitor's life: it takes its place, takes over what earlier monitors have left, and then
//! turns what happens into actions until it is to end.

use std::{io, time::Instant};

use rework_process::{
    Containment, Exit, Identity, SelfKill, become_subreaper, boot_time, reap_adopted,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{LocalSet, spawn_local},
    time::sleep_until,
};

use crate::{
    adopt,
    attend::Hand,
    begin::{begin, beginning, say_hello},
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
    options::{Keep, Options},
    pace::Pace,
    service,
    spawn::Nursery,
    state::State,
    tenure::Tenure,
};

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
    let new = beginning(&options, &own, &containment);
    let begun = tokio::select! {
        begun = begin(&options, &new, &own) => begun?,
        signal = next_signal(&mut terminate) => {
            return Ok(Ended { reason: signal_words(signal), again: signal == RELOAD });
        }
    };
    let (seat, left) = begun;
    say_hello(&options, &seat, &containment);
    let (inbox, messages) = unbounded_channel();
    spawn_local(pass_on_signals(terminate, inbox.clone()));
    let who = format!("rework monitor {}", seat.monitor);
    let link = Link::keep(options.dsn.clone(), options.listen_dsn.clone(), who, inbox.clone());
    let nursery = Nursery::new(&options, &seat, &own, containment);
    for left in left {
        adopt::take_over(left, &inbox);
    }
    let self_kill = SelfKill::new().map_err(system("the kernel gives no timer"))?;
    let effects = Effects::new(options, seat, link, nursery, inbox, self_kill);
    Ok(turn(effects, messages, &health).await)
}

/// The loop.
async fn turn(
    mut effects: Effects,
    mut messages: UnboundedReceiver<Message>,
    health: &Health,
) -> Ended {
    let (timeout, grace) = (effects.options.start_timeout, effects.options.shutdown_grace);
    let domains = effects.seat.domains.clone();
    let tenure = Tenure::new(effects.options.lease, effects.seat.sent_at);
    effects.perform(Action::Arm(Some(tenure.until())));
    let bounds = effects.options.keep.map(Keep::bounds);
    let mut state = State::new(bounds, timeout, grace, domains, tenure);
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
                    let again = state.drain.as_ref().is_some_and(Drain::leads_back);
                    return leave(&effects, &finish, hurries, again, &mut messages).await;
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
            effects.take_hand(worker, hand);
            Event::Adopted { worker, domain }
        }
        Message::Ended { worker, exit, last_words, remains } => {
            effects.take_remains(worker, remains, now);
            Event::Ended { worker, exit, last_words }
        }
    }
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
