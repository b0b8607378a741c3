//! Waking workers after notifications.
//!
//! A notification wakes one idle worker. When that worker has claimed a task, the next one is woken, because many tasks
//! that are scheduled together cause only one notification. If no worker is idle, the notification is kept for the
//! first worker that becomes idle.

use rework_wire::worker::ToWorker;

use crate::{
    event::{Action, Notification},
    state::{State, worker::Activity},
};

impl State {
    /// Handles a worker that tried to claim and found no task.
    pub(crate) fn worker_is_idle(&mut self, id: i64) {
        self.set_activity(id, Activity::Idle);
        let Some(worker) = self.workers.get(&id).filter(|worker| worker.is_idle()) else { return };
        let domain = worker.domain.clone();
        self.subscriptions.record_idle(&domain);
        self.publish();
        let pool = self.pools.get_mut(&domain);
        if pool.is_some_and(|pool| std::mem::take(&mut pool.wake_pending)) {
            self.wake(id);
        }
    }

    /// Handles a worker that has claimed a task.
    pub(crate) fn worker_is_busy(&mut self, id: i64) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let was_woken = worker.activity == Activity::Claiming { woken: true };
        worker.activity = Activity::Busy;
        let domain = worker.domain.clone();
        if was_woken {
            self.wake_one(&domain);
        }
    }

    /// Handles a notification.
    pub(crate) fn notified(&mut self, notification: Notification) {
        let Notification::Ready(domain) = notification else {
            self.actions.push(Action::PollNow);
            return;
        };
        if !self.pools.contains_key(&domain) || self.wake_one(&domain) {
            return;
        }
        let may_grow = self.size(&domain) < self.bounds.of(&domain).max;
        if let Some(pool) = self.pools.get_mut(&domain) {
            pool.wake_pending = true;
        }
        if may_grow {
            self.actions.push(Action::PollNow);
        }
    }

    /// Handles the end of a statement that stored the idle domains. `committed` is `false` if it is not known whether
    /// they are stored.
    pub(crate) fn confirm_subscriptions(&mut self, committed: bool) {
        for domain in self.subscriptions.confirm(committed) {
            self.wake_one(&domain);
        }
        if committed {
            self.publish();
        }
    }

    /// Wakes an idle worker of a domain. Returns whether there was one.
    pub(crate) fn wake_one(&mut self, domain: &str) -> bool {
        let mut workers = self.workers.iter();
        let idle = workers.find(|(_, worker)| worker.is_idle() && worker.domain == domain);
        let Some(id) = idle.map(|(id, _)| *id) else { return false };
        self.wake(id);
        true
    }

    pub(super) fn wake(&mut self, id: i64) {
        self.set_activity(id, Activity::Claiming { woken: true });
        self.actions.push(Action::Send(id, ToWorker::Wake));
    }

    /// Publishes the idle domains if one of them is not published yet.
    fn publish(&mut self) {
        if self.drain.is_none()
            && let Some(domains) = self.subscriptions.publish(&self.idle_domains())
        {
            self.actions.push(Action::PublishIdleDomains(domains));
        }
    }
}
