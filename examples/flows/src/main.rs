//! Example flows. A flow is a task with steps, which are undone if one of them fails.
//!
//! ```console
//! $ cargo build -p example-flows
//! $ target/debug/flows                              # lists flows and steps
//! $ mkdir -p /tmp/cloud
//! $ target/debug/flows make_server --directory /tmp/cloud --name web --gib 3
//! $ rework register-operations target/debug/flows
//! $ rework schedule make_server --directory /tmp/cloud --name web --gib 3 --wait
//! $ rework schedule simple_http_server --directory /tmp --port 8000
//! ```
//!
//! The fourth command prints the description of the flow. It runs no step.

#![expect(clippy::print_stdout, reason = "what an operation prints is the log of its task")]

mod cloud_server;
mod web_server;

fn main() -> std::process::ExitCode {
    rework::run()
}
