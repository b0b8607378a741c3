//! The queue of rework: its types, every SQL statement, and the rules of time.
//!
//! Nothing here starts a process or speaks HTTP. What decides is pure and tested without a
//! database; what writes to Postgres is one function for one statement of `sql/`.

pub mod abort_task;
pub mod arguments;
pub mod ask_worker;
mod away;
pub mod claim;
pub mod complete;
pub mod connect;
pub mod control;
pub mod cron;
mod dsn;
pub mod error;
pub mod fire;
pub mod follow_logs;
pub mod frame;
pub mod frames;
pub mod kind;
pub mod lease;
pub mod list_monitors;
pub mod list_operations;
pub mod list_scheduled;
pub mod list_tasks;
pub mod list_workers;
pub mod manifest;
pub mod monitor;
pub mod nearest;
pub mod operation;
pub mod operation_schema;
pub mod partition;
mod plans;
pub mod pool;
pub mod prepare;
pub mod prepared;
pub mod protocol;
pub mod quantity;
pub mod read_log;
pub mod register;
pub mod report;
pub mod retry_task;
pub mod schedule;
pub mod schedule_many;
pub mod schema;
pub mod served;
pub mod short_schema;
pub mod show_task;
pub mod state;
pub mod sweep;
pub mod tick;
mod tls;
pub mod turn;
pub mod unregister;
pub mod vacuum;
pub mod validate;
pub mod wait_task;
pub mod worker;
