//! Waking workers: how a hint reaches one.
//!
//! A hint wakes one idle worker; when that one has found a task, the next one is woken, since many
//! tasks that are scheduled together are notified once. A hint for which no worker is idle is kept for
//! the first one that is.

use rework_wire::worker::ToWorker;

use crate::{
    event::{Action, Hint},
    state::{State, worker::Doing},
};

impl State {
    /// A worker looked and found nothing.
    pub(crate) fn is_idle(&mut self, id: i64) {
        self.does(id, Doing::Idle);
        let Some(worker) = self.workers.get(&id).filter(|worker| worker.is_idle()) else { return };
        let domain = worker.domain.clone();
        self.subscriptions.note_idle(&domain);
        self.publish();
        if self.pools.get_mut(&domain).is_some_and(|pool| std::mem::take(&mut pool.hint)) {
            self.wake(id);
        }
    }

    /// A worker has found a task.
    pub(crate) fn is_busy(&mut self, id: i64) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let was_woken = worker.doing == Doing::Looking { woken: true };
        worker.doing = Doing::Busy;
        let domain = worker.domain.clone();
        if was_woken {
            self.wake_one(&domain);
        }
    }

    /// A notification has come.
    pub(crate) fn hinted(&mut self, hint: Hint) {
        let Hint::Ready(domain) = hint else {
            self.actions.push(Action::Poll);
            return;
        };
        if !self.pools.contains_key(&domain) || self.wake_one(&domain) {
            return;
        }
        let may_grow = self.size(&domain) < self.bounds.of(&domain).max;
        if let Some(pool) = self.pools.get_mut(&domain) {
            pool.hint = true;
        }
        if may_grow {
            self.actions.push(Action::Poll);
        }
    }

    /// The subscriptions that were sent are committed, or it is not known whether they are.
    pub(crate) fn published(&mut self, committed: bool) {
        for domain in self.subscriptions.answered(committed) {
            self.wake_one(&domain);
        }
        if committed {
            self.publish();
        }
    }

    /// Wakes an idle worker of a domain, if there is one.
    pub(crate) fn wake_one(&mut self, domain: &str) -> bool {
        let mut workers = self.workers.iter();
        let idle = workers.find(|(_, worker)| worker.is_idle() && worker.domain == domain);
        let Some(id) = idle.map(|(id, _)| *id) else { return false };
        self.wake(id);
        true
    }

    fn wake(&mut self, id: i64) {
        self.does(id, Doing::Looking { woken: true });
        self.actions.push(Action::Tell(id, ToWorker::Wake));
    }

    fn publish(&mut self) {
        if self.drain.is_none()
            && let Some(domains) = self.subscriptions.publish(&self.idle_domains())
        {
            self.actions.push(Action::Publish(domains));
        }
    }
}
