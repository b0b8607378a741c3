//! `rework dev`: one command that brings up everything.

mod binaries;
mod cluster;
pub mod discover;
mod error;
mod place;
mod postgres;
mod postmaster;
mod server;
mod server_log;
mod watch;

pub use error::DevError;
pub use postgres::Installation;
