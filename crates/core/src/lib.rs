//! The queue of rework: its types, every SQL statement, and the rules of time.
//!
//! Nothing in this crate starts a process or speaks HTTP. Code that decides is pure, and is tested without a database.
//! Each function that writes to Postgres sends one statement of a folder `sql/`.
//!
//! Each folder of `src` contains one subject, with its statements in `sql/`. The list below follows the life of a task.
//! No two folders import each other, neither directly nor through a third one.

pub mod module; // manifests: what the author of operations declares
pub mod operation; // registering, finding and listing operations
pub mod values; // validating inputs and outputs against their schemas
pub mod cron; // schedules that create tasks
pub mod task; // a task from its scheduling to its end
pub mod pause; // pausing and resuming operations, domains and hosts
pub mod flow; // tasks that consist of other tasks, as people see and steer them
pub mod log; // reading the log lines of runs
pub mod lease; // leases that show that monitors and workers are alive
pub mod fleet; // monitors and workers
pub mod admin; // migrating the schema, removing old rows
pub mod db; // the connection to Postgres
