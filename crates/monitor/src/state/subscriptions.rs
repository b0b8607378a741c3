//! Subscriptions: the domains for which a monitor asks to be notified, because a worker of the domain is
//! idle. The database keeps them in the column `wants`.
//!
//! A busy queue must pay nothing for notifications, and no task may be missed. So a domain is
//! published when its first worker is idle, and once that is committed, that worker looks for a task
//! again: it sees every task that was committed before, and every transaction that reads the
//! subscriptions from then on notifies. A transaction that has read them before, and commits after the
//! worker looked, does not notify: the regular poll finds its task within a second. A domain is
//! withdrawn lazily: by a regular poll, if no worker of the domain was idle since the previous one.

use std::collections::BTreeSet;

/// A set of domains.
pub(crate) type Domains = BTreeSet<String>;

/// The subscriptions that the database was told, and is being told by at most one statement.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// The domains that are known to be committed.
    published: Domains,
    /// The domains that are being sent.
    sent: Option<Domains>,
    /// The domains with a worker that was idle at some time since the last regular poll.
    lately_idle: Domains,
}

impl Subscriptions {
    /// A worker of this domain is idle.
    pub(crate) fn note_idle(&mut self, domain: &str) {
        if !self.lately_idle.contains(domain) {
            self.lately_idle.insert(domain.to_owned());
        }
    }

    /// The domains that are to be published at once, if any, when these have an idle worker.
    pub(crate) fn publish(&mut self, idle: &Domains) -> Option<Vec<String>> {
        if self.sent.is_some() || idle.is_subset(&self.published) {
            return None;
        }
        Some(self.send(self.published.union(idle).cloned().collect()))
    }

    /// The domains that a regular poll is to tell, when these have an idle worker; `None` while another
    /// statement is on its way.
    pub(crate) fn tell(&mut self, idle: &Domains) -> Option<Vec<String>> {
        if self.sent.is_some() {
            return None;
        }
        let kept = self.published.intersection(&self.lately_idle);
        let all = kept.chain(idle).cloned().collect();
        self.lately_idle.clone_from(idle);
        Some(self.send(all))
    }

    /// The domains that were sent are committed, or (`false`) it is not known whether they are. Returns
    /// the domains that are subscribed from now on and were not before: one idle worker of each is to
    /// look once more.
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

    fn idle(subscriptions: &mut Subscriptions, names: &[&str]) -> Domains {
        for name in names {
            subscriptions.note_idle(name);
        }
        domains(names)
    }

    #[test]
    fn an_idle_worker_is_published_once_and_looks_again_after_the_commit() {
        let mut subscriptions = Subscriptions::default();
        let now_idle = idle(&mut subscriptions, &["default"]);
        assert_eq!(subscriptions.publish(&now_idle), Some(vec!["default".to_owned()]));
        assert_eq!(subscriptions.publish(&now_idle), None, "it is on its way");
        assert_eq!(subscriptions.answered(true), ["default"]);
        assert_eq!(subscriptions.publish(&now_idle), None, "it is there");
        assert_eq!(subscriptions.publish(&domains(&[])), None, "busy for a moment");
        assert_eq!(subscriptions.publish(&now_idle), None, "and idle again");
    }

    #[test]
    fn a_domain_is_withdrawn_by_the_second_poll_without_an_idle_worker() {
        let mut subscriptions = Subscriptions::default();
        let both = idle(&mut subscriptions, &["default", "images"]);
        subscriptions.publish(&both);
        subscriptions.answered(true);
        let one = domains(&["images"]);
        assert_eq!(
            subscriptions.tell(&one).unwrap(),
            ["default", "images"],
            "idle since the last poll"
        );
        assert!(subscriptions.answered(true).is_empty());
        assert_eq!(subscriptions.tell(&one).unwrap(), ["images"]);
        assert!(subscriptions.answered(true).is_empty());
        let again = idle(&mut subscriptions, &["default", "images"]);
        assert_eq!(subscriptions.publish(&again).unwrap(), ["default", "images"]);
        assert_eq!(subscriptions.answered(true), ["default"]);
    }

    #[test]
    fn what_becomes_idle_while_a_withdrawal_is_on_its_way_is_published_after_it() {
        let mut subscriptions = Subscriptions::default();
        let first = idle(&mut subscriptions, &["default"]);
        subscriptions.publish(&first);
        subscriptions.answered(true);
        subscriptions.tell(&domains(&[]));
        subscriptions.answered(true);
        assert_eq!(subscriptions.tell(&domains(&[])), Some(vec![]), "withdrawn");
        let again = idle(&mut subscriptions, &["default"]);
        assert_eq!(subscriptions.publish(&again), None);
        assert!(subscriptions.answered(true).is_empty());
        assert_eq!(subscriptions.publish(&again), Some(vec!["default".to_owned()]));
        assert_eq!(subscriptions.answered(true), ["default"]);
    }

    #[test]
    fn after_a_lost_answer_everything_is_published_anew() {
        let mut subscriptions = Subscriptions::default();
        let now_idle = idle(&mut subscriptions, &["default"]);
        subscriptions.publish(&now_idle);
        assert!(subscriptions.answered(false).is_empty());
        assert_eq!(subscriptions.publish(&now_idle), Some(vec!["default".to_owned()]));
        assert_eq!(subscriptions.answered(true), ["default"]);
        subscriptions.tell(&now_idle);
        subscriptions.answered(false);
        assert_eq!(subscriptions.tell(&now_idle), Some(vec!["default".to_owned()]));
        assert_eq!(subscriptions.answered(true), ["default"], "notifications may have been missed");
    }
}
