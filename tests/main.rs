//! The tests of the whole: real commands, real processes, a real Postgres, each test in a database
//! and on a host of its own. `scripts/with-postgres cargo test` gives them a server.
//!
//! Scenarios that were agreed upon beforehand are named by their numbers, `rw_1_…`. `support/` is
//! what they stand on; `operations/` is the program whose operations they schedule.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on says so"
)]

mod support;

mod abort_races;
mod attempts;
mod backup;
mod bad_input;
mod bad_input_database;
mod bad_input_modules;
mod batches;
mod completing;
mod configuration;
mod containment;
mod deploys;
mod dev;
mod endings;
mod endings_of_workers;
mod following;
mod found_soon;
mod full_queues;
mod hosts;
mod kills;
mod lanes;
mod logs;
mod many_hosts;
mod memory;
mod monitors;
mod network;
mod postgres_away;
mod readme;
mod registering;
mod revisions;
mod rw_aborts;
mod rw_bytes;
mod rw_claims;
mod rw_lists;
mod rw_monitor_ends;
mod rw_pool;
mod rw_quick_start;
mod rw_renewal;
mod rw_states;
mod rw_timeouts;
mod rw_vacuum;
mod schedule_races;
mod schedules;
mod schema_builds;
mod scheduling;
mod scheduling_many;
mod secrets;
mod series;
mod states;
mod tidy;
mod unreadable_rows;
mod wakeups;
mod ways;
