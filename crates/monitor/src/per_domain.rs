//! A value for each domain: a default, and overrides for some domains. Monitors use it for the options of their worker
//! pools; the size of a pool is decided in `state/pool_size.rs`.

use std::collections::BTreeMap;

/// A value for each domain.
#[derive(Debug, Clone, Default)]
pub struct PerDomain<T> {
    /// The value of the domains without an override.
    pub default: T,
    /// The values of the other domains, by name.
    pub overrides: BTreeMap<String, T>,
}

impl<T> PerDomain<T> {
    /// Returns the value of this domain.
    pub(crate) fn of(&self, domain: &str) -> &T {
        self.overrides.get(domain).unwrap_or(&self.default)
    }

    /// Converts the value of every domain.
    pub(crate) fn map<U>(&self, convert: impl Fn(&T) -> U) -> PerDomain<U> {
        let overrides =
            self.overrides.iter().map(|(domain, value)| (domain.clone(), convert(value)));
        PerDomain { default: convert(&self.default), overrides: overrides.collect() }
    }
}
