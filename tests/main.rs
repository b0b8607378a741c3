//! The tests of the whole: real commands, real processes, a real Postgres, each test in a database
//! and on a host of its own. `scripts/with-postgres cargo test` gives them a server.
//!
//! "Scenario RW-n" above a test is the number of a scenario of the original rework in Python. `support/`
//! holds what all tests use; `operations/` is the program whose operations they schedule.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on says so"
)]

mod support;

mod abort_races;
mod aborts;
mod attempts;
mod backup;
mod bad_input;
mod bad_input_database;
mod bad_input_modules;
mod batches;
mod bytes;
mod claims;
mod completing;
mod configuration;
mod connections;
mod containment;
mod deploys;
mod dev;
mod documents;
mod endings;
mod endings_of_monitors;
mod endings_of_workers;
mod following;
mod full_queues;
mod hosts;
mod imports;
mod lanes;
mod late_commits;
mod lists;
mod logs;
mod many_hosts;
mod memory;
mod monitors;
mod network;
mod permissions;
mod pool_size;
mod postgres_away;
mod quick_start;
mod random_kills;
mod readme;
mod registering;
mod renewal_of_runners;
mod revisions;
mod schedule_races;
mod schedules;
mod schedules_in_files;
mod schema_builds;
mod scheduling;
mod scheduling_many;
mod secrets;
mod series;
mod states;
mod statements;
mod tidy;
mod timeouts;
mod unreadable_rows;
mod vacuum;
mod wakeups;
