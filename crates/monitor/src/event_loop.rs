//! The event loop of a monitor: it waits for the next message or deadline, lets the state decide,
//! has the actions carried out, and polls the database when that is due.

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
    options::{Ended, Keep},
    poll_timer::PollTimer,
    state::{State, drain::Drain, own_lease::OwnLease},
    systemd,
};

/// A monitor that has registered.
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
            options.keep.map(Keep::bounds),
            options.start_timeout,
            options.shutdown_grace,
            registration.domains.clone(),
            own_lease,
        );
        let now = Instant::now();
        let poll_timer = PollTimer::new(options.lease.look_every(), now);
        let hourly = Hourly::new(options.dsn.clone(), options.vacuum, now);
        effects.perform(Action::Arm(Some(until)));
        EventLoop { effects, state, poll_timer, hourly, health }
    }

    /// Runs until the monitor has drained, or nothing lives by its lease any more.
    pub(crate) async fn run(mut self, mut messages: UnboundedReceiver<Message>) -> Ended {
        loop {
            let message = self.next(&mut messages).await;
            let now = Instant::now();
            if let Some(message) = message {
                self.take(message, now);
            }
            self.state.on_time(now);
            self.state.own_lease_on_time(boot_time(), now);
            if let Some(finish) = self.perform_actions() {
                let drain = self.state.drain.as_ref();
                let hurries = drain.is_some_and(Drain::hurries);
                let reexec = drain.is_some_and(Drain::reexec);
                return exit(&self.effects, &finish, hurries, reexec, &mut messages).await;
            }
            self.poll_if_due(now);
        }
    }

    /// The next message; `None` if something is due first.
    async fn next(&self, messages: &mut UnboundedReceiver<Message>) -> Option<Message> {
        let due = self.due();
        tokio::select! {
            biased;
            message = messages.recv() => message,
            () = sleep_until_some(due) => None,
        }
    }

    /// When something is to be done even if nothing happens.
    fn due(&self) -> Option<Instant> {
        let lease_left = self.state.own_lease.ends_at().saturating_sub(boot_time());
        let lease_end = (!self.state.is_over()).then(|| Instant::now() + lease_left);
        [self.poll_timer.due(), self.state.deadline(), lease_end].into_iter().flatten().min()
    }

    fn take(&mut self, message: Message, now: Instant) {
        let event = self.unpack(message, now);
        let answered = match &event {
            Event::Polled(poll) => Some(poll.answer.is_some()),
            _ => None,
        };
        if let Event::Signal(signal) = event {
            systemd::asked(signal);
        }
        self.state.apply(event, now);
        if let Some(answered) = answered {
            self.health.set(self.state.report(answered));
        }
    }

    /// The event in a message, after the effects have taken the rest of it.
    fn unpack(&mut self, message: Message, now: Instant) -> Event {
        match message {
            Message::Event(event) => {
                if let Event::Polled(poll) = &event {
                    self.poll_timer.end();
                    if poll.answer.is_none() {
                        self.effects.poll_failed();
                    }
                }
                event
            }
            Message::Born { worker, domain, handle } => {
                self.effects.take_handle(worker, handle);
                Event::Born { worker, domain }
            }
            Message::Adopted { worker, domain, handle } => {
                self.effects.take_handle(worker, handle);
                Event::Adopted { worker, domain }
            }
            Message::Ended { worker, exit, last_words, leftovers } => {
                self.effects.take_leftovers(worker, leftovers, now);
                Event::Ended { worker, exit, last_words }
            }
        }
    }

    /// Carries out the actions that the state wants; how to finish, if that is one of them.
    fn perform_actions(&mut self) -> Option<Finish> {
        for action in std::mem::take(&mut self.state.actions) {
            match action {
                Action::Poll => self.poll_timer.hint(),
                Action::Finish(finish) => return Some(finish),
                action => self.effects.perform(action),
            }
        }
        None
    }

    fn poll_if_due(&mut self, now: Instant) {
        let Some(regular) = self.poll_timer.begin(now) else { return };
        if regular {
            reap_adopted();
            self.hourly.on_time(self.state.pools.keys().cloned(), now);
        }
        let request = self.state.poll_request(regular);
        self.effects.poll(request, regular, now);
    }
}

async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
