//! Tests of the SDK from outside: they start the program `examples/fixture.rs` and speak to it as a worker does, or run
//! it from the command line.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, also in its helper functions"
)]

mod command_line;
mod control;
mod flows;
mod protocol_document;
mod runs;
mod support;
