//! What monitor, worker and runner say to each other: frames, and the messages in them.
//!
//! The program of an author is built on this crate alone: nothing here knows a database.

pub mod frame; // a message and raw bytes, as they travel
pub mod connection; // frames over a socket
pub mod outbox; // frames in memory that worker and runner share
pub mod runner; // between a worker and its runner
pub mod worker; // between a monitor and its worker
pub mod operation; // an operation as its code declares it
pub mod lease; // how long a lease is
