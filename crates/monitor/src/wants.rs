//! Wants: the domains of which a monitor asks to be notified, because a worker of it is idle.
//!
//! A busy queue must pay nothing for notifications, and no task may be missed. So a domain is
//! published when its first worker is idle, and once that is committed, that worker looks again:
//! whatever was committed before was seen by the look, and whoever reads the wants from then on
//! notifies. A transaction that has read them before, and commits after the look, does neither: the
//! tick finds its task within a second. A domain is withdrawn lazily, by a tick since whose
//! predecessor no worker of it was idle.

use std::collections::BTreeSet;

/// A set of domains.
pub(crate) type Domains = BTreeSet<String>;

/// What the database was told, and is being told. Only one statement at a time tells it.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    /// Known to be committed.
    published: Domains,
    /// On its way.
    sent: Option<Domains>,
    /// With a worker that was idle at some time since the last standing tick.
    lately_idle: Domains,
}

impl Wants {
    /// A worker of this domain is idle.
    pub(crate) fn note_idle(&mut self, domain: &str) {
        if !self.lately_idle.contains(domain) {
            self.lately_idle.insert(domain.to_owned());
        }
    }

    /// What is to be published at once, if anything: `idle` holds the domains with an idle worker.
    pub(crate) fn publish(&mut self, idle: &Domains) -> Option<Vec<String>> {
        if self.sent.is_some() || idle.is_subset(&self.published) {
            return None;
        }
        Some(self.send(self.published.union(idle).cloned().collect()))
    }

    /// What a standing tick is to say; none while another statement is on its way.
    pub(crate) fn tell(&mut self, idle: &Domains) -> Option<Vec<String>> {
        if self.sent.is_some() {
            return None;
        }
        let kept = self.published.intersection(&self.lately_idle);
        let all = kept.chain(idle).cloned().collect();
        self.lately_idle.clone_from(idle);
        Some(self.send(all))
    }

    /// What was sent is committed, or (`false`) nobody knows. Gives the domains that are wanted
    /// from now on and were not before: one idle worker of each is to look once more.
    pub(crate) fn answered(&mut self, committed: bool) -> Vec<String> {
        let Some(sent) = self.sent.take() else { return Vec::new() };
        if !committed {
            self.published.clear();
            return Vec::new();
        }
        let new = sent.difference(&self.published).cloned().collect();
        self.published = sent;
        new
    }

    fn send(&mut self, all: Domains) -> Vec<String> {
        let list = all.iter().cloned().collect();
        self.sent = Some(all);
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(names: &[&str]) -> Domains {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn idle(wants: &mut Wants, names: &[&str]) -> Domains {
        for name in names {
            wants.note_idle(name);
        }
        domains(names)
    }

    #[test]
    fn an_idle_worker_is_published_once_and_looks_again_after_the_commit() {
        let mut wants = Wants::default();
        let now_idle = idle(&mut wants, &["default"]);
        assert_eq!(wants.publish(&now_idle), Some(vec!["default".to_owned()]));
        assert_eq!(wants.publish(&now_idle), None, "it is on its way");
        assert_eq!(wants.answered(true), ["default"]);
        assert_eq!(wants.publish(&now_idle), None, "it is there");
        assert_eq!(wants.publish(&domains(&[])), None, "busy for a moment");
        assert_eq!(wants.publish(&now_idle), None, "and idle again");
    }

    #[test]
    fn a_domain_is_withdrawn_by_the_second_tick_without_an_idle_worker() {
        let mut wants = Wants::default();
        let both = idle(&mut wants, &["default", "images"]);
        wants.publish(&both);
        wants.answered(true);
        let one = domains(&["images"]);
        assert_eq!(wants.tell(&one).unwrap(), ["default", "images"], "idle since the last tick");
        assert!(wants.answered(true).is_empty());
        assert_eq!(wants.tell(&one).unwrap(), ["images"]);
        assert!(wants.answered(true).is_empty());
        let again = idle(&mut wants, &["default", "images"]);
        assert_eq!(wants.publish(&again).unwrap(), ["default", "images"]);
        assert_eq!(wants.answered(true), ["default"]);
    }

    #[test]
    fn what_becomes_idle_while_a_withdrawal_is_on_its_way_is_published_after_it() {
        let mut wants = Wants::default();
        let first = idle(&mut wants, &["default"]);
        wants.publish(&first);
        wants.answered(true);
        wants.tell(&domains(&[]));
        wants.answered(true);
        assert_eq!(wants.tell(&domains(&[])), Some(vec![]), "withdrawn");
        let again = idle(&mut wants, &["default"]);
        assert_eq!(wants.publish(&again), None);
        assert!(wants.answered(true).is_empty());
        assert_eq!(wants.publish(&again), Some(vec!["default".to_owned()]));
        assert_eq!(wants.answered(true), ["default"]);
    }

    #[test]
    fn after_a_lost_answer_everything_is_published_anew() {
        let mut wants = Wants::default();
        let now_idle = idle(&mut wants, &["default"]);
        wants.publish(&now_idle);
        assert!(wants.answered(false).is_empty());
        assert_eq!(wants.publish(&now_idle), Some(vec!["default".to_owned()]));
        assert_eq!(wants.answered(true), ["default"]);
        wants.tell(&now_idle);
        wants.answered(false);
        assert_eq!(wants.tell(&now_idle), Some(vec!["default".to_owned()]));
        assert_eq!(wants.answered(true), ["default"], "notifications may have been missed");
    }
}
