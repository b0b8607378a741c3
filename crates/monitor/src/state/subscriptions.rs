//! Subscriptions: the domains for which a monitor wants notifications, because a worker of the domain is idle. The
//! database stores them in the column `monitor.idle_domains`.
//!
//! A busy queue must not pay for notifications, and no task may be missed. So a domain is published when its first
//! worker becomes idle. Once that is committed, the worker tries to claim again. This attempt finds every task that was
//! committed before. Every transaction that reads the subscriptions after the commit sends a notification. A
//! transaction that has read them before and commits after the attempt sends none; the regular poll finds its task
//! within a second.
//!
//! A domain is withdrawn lazily: by a regular poll, if no worker of the domain was idle since the previous one.

use std::collections::BTreeSet;

/// A set of domains, by name.
pub(crate) type Domains = BTreeSet<String>;

/// The subscriptions that are stored in the database, and those that are being sent. At most one statement sends them
/// at a time.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// The domains that are known to be committed.
    published: Domains,
    /// The domains that are being sent. `None` if no statement is in flight.
    sent: Option<Domains>,
    /// The domains with a worker that was idle at some time since the last regular poll.
    recently_idle: Domains,
}

impl Subscriptions {
    /// Records that a worker of this domain is idle.
    pub(crate) fn record_idle(&mut self, domain: &str) {
        if !self.recently_idle.contains(domain) {
            self.recently_idle.insert(domain.to_owned());
        }
    }

    /// Returns the domains to send at once, given those with an idle worker. `None` if all of them are published, or if
    /// another statement is in flight.
    pub(crate) fn publish(&mut self, idle: &Domains) -> Option<Vec<String>> {
        if self.sent.is_some() || idle.is_subset(&self.published) {
            return None;
        }
        Some(self.send(self.published.union(idle).cloned().collect()))
    }

    /// Returns the domains to send with a regular poll, given those with an idle worker. `None` if another statement is
    /// in flight.
    pub(crate) fn take_for_poll(&mut self, idle: &Domains) -> Option<Vec<String>> {
        if self.sent.is_some() {
            return None;
        }
        let kept = self.published.intersection(&self.recently_idle);
        let all = kept.chain(idle).cloned().collect();
        self.recently_idle.clone_from(idle);
        Some(self.send(all))
    }

    /// Handles the end of the statement. `committed` is `false` if it is not known whether the domains are stored.
    ///
    /// Returns the newly published domains. One idle worker of each must try to claim once more.
    pub(crate) fn confirm(&mut self, committed: bool) -> Vec<String> {
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
            subscriptions.record_idle(name);
        }
        domains(names)
    }

    #[test]
    fn a_domain_is_published_once_and_its_worker_claims_again_after_the_commit() {
        let mut subscriptions = Subscriptions::default();
        let now_idle = idle(&mut subscriptions, &["default"]);
        assert_eq!(subscriptions.publish(&now_idle), Some(vec!["default".to_owned()]));
        assert_eq!(subscriptions.publish(&now_idle), None, "it is being sent");
        assert_eq!(subscriptions.confirm(true), ["default"]);
        assert_eq!(subscriptions.publish(&now_idle), None, "it is published");
        assert_eq!(subscriptions.publish(&domains(&[])), None, "busy for a moment");
        assert_eq!(subscriptions.publish(&now_idle), None, "idle again");
    }

    #[test]
    fn a_domain_is_withdrawn_by_the_second_poll_without_an_idle_worker() {
        let mut subscriptions = Subscriptions::default();
        let both = idle(&mut subscriptions, &["default", "images"]);
        subscriptions.publish(&both);
        subscriptions.confirm(true);
        let one = domains(&["images"]);
        assert_eq!(
            subscriptions.take_for_poll(&one).unwrap(),
            ["default", "images"],
            "idle since the last poll"
        );
        assert!(subscriptions.confirm(true).is_empty());
        assert_eq!(subscriptions.take_for_poll(&one).unwrap(), ["images"]);
        assert!(subscriptions.confirm(true).is_empty());
        let again = idle(&mut subscriptions, &["default", "images"]);
        assert_eq!(subscriptions.publish(&again).unwrap(), ["default", "images"]);
        assert_eq!(subscriptions.confirm(true), ["default"]);
    }

    #[test]
    fn a_domain_that_becomes_idle_during_a_withdrawal_is_published_after_it() {
        let mut subscriptions = Subscriptions::default();
        let first = idle(&mut subscriptions, &["default"]);
        subscriptions.publish(&first);
        subscriptions.confirm(true);
        subscriptions.take_for_poll(&domains(&[]));
        subscriptions.confirm(true);
        assert_eq!(subscriptions.take_for_poll(&domains(&[])), Some(vec![]), "withdrawn");
        let again = idle(&mut subscriptions, &["default"]);
        assert_eq!(subscriptions.publish(&again), None);
        assert!(subscriptions.confirm(true).is_empty());
        assert_eq!(subscriptions.publish(&again), Some(vec!["default".to_owned()]));
        assert_eq!(subscriptions.confirm(true), ["default"]);
    }

    #[test]
    fn after_a_lost_reply_all_domains_are_published_again() {
        let mut subscriptions = Subscriptions::default();
        let now_idle = idle(&mut subscriptions, &["default"]);
        subscriptions.publish(&now_idle);
        assert!(subscriptions.confirm(false).is_empty());
        assert_eq!(subscriptions.publish(&now_idle), Some(vec!["default".to_owned()]));
        assert_eq!(subscriptions.confirm(true), ["default"]);
        subscriptions.take_for_poll(&now_idle);
        subscriptions.confirm(false);
        assert_eq!(subscriptions.take_for_poll(&now_idle), Some(vec!["default".to_owned()]));
        assert_eq!(subscriptions.confirm(true), ["default"], "notifications may have been missed");
    }
}
