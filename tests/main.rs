//! End-to-end tests: they run real `rework` commands and monitors against a real Postgres server.
//!
//! Each test has its own database and host name. `scripts/with-postgres cargo test` starts the Postgres server.
//! `support/` has the helpers that all tests use, `operations/` is the program whose operations they schedule, and
//! `manifests/` has operations that are commands.
//!
//! "Scenario RW-n" above a test is the number of a scenario of the original rework in Python, "JR-n" of jobrunner and
//! "EJ-n" of `EasyJobs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a panic fails the test, and some tests print figures"
)]

mod support;

mod abort_races;
mod aborts;
mod attempts;
mod availability;
mod backup;
mod bad_input;
mod bad_input_database;
mod bad_input_files;
mod batches;
mod before_after;
mod before_after_locks;
mod bytes;
mod capabilities;
mod chaos;
mod claim_bounds;
mod claims;
mod complete_many;
mod configuration;
mod connection_limit;
mod connections;
mod consecutive_runs;
mod containment;
mod database_refusals;
mod deploys;
mod dev;
mod documents;
mod failover;
mod feature_chaos;
mod flow_aborts;
mod flow_engine;
mod flow_examples;
mod flow_faults;
mod flow_hosts;
mod flow_kills;
mod flow_lock_order;
mod flow_locks;
mod flow_patterns;
mod flow_retries;
mod flow_reverts;
mod flow_stops;
mod flows;
mod follow_and_wait;
mod host_faults;
mod hosts;
mod imports;
mod inheritance;
mod init_db_errors;
mod json_rule;
mod lanes;
mod lanes_swept;
mod late_schedules;
mod list_commands;
mod live_output;
mod locks;
mod logs;
mod lost_host_leftovers;
mod many_hosts;
mod memory_limits;
mod messages;
mod monitor_ends;
mod monitor_poll_cost;
mod monitors;
mod names;
mod network;
mod overdue_statements;
mod passwords;
mod pause;
mod pause_of_followers;
mod permissions;
mod pool_size;
mod postgres_outages;
mod quick_start;
mod random_kills;
mod readme;
mod register_operations;
mod registering_many;
mod retry_kinds;
mod retry_policies;
mod retry_rules;
mod revisions;
mod run_ends;
mod runner_renewal;
mod scan_start;
mod schedule_after;
mod schedule_races;
mod schedule_rules;
mod schedules;
mod schedules_in_files;
mod scheduling;
mod scheduling_many;
mod scheduling_values;
mod schema_builds;
mod slow_input;
mod sql_statements;
mod task_states;
mod tidy;
mod timeouts;
mod unique_key_races;
mod unique_keys;
mod unreadable_rows;
mod vacuum;
mod wakeups;
mod words;
mod worker_ends;
