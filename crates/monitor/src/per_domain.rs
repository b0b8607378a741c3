//! A value for each domain: the same for all, except for those that have one of their own. How many workers a domain gets is
//! decided in `state/pool_size.rs`.

use std::collections::BTreeMap;

/// A value for each domain.
#[derive(Debug, Clone, Default)]
pub struct PerDomain<T> {
    /// The value of the domains that have none of their own.
    pub usual: T,
    /// The values of the others, by name.
    pub own: BTreeMap<String, T>,
}

impl<T> PerDomain<T> {
    /// The value of this domain.
    pub(crate) fn of(&self, domain: &str) -> &T {
        self.own.get(domain).unwrap_or(&self.usual)
    }

    /// The same domains with values that follow from these.
    pub(crate) fn map<U>(&self, follows: impl Fn(&T) -> U) -> PerDomain<U> {
        let own = self.own.iter().map(|(domain, one)| (domain.clone(), follows(one)));
        PerDomain { usual: follows(&self.usual), own: own.collect() }
    }
}
