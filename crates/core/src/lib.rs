//! The queue of rework: its types, every SQL statement, and the rules of time.
//!
//! Nothing here starts a process or speaks HTTP. What decides is pure and tested without a
//! database; what writes to Postgres is one function for one statement of `sql/`.
//!
//! Each folder holds one subject, with its statements in `sql/`. The list below is in the order of a task's life.
//! No two folders import each other, neither directly nor by way of a third one.

pub mod module; // what a folder of operations declares: manifests
pub mod operation; // an operation is registered, found and listed
pub mod values; // inputs and outputs are checked against what was declared
pub mod cron; // rules of time make tasks
pub mod task; // a task from its scheduling to its end
pub mod log; // the lines that runs wrote
pub mod lease; // who lives by a row that is renewed
pub mod fleet; // monitors and workers
pub mod admin; // the schema is brought up to date, old rows are removed
pub mod db; // the connection to Postgres
