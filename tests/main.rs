//! The tests of the whole: real commands, real processes, a real Postgres, each test in a database
//! and on a host of its own. `scripts/with-postgres cargo test` gives them a server.
//!
//! Scenarios that were agreed upon beforehand are named by their numbers, `rw_1_…`. `support/` is
//! what they stand on; `operations/` is the program whose operations they schedule.

mod support;

mod rw_quick_start;
