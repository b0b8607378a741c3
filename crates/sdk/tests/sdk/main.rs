//! The SDK against a worker's side of the protocol, and typed by hand: one program under test,
//! `examples/fixture.rs`, in processes of its own.

mod control;
mod direct;
mod runs;
mod support;
