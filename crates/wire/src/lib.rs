//! The messages between the processes of rework: monitor, worker and runner. They are sent as frames over sockets.
//!
//! The SDK depends on this crate and not on `rework-core`, so that programs of operations compile no Postgres driver.

pub mod frame; // a message and raw bytes, as they are sent
pub mod frame_socket; // frames over a socket
pub mod send_buffer; // unsent frames in memory that worker and runner share
pub mod runner; // messages between a worker and its runner
pub mod worker; // messages between a monitor and its worker
pub mod operation; // the definition of an operation
pub mod retry_policy; // how a failed task is tried again
pub mod duration; // durations as they are written inside JSON
pub mod lease; // the length of a lease
