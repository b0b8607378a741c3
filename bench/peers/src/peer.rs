//! Who is measured.

use std::{fmt, time::Duration};

use clap::ValueEnum;

use crate::{database::Database, graphile, river};

/// What was built, and so what is measured.
const LOCK: &str = include_str!("../Cargo.lock");

/// A job system, by the name of its crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Peer {
    GraphileWorker,
    Riverqueue,
}

impl Peer {
    pub(crate) const ALL: [Peer; 2] = [Peer::GraphileWorker, Peer::Riverqueue];

    /// How long it takes to drain so many jobs, in its best configuration.
    pub(crate) async fn drain(self, database: &Database, tasks: u32) -> anyhow::Result<Duration> {
        match self {
            Peer::GraphileWorker => graphile::drain(database, tasks).await,
            Peer::Riverqueue => river::drain(database, tasks).await,
        }
    }

    pub(crate) fn version(self) -> &'static str {
        let name = format!("name = \"{self}\"");
        let mut lines = LOCK.lines().skip_while(|line| *line != name);
        let version = lines.nth(1).and_then(|line| line.strip_prefix("version = \""));
        version.map_or("?", |version| version.trim_end_matches('"'))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Peer::GraphileWorker => "graphile_worker",
            Peer::Riverqueue => "riverqueue",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_known() {
        for peer in Peer::ALL {
            assert!(peer.version().starts_with("0."), "{peer} {}", peer.version());
        }
    }
}
