//! What every domain has, some of them of their own.

use std::collections::BTreeMap;

/// What every domain has.
#[derive(Debug, Clone, Default)]
pub struct ByDomain<T> {
    /// Of those that have nothing of their own.
    pub usual: T,
    /// The others, by name.
    pub own: BTreeMap<String, T>,
}

impl<T> ByDomain<T> {
    /// What this domain has.
    pub(crate) fn of(&self, domain: &str) -> &T {
        self.own.get(domain).unwrap_or(&self.usual)
    }

    /// What follows from it.
    pub(crate) fn map<U>(&self, follows: impl Fn(&T) -> U) -> ByDomain<U> {
        let own = self.own.iter().map(|(domain, one)| (domain.clone(), follows(one)));
        ByDomain { usual: follows(&self.usual), own: own.collect() }
    }
}
