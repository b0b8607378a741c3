//! The monitor of rework: keeps the workers of its host, as many as each domain needs, wakes them,
//! passes aborts on to them, and sees to what they leave when they die.
//!
//! In the middle stands `state`: what happens goes in, what is to be done comes out, and nothing
//! waits there. Around it, `run` turns the wheel, `effects` does what is to be done, and
//! `attend` stands beside each worker.

mod adopt;
mod attend;
mod begin;
mod by_domain;
mod chores;
mod close;
mod closing;
mod drain;
mod effects;
mod errand;
mod error;
mod event;
mod health;
mod last_words;
mod leave;
mod link;
mod look;
mod options;
mod pace;
mod page;
mod pool;
mod run;
mod service;
mod spawn;
mod state;
mod tenure;
mod twin;
mod usage;
mod verdicts;
mod wake;
mod wants;
mod worker;

pub use by_domain::ByDomain;
pub use error::Error;
pub use options::{Keep, Options};
pub use run::{Ended, run};
