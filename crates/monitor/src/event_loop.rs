//! The event loop of a monitor. It waits for the next message or deadline, lets the state decide, has the actions
//! carried out, and polls the database when that is due.

use std::time::Instant;

use rework_process::{boot_time, reap_adopted};
use tokio::{sync::mpsc::UnboundedReceiver, time::sleep_until};

use crate::{
    effects::Effects,
    event::{Action, Event, Finish},
    exit::exit,
    health::Health,
    hourly::Hourly,
    inbox::Message,
    options::{MonitorEnd, PoolOptions},
    poll_timer::PollTimer,
    state::{State, drain::Drain, own_lease::OwnLease},
    systemd,
};

/// A registered monitor with everything that it needs to run.
#[derive(Debug)]
pub(crate) struct EventLoop {
    effects: Effects,
    state: State,
    poll_timer: PollTimer,
    hourly: Hourly,
    health: Health,
}

impl EventLoop {
    pub(crate) fn new(mut effects: Effects, health: Health) -> EventLoop {
        let (options, registration) = (&effects.options, &effects.registration);
        let own_lease = OwnLease::new(options.lease, registration.sent_at);
        let until = own_lease.until();
        let state = State::new(
            options.pool_options.map(PoolOptions::bounds),
            options.start_timeout,
            options.shutdown_grace,
            registration.domains.clone(),
            own_lease,
        );
        let now = Instant::now();
        let poll_timer = PollTimer::new(options.lease.poll_interval(), now);
        let hourly = Hourly::new(options.dsn.clone(), options.vacuum, now);
        effects.perform(Action::ArmSelfKill(Some(until)));
        EventLoop { effects, state, poll_timer, hourly, health }
    }

    /// Runs until the monitor has drained, or until all workers under its lost lease have ended.
    pub(crate) async fn run(mut self, mut messages: UnboundedReceiver<Message>) -> MonitorEnd {
        loop {
            let message = self.next(&mut messages).await;
            let now = Instant::now();
            if let Some(message) = message {
                self.handle(message, now);
            }
            self.state.on_time(now);
            self.state.own_lease_on_time(boot_time(), now);
            if let Some(finish) = self.perform_actions() {
                let drain = self.state.drain.as_ref();
                let is_hurried = drain.is_some_and(Drain::is_hurried);
                let reexec = drain.is_some_and(Drain::reexec);
                return exit(&self.effects, &finish, is_hurried, reexec, &mut messages).await;
            }
            self.poll_if_due(now);
        }
    }

    /// Waits for the next message. `None` if a deadline comes first.
    async fn next(&self, messages: &mut UnboundedReceiver<Message>) -> Option<Message> {
        let deadline = self.deadline();
        tokio::select! {
            biased;
            message = messages.recv() => message,
            () = sleep_until_some(deadline) => None,
        }
    }

    /// Returns the next moment at which the monitor must act, even if no message arrives. `None` if
    /// it only waits for messages.
    fn deadline(&self) -> Option<Instant> {
        let lease_left = self.state.own_lease.ends_at().saturating_sub(boot_time());
        let lease_end = (!self.state.lease_ended()).then(|| Instant::now() + lease_left);
        [self.poll_timer.due(), self.state.deadline(), lease_end].into_iter().flatten().min()
    }

    fn handle(&mut self, message: Message, now: Instant) {
        let event = self.unpack(message, now);
        let has_reply = match &event {
            Event::Polled(poll) => Some(poll.reply.is_some()),
            _ => None,
        };
        if let Event::Signal(signal) = event {
            systemd::ending_or_reloading(signal);
        }
        self.state.apply(event, now);
        if let Some(has_reply) = has_reply {
            self.health.set(self.state.health_status(has_reply, now));
        }
    }

    /// Passes handles and leftovers in a message to the effects, and returns the event in it.
    fn unpack(&mut self, message: Message, now: Instant) -> Event {
        match message {
            Message::Event(event) => {
                if let Event::Polled(poll) = &event {
                    self.poll_timer.finish();
                    self.effects.poll_ended(poll, now);
                }
                event
            }
            Message::Started { worker, domain, handle } => {
                self.effects.add_handle(worker, handle);
                Event::Started { worker, domain }
            }
            Message::Adopted { worker, domain, handle } => {
                self.effects.add_handle(worker, handle);
                Event::Adopted { worker, domain }
            }
            Message::Ended { worker, exit, output_tail, leftovers } => {
                self.effects.add_leftovers(worker, leftovers, now);
                Event::Ended { worker, exit, output_tail }
            }
        }
    }

    /// Carries out the actions of the state. Returns the reason of the end if one of them is
    /// [`Action::Finish`], otherwise `None`.
    fn perform_actions(&mut self) -> Option<Finish> {
        for action in std::mem::take(&mut self.state.actions) {
            match action {
                Action::PollNow => self.poll_timer.request(),
                Action::Finish(finish) => return Some(finish),
                action => self.effects.perform(action),
            }
        }
        None
    }

    fn poll_if_due(&mut self, now: Instant) {
        let Some(regular) = self.poll_timer.start(now) else { return };
        if regular {
            reap_adopted();
            self.hourly.on_time(self.state.pools.keys().cloned(), now);
        }
        let plan = self.state.poll_plan(regular);
        self.effects.poll(plan, regular, now);
    }
}

async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
