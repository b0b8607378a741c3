//! What a monitor does: each action of its state, carried out. Nothing is decided here, and
//! nothing waits: what takes time goes on beside the loop and reports to the inbox.

use std::{
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use rework_core::{
    db::connect::Db,
    fleet::{self, heartbeat::Ask, monitor, worker},
};
use rework_process::{SelfKill, boot_time};
use rework_wire::lease::Moment;
use tokio::{sync::mpsc::UnboundedSender, task::spawn_local};

use crate::{
    attend::{Hand, Order},
    close::{self, Remains},
    closing::Closing,
    errand::{self, Errand},
    event::{Action, Event, Look},
    link::Link,
    look::Question,
    options::Options,
    run::Message,
    spawn::{self, Nursery},
    twin::Seat,
    usage::Usage,
};

/// What a dead worker was is kept as long as a claim of it may come to light, and longer.
const REMEMBERED: Duration = Duration::from_secs(120);

/// The monitor's hands.
#[derive(Debug)]
pub(crate) struct Effects {
    pub(crate) options: Options,
    pub(crate) seat: Seat,
    pub(crate) link: Link,
    pub(crate) nursery: Rc<Nursery>,
    pub(crate) inbox: UnboundedSender<Message>,
    hands: HashMap<i64, Hand>,
    remains: HashMap<i64, (Remains, Instant)>,
    closings: HashMap<i64, Closing>,
    usage: Usage,
    renewed_at: Option<Instant>,
    firing: Errand,
    sweeping: Errand,
    taking: Errand,
    self_kill: SelfKill,
}

impl Effects {
    pub(crate) fn new(
        options: Options,
        seat: Seat,
        link: Link,
        nursery: Nursery,
        inbox: UnboundedSender<Message>,
        self_kill: SelfKill,
    ) -> Effects {
        Effects {
            options,
            seat,
            link,
            nursery: Rc::new(nursery),
            inbox,
            hands: HashMap::new(),
            remains: HashMap::new(),
            closings: HashMap::new(),
            usage: Usage::default(),
            renewed_at: None,
            firing: Errand::default(),
            sweeping: Errand::default(),
            taking: Errand::default(),
            self_kill,
        }
    }

    /// A worker is there.
    pub(crate) fn take_hand(&mut self, worker: i64, hand: Hand) {
        self.hands.insert(worker, hand);
    }

    /// A worker is dead.
    pub(crate) fn take_remains(&mut self, worker: i64, remains: Remains, now: Instant) {
        self.hands.remove(&worker);
        self.remains.retain(|_, (_, since)| now.duration_since(*since) < REMEMBERED);
        self.closings.retain(|worker, _| self.remains.contains_key(worker));
        self.remains.insert(worker, (remains, now));
    }

    /// Carries out one action. [`Action::Look`] and [`Action::Finish`] are the loop's own.
    pub(crate) fn perform(&mut self, action: Action) {
        match action {
            Action::Tell(worker, message) => self.order(worker, Order::Tell(message)),
            Action::Kill(worker) => self.order(worker, Order::Kill),
            Action::NoteUp(id) => {
                self.aside("record that a worker is up", async move |db| worker::up(db, id).await);
            }
            Action::Spawn { domain, count } => {
                let (nursery, link) = (Rc::clone(&self.nursery), self.link.clone());
                spawn_local(spawn::spawn(nursery, link, domain, count, self.inbox.clone()));
            }
            Action::Close { worker, closing } => self.close(worker, closing),
            Action::CloseAgain(worker) => self.close_again(worker),
            Action::Publish(domains) => self.publish(domains),
            Action::Fire(domains) => {
                let fire = async move |db: &Db| errand::fire_schedules(db, &domains).await;
                self.firing.begin("fire schedules", self.link.now(), fire);
            }
            Action::TakeLeases(dead) => {
                let take = async move |db: &Db| errand::take_leases(db, &dead).await;
                self.taking.begin("take leases away", self.link.now(), take);
            }
            Action::Sweep => {
                let sweep = async |db: &Db| errand::sweep_up(db).await;
                self.sweeping.begin("sweep after lost hosts", self.link.now(), sweep);
            }
            Action::Arm(until) => self.arm(until),
            Action::Take(domains) => self.take_domains(domains),
            Action::Look | Action::Finish(_) => {}
        }
    }

    fn arm(&mut self, until: Option<Moment>) {
        let armed = match until {
            Some(until) => {
                self.nursery.lease_until(until);
                self.self_kill.arm(until)
            }
            None => self.self_kill.disarm(),
        };
        if let Err(error) = armed {
            tracing::error!("the kernel's timer cannot be set: {error}");
        }
    }

    /// Looks at the database, and says what it saw. A database that is away has nothing to see.
    pub(crate) fn look(&mut self, question: Question, standing: bool, now: Instant) {
        let told_wants = question.wants.is_some();
        let Some(db) = self.link.now() else {
            self.usage.forget();
            let _ = self
                .inbox
                .send(Message::Event(Event::Seen(Look { told_wants, ..Look::default() })));
            return;
        };
        let every = self.options.lease.renew_every();
        let renewed = self.renewed_at.is_none_or(|at| now.duration_since(at) >= every);
        let measured = if standing { self.usage.measure(&self.pids(), now) } else { Vec::new() };
        let ask = Ask {
            monitor: self.seat.monitor,
            lease: self.seat.lease,
            terms: self.options.lease,
            renew: renewed,
            wants: question.wants,
            workers: question.workers,
            measured,
            dead: question.dead,
            host: self.options.host.clone(),
            capabilities: self.options.capabilities.clone(),
            count: question.count,
            beyond: self.options.domains.is_empty().then_some(question.domains),
            abort_all: question.abort_all,
            fires: question.fires,
            watches: standing,
        };
        if renewed {
            // From when it was sent: the lease may be counted from then.
            self.renewed_at = Some(now);
        }
        let (inbox, sent_at) = (self.inbox.clone(), boot_time());
        spawn_local(async move {
            let answer = fleet::heartbeat::tick(&db, &ask).await.inspect_err(|error| {
                if !error.is_connection() {
                    tracing::error!("the database cannot be looked at: {error}");
                }
            });
            let (seen_at, answer) = (boot_time(), answer.ok());
            let look = Look { standing, renewed, told_wants, sent_at, seen_at, answer };
            let _ = inbox.send(Message::Event(Event::Seen(look)));
        });
    }

    /// After a look that was lost, the next one renews.
    pub(crate) fn look_was_lost(&mut self) {
        self.renewed_at = None;
        self.usage.forget();
    }

    fn pids(&self) -> Vec<(i64, i32)> {
        self.hands.iter().filter_map(|(worker, hand)| Some((*worker, hand.pid?))).collect()
    }

    fn order(&self, worker: i64, order: Order) {
        if let Some(hand) = self.hands.get(&worker) {
            let _ = hand.orders.send(order);
        }
    }

    fn close(&mut self, worker: i64, closing: Closing) {
        let Some((remains, _)) = self.remains.get(&worker) else { return };
        self.closings.insert(worker, closing.clone());
        let (link, remains, inbox) = (self.link.clone(), remains.clone(), self.inbox.clone());
        spawn_local(close::close(link, worker, remains, closing, inbox));
    }

    fn close_again(&self, worker: i64) {
        let (Some((remains, _)), Some(closing)) =
            (self.remains.get(&worker), self.closings.get(&worker))
        else {
            return;
        };
        let (link, remains, closing) = (self.link.clone(), remains.clone(), closing.clone());
        spawn_local(async move { close::record(&link, worker, &remains, &closing).await });
    }

    fn publish(&self, domains: Vec<String>) {
        let (db, inbox, id) = (self.link.now(), self.inbox.clone(), self.seat.monitor);
        spawn_local(async move {
            let committed = match db {
                Some(db) => monitor::publish_wants(&db, id, &domains).await.is_ok(),
                None => false,
            };
            let _ = inbox.send(Message::Event(Event::Published(committed)));
        });
    }

    /// In a transaction, so on a connection of its own.
    fn take_domains(&self, wished: Vec<String>) {
        let (dsn, inbox) = (self.options.dsn.clone(), self.inbox.clone());
        let (id, host) = (self.seat.monitor, self.options.host.clone());
        spawn_local(async move {
            let taken = async {
                let mut db = Db::connect(&dsn, &format!("rework monitor {id}")).await?;
                monitor::take_domains(&mut db, id, &host, &wished).await
            };
            match taken.await {
                Ok(domains) => {
                    let _ = inbox.send(Message::Event(Event::Serves(domains)));
                }
                Err(error) => tracing::warn!("new domains cannot be served yet: {error}"),
            }
        });
    }

    fn aside(
        &self,
        what: &'static str,
        action: impl AsyncFn(&Db) -> rework_core::db::error::Result<()> + 'static,
    ) {
        let link = self.link.clone();
        spawn_local(async move { link.persist(what, action).await });
    }
}
