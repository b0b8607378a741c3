//! Pauses of users. The database gives the workers no task of what is paused. Runs that a worker has claimed before,
//! and that have not started, go back to the queue. When all workers have confirmed that, the monitor stores in its row
//! which pauses it has carried out. The command `rework pause` waits for that.

use std::collections::BTreeSet;

use rework_core::fleet::monitor_poll::{HostPause, PollReply};
use rework_wire::worker::Paused;

use crate::{event::Action, state::State};

/// The pauses that concern this host, and how far they are carried out.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    /// The pauses of the last poll, oldest first.
    current: Vec<HostPause>,
    /// How often `current` has changed.
    number: u64,
    /// The workers that may still start a run of what is paused: they have not confirmed the last change, or they have
    /// died and their processes may still run.
    waits_for: BTreeSet<i64>,
    /// The ids of the pauses that are stored as carried out.
    recorded: Vec<i64>,
}

impl Pauses {
    /// Returns whether the pauses have ever changed since the start of the monitor.
    pub(super) fn has_changed(&self) -> bool {
        self.number > 0
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns what is paused in a domain.
    pub(super) fn of(&self, domain: &str) -> Paused {
        let in_domain = self.current.iter().filter(|pause| concerns(pause, domain));
        let mut paused = Paused::default();
        for pause in in_domain {
            match pause.operation {
                Some(operation) => paused.operations.push(operation),
                None => paused.everything = true,
            }
        }
        paused
    }

    fn ids(&self) -> Vec<i64> {
        self.current.iter().map(|pause| pause.id).collect()
    }
}

fn concerns(pause: &HostPause, domain: &str) -> bool {
    pause.domain.as_deref().is_none_or(|paused| paused == domain)
}

impl State {
    /// Lets the workers carry out a change of the pauses.
    pub(super) fn follow_pauses(&mut self, reply: &PollReply) {
        if reply.pauses == self.pauses.current {
            return;
        }
        let former = std::mem::replace(&mut self.pauses.current, reply.pauses.clone());
        self.pauses.number += 1;
        let own = self.workers.iter().filter(|(_, worker)| !worker.is_orphan());
        let own: BTreeSet<i64> = own.map(|(id, _)| *id).collect();
        self.pauses.waits_for = &own | &self.cleaning_up;
        self.send_exclusions();
        self.record_pauses();
        let ended = former.into_iter().filter(|pause| !reply.pauses.contains(pause));
        self.wake_resumed(&ended.collect::<Vec<_>>());
    }

    /// Lets workers claim what was resumed. They have received before that it is not paused any more.
    fn wake_resumed(&mut self, ended: &[HostPause]) {
        let is_resumed = |domain: &&String| ended.iter().any(|pause| concerns(pause, domain));
        let resumed: Vec<String> = self.pools.keys().filter(is_resumed).cloned().collect();
        for domain in resumed {
            if !self.wake_one(&domain) {
                self.actions.push(Action::PollNow);
            }
        }
    }

    /// Adds a worker that has just started. It may have claimed tasks before a pause that is not carried out yet.
    pub(super) fn pauses_reach(&mut self, worker: i64) {
        if self.pauses.ids() != self.pauses.recorded {
            self.pauses.waits_for.insert(worker);
        }
    }

    /// Handles that a worker has carried out a change of the pauses.
    pub(super) fn pauses_confirmed(&mut self, worker: i64, number: u64) {
        if number == self.pauses.number {
            self.starts_nothing_paused(worker);
        }
    }

    /// Notes that a worker can start no run of what is paused.
    pub(super) fn starts_nothing_paused(&mut self, worker: i64) {
        if self.pauses.waits_for.remove(&worker) {
            self.record_pauses();
        }
    }

    /// Stores which pauses are carried out, if all are and that is not stored yet. A worker that is being started may
    /// have claimed tasks although it is not known yet.
    pub(super) fn record_pauses(&mut self) {
        let is_spawning = self.pools.values().any(|pool| pool.spawning > 0);
        let ids = self.pauses.ids();
        if !is_spawning && self.pauses.waits_for.is_empty() && ids != self.pauses.recorded {
            self.actions.push(Action::RecordPauses(ids));
        }
    }

    /// Handles that these pauses are stored as carried out.
    pub(super) fn pauses_recorded(&mut self, ids: Vec<i64>) {
        self.pauses.recorded = ids;
    }
}

#[cfg(test)]
mod tests {
    use rework_wire::worker::FromWorker;

    use super::super::scene::Scene;
    use super::*;
    use crate::event::Event;

    fn pause(id: i64, domain: Option<&str>, operation: Option<i64>) -> HostPause {
        HostPause { id, domain: domain.map(str::to_owned), operation }
    }

    fn poll(scene: &mut Scene, pauses: &[HostPause]) -> Vec<String> {
        scene.poll_gets(PollReply { pauses: pauses.to_vec(), ..PollReply::default() })
    }

    fn confirms(scene: &mut Scene, worker: i64, number: u64) -> Vec<String> {
        scene.worker_sends(worker, FromWorker::PausesConfirmed { number })
    }

    #[test]
    fn a_pause_is_stored_when_all_workers_have_carried_it_out_and_resuming_wakes_a_worker() {
        let mut scene = Scene::idle(2);
        let paused = [pause(5, Some("default"), Some(7))];
        assert_eq!(poll(&mut scene, &paused), ["pause [7] on 1", "pause [7] on 2"]);
        assert!(poll(&mut scene, &paused).is_empty(), "no change");
        assert!(confirms(&mut scene, 1, 1).is_empty(), "worker 2 has not");
        assert!(confirms(&mut scene, 2, 0).is_empty(), "an earlier change");
        assert_eq!(confirms(&mut scene, 2, 1), ["store pauses [5]"]);
        assert_eq!(poll(&mut scene, &paused), ["store pauses [5]"], "the database did not answer");
        scene.apply(Event::PausesRecorded(vec![5]));
        assert!(poll(&mut scene, &paused).is_empty());
        let resumed = ["exclude nothing on 1", "exclude nothing on 2", "wake 1"];
        assert_eq!(poll(&mut scene, &[]), resumed);
    }

    #[test]
    fn a_pause_waits_for_the_processes_of_a_dead_worker_and_for_workers_that_are_being_started() {
        let mut scene = Scene::new(1, 2);
        assert_eq!(scene.poll_counts(0), ["spawn 1"]);
        let paused = [pause(5, None, None)];
        assert!(poll(&mut scene, &paused).is_empty(), "no worker is known");
        assert_eq!(scene.starts_worker(1), ["pause everything on 1"]);
        scene.worker_dies(1);
        assert!(confirms(&mut scene, 1, 0).is_empty());
        let gone = scene.apply(Event::ProcessesGone(1));
        assert_eq!(gone, ["store pauses [5]"]);
        scene.apply(Event::PausesRecorded(vec![5]));
        assert_eq!(scene.starts_worker(2), ["pause everything on 2"]);
        assert!(confirms(&mut scene, 2, 1).is_empty(), "it started after the pause");
    }

    #[test]
    fn a_domain_is_paused_as_a_whole_or_by_operations() {
        let current = vec![pause(1, Some("images"), None), pause(2, Some("default"), Some(7))];
        let pauses = Pauses { current, ..Pauses::default() };
        assert_eq!(pauses.of("images"), Paused { everything: true, operations: vec![] });
        assert_eq!(pauses.of("default"), Paused { everything: false, operations: vec![7] });
        assert!(pauses.of("other").is_empty());
    }
}
