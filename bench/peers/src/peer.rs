//! The job systems that are measured.

use std::{fmt, time::Duration};

use clap::ValueEnum;

use crate::{database::Database, graphile, river};

/// The lock file, which has the versions of the peers.
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

    /// Measures how long this peer takes to run `tasks` jobs.
    pub(crate) async fn drain(self, database: &Database, tasks: u32) -> anyhow::Result<Duration> {
        match self {
            Peer::GraphileWorker => graphile::drain(database, tasks).await,
            Peer::Riverqueue => river::drain(database, tasks).await,
        }
    }

    /// Returns the version of the crate, or `?` if the lock file does not have it.
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
    fn the_lock_file_has_the_version_of_each_peer() {
        for peer in Peer::ALL {
            assert!(peer.version().starts_with("0."), "{peer} {}", peer.version());
        }
    }
}
