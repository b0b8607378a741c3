//! The wire: frames, and the messages in them between a worker and its runner, and between a monitor and
//! its worker.

pub mod frame;
pub mod connection;
pub mod runner;
pub mod worker;
pub mod outbox;
