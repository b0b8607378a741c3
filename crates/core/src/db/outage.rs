//! Decides from the answers of all servers of a DSN whether no client can change the database: each server is down, or
//! is a standby.
//!
//! In that time no observer (a monitor that watches the leases of others) can take a lease away. So the holder, the
//! process that renews the lease, may extend it. The proof must therefore be certain:
//!
//! - Each address of each server has answered. A network that is cut does not answer.
//! - A refused connection counts only if an earlier connection by the same name has led to the server itself. A
//!   firewall or a pooler may refuse us while other clients are served. The same holds for the answer that the server
//!   is starting or recovering.
//! - A standby counts if we could log in, and the connection leads to the standby itself.
//!
//! The servers answer one after the other, and that suffices. A new primary is promoted only after the former one has
//! ended, so there is a moment without a primary in between. If no server was the primary when it answered, then either
//! there was no primary all the time, or the primary changed in that time. In both cases there was a moment without a
//! primary since the first server was tried.

/// Proof that no client can change the database, if certain connections are direct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// The servers whose answers count only if connections to them are direct: a set of bits, by the index of the
    /// server in the DSN.
    must_be_direct: u64,
}

/// The number of servers of a DSN that can be proven to be down: one for each bit.
const MAX_SERVERS: usize = u64::BITS as usize;

impl Outage {
    /// Returns the proof from a server that refused the connection, or that said that it starts or recovers. `server`
    /// is its index in the DSN. `None` if the DSN has too many servers.
    pub(crate) fn of_refusal(server: usize) -> Option<Outage> {
        server_bit(server).map(|must_be_direct| Outage { must_be_direct })
    }

    /// Returns the proof from a standby to which a direct connection was made.
    pub(crate) fn of_standby() -> Outage {
        Outage { must_be_direct: 0 }
    }

    /// Combines the proofs from all servers. `None` if one of them may be changed by a client.
    pub(crate) fn of_all(answers: impl IntoIterator<Item = Option<Outage>>) -> Option<Outage> {
        let all = |proof: Outage, answer: Option<Outage>| {
            let must_be_direct = proof.must_be_direct | answer?.must_be_direct;
            Some(Outage { must_be_direct })
        };
        answers.into_iter().try_fold(Outage { must_be_direct: 0 }, all)
    }

    /// Returns whether the proof is complete. `direct_servers` are the servers to which the last connection was direct.
    pub(crate) fn is_proven(self, direct_servers: u64) -> bool {
        self.must_be_direct & !direct_servers == 0
    }
}

/// Returns the bit of a server in a set of servers. `None` if its index is too large.
pub(crate) fn server_bit(server: usize) -> Option<u64> {
    (server < MAX_SERVERS).then(|| 1 << server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_down_if_each_server_proves_that_it_cannot_be_changed() {
        let refused = Outage::of_refusal;
        let standby = Some(Outage::of_standby());
        for (answers, direct_servers, expected) in [
            (vec![refused(0)], 0b1, true),
            (vec![refused(0)], 0b0, false),
            (vec![refused(0), refused(0)], 0b1, true),
            (vec![refused(0), None], 0b1, false),
            (vec![refused(0), standby], 0b1, true),
            (vec![refused(0), refused(1)], 0b1, false),
            (vec![refused(0), refused(1)], 0b11, true),
            (vec![refused(64)], u64::MAX, false),
        ] {
            let proof = Outage::of_all(answers.clone());
            let is_down = proof.is_some_and(|proof| proof.is_proven(direct_servers));
            assert_eq!(is_down, expected, "{answers:?}, direct: {direct_servers:b}");
        }
    }
}
