//! The SDK against a worker's side of the protocol, and typed by hand: one program under test,
//! `examples/fixture.rs`, in processes of its own.

#![expect(clippy::unwrap_used, reason = "these are tests, and what they call")]

mod control;
mod direct;
mod document;
mod runs;
mod support;
