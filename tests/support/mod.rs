//! What the tests stand on: a database for each test, a host of its own, real `rework` commands and
//! monitors, and one way to wait for facts. Nothing here knows what is being tested.

pub mod command;
pub mod database;
pub mod installation;
pub mod monitor;
pub mod processes;
pub mod scale;
pub mod server;
pub mod session;
pub mod task;
pub mod wait;

pub use self::installation::Installation;
pub use self::scale::soak;
