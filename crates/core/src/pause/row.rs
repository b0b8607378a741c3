//! A pause, as it is stored and as commands show it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Something that a user has paused. The JSON of a pause has exactly these keys, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub id: i64,
    /// The domain. `None` if every domain is paused.
    pub domain: Option<String>,
    /// The name of the operation. `None` if every operation is paused.
    pub operation: Option<String>,
    /// The host. `None` if every host is paused.
    pub host: Option<String>,
    pub paused_at: DateTime<Utc>,
    /// The database role of the user.
    pub actor: String,
}

/// The tasks to pause or to resume: all those that have each value that is given. One value at least is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    pub domain: Option<&'a str>,
    /// The name of the operation.
    pub operation: Option<&'a str>,
    pub host: Option<&'a str>,
}

impl Pause {
    /// Returns what is paused.
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            domain: self.domain.as_deref(),
            operation: self.operation.as_deref(),
            host: self.host.as_deref(),
        }
    }
}
