//! What the tests stand on: a database for each test, a host of its own, real `rework` commands and
//! monitors, and one way to wait for facts. Nothing here knows what is being tested.

mod awaiting;
pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod containment_modes;
pub(crate) mod database;
pub(crate) mod fleet;
pub(crate) mod installation;
pub(crate) mod invariants;
pub(crate) mod leftovers;
pub(crate) mod monitor;
pub(crate) mod monitored_host;
mod password_watch;
pub(crate) mod pooler;
pub(crate) mod processes;
pub(crate) mod proxy;
pub(crate) mod repository;
pub(crate) mod scale;
mod scene;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod task;
pub(crate) mod wait;

pub(crate) use self::installation::Installation;
