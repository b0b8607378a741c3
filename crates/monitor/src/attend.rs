//! Attending to one worker: what it says goes to the monitor, what the monitor says goes to it,
//! until its process has ended.

use std::{io, time::Duration};

use nix::sys::signal::Signal;
use rework_process::{Child, Exit, Identity};
use rework_wire::{
    connection::Frames,
    worker::{FromWorker, ToWorker},
};
use tokio::{
    net::unix::pipe,
    sync::mpsc::{UnboundedReceiver, UnboundedSender},
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{close::Remains, event::Event, last_words::LastWords, page::Page, run::Message};

/// From the end of a worker's words to its own end: a worker that leaves takes no longer.
const SILENT: Duration = Duration::from_secs(5);

/// What a dead worker said lies in its socket; nobody else writes there.
const REST: Duration = Duration::from_millis(200);

/// How to reach a worker.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) orders: UnboundedSender<Order>,
    /// None: it lives where it cannot be seen.
    pub(crate) pid: Option<i32>,
}

/// What is to be done with a worker.
#[derive(Debug)]
pub(crate) enum Order {
    Tell(ToWorker),
    Kill,
}

/// A worker that has just been started.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub(crate) worker: i64,
    pub(crate) child: Child,
    pub(crate) control: Frames,
    /// What it writes on stdout and stderr.
    pub(crate) output: pipe::Receiver,
    pub(crate) page: Page,
    pub(crate) remains: Remains,
}

/// Attends to it until its end.
pub(crate) async fn attend(
    mut newborn: Newborn,
    mut orders: UnboundedReceiver<Order>,
    inbox: UnboundedSender<Message>,
) {
    let mut words = LastWords::default();
    let exit = live(&mut newborn, &mut orders, &mut words, &inbox).await;
    let Newborn { worker, mut control, mut output, page, mut remains, .. } = newborn;
    while let Ok(Some(message)) = timeout(REST, hear(worker, &mut control)).await {
        say(&inbox, worker, message);
    }
    while let Ok(true) = timeout(REST, pass_on(&mut output, &mut words)).await {}
    remains.begun = page.begun();
    let last_words = words.told();
    let _ = inbox.send(Message::Ended { worker, exit, last_words, remains });
}

/// None: its end could not be seen.
async fn live(
    newborn: &mut Newborn,
    orders: &mut UnboundedReceiver<Order>,
    words: &mut LastWords,
    inbox: &UnboundedSender<Message>,
) -> Option<Exit> {
    let Newborn { worker, child, control, output, .. } = newborn;
    let mut silent_since = None;
    let mut writes = true;
    loop {
        tokio::select! {
            exit = child.wait() => match exit {
                Ok(exit) => return Some(exit),
                Err(error) => {
                    tracing::error!("worker {worker} cannot be waited for: {error}");
                    until_unseen(&child.identity()).await;
                    return None;
                }
            },
            message = hear(*worker, control), if silent_since.is_none() => match message {
                Some(message) => say(inbox, *worker, message),
                None => silent_since = Some(Instant::now()),
            },
            Some(order) = orders.recv() => match order {
                Order::Tell(message) => tell(*worker, control, &message),
                Order::Kill => strike(child.signal(Signal::SIGKILL), child.pid()),
            },
            more = pass_on(output, words), if writes => writes = more,
            () = sleep_until(silent_since.unwrap_or_else(Instant::now) + SILENT),
                if silent_since.is_some() =>
            {
                tracing::error!("worker {worker} does not speak any more and is killed");
                strike(child.signal(Signal::SIGKILL), child.pid());
                silent_since = Some(Instant::now());
            }
        }
    }
}

/// Where a process can only be looked for.
pub(crate) async fn until_unseen(identity: &Identity) {
    while identity.is_alive() {
        sleep(Duration::from_secs(1)).await;
    }
}

/// A process that cannot be killed is heard of again when its end does not come.
pub(crate) fn strike(struck: io::Result<()>, pid: i32) {
    if let Err(error) = struck {
        tracing::error!("pid {pid} cannot be killed: {error}");
    }
}

/// Says something to a worker.
pub(crate) fn tell(worker: i64, control: &mut Frames, message: &ToWorker) {
    if let Err(error) = control.send(message, &[]) {
        tracing::error!("worker {worker} cannot be told: {error}");
    }
}

fn say(inbox: &UnboundedSender<Message>, worker: i64, message: FromWorker) {
    let _ = inbox.send(Message::Event(Event::Said(worker, message)));
}

/// Its next word; none when there will be no more.
async fn hear(worker: i64, control: &mut Frames) -> Option<FromWorker> {
    match control.next().await {
        Ok(frame) => frame?.message().map_or_else(
            |error| {
                tracing::error!("worker {worker} said what we do not know: {error}");
                None
            },
            Some,
        ),
        Err(error) => {
            tracing::error!("worker {worker} cannot be heard: {error}");
            None
        }
    }
}

/// What it writes itself goes where we write; false at the end.
async fn pass_on(output: &mut pipe::Receiver, words: &mut LastWords) -> bool {
    use std::io::Write as _;
    let mut buffer = [0; 4096];
    if output.readable().await.is_err() {
        return false;
    }
    match output.try_read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => {
            words.push(&buffer[..count]);
            // Nobody may be reading: the monitor goes on all the same.
            drop(io::stderr().write_all(&buffer[..count]));
            true
        }
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}
