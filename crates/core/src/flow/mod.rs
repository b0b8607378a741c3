//! Flows as people see and steer them. A flow is a task whose code returns a plan; the plan becomes rows: scopes and
//! steps. `migrations/V24__flow.sql` has their tables, and names the functions that carry a plan out.
//!
//! `show` reads a flow. `rounds`, `tree` and `events` are pure, and arrange what was read.

pub mod fail_unregistered;
pub mod find_operations;
pub mod state;
pub mod show;
pub mod rounds;
pub mod tree;
pub mod events;
pub mod list;
pub mod step_tasks;
pub mod retry;
#[cfg(test)]
mod scene;
