//! A flow that keeps a web server running: `simple_http_server`.
//!
//! Its only step runs until the server ends. If somebody kills the server, the step fails, and the flow starts it
//! again, at most 10 times. If the worker or the host of the step is lost, the step is started on another one.

use std::process::Stdio;

use anyhow::Context;
use rework::{Flow, Task, Times, flow, step};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::process::Command;

/// The input of `simple_http_server`, and of its step.
#[derive(Debug, Deserialize, JsonSchema)]
struct WebServer {
    /// The folder whose files are served.
    directory: String,
    /// The TCP port.
    port: u16,
}

/// Serves the files of a folder by HTTP. The server is started again if it is killed, at most 10 times.
#[flow(domain = "web")]
fn simple_http_server(_input: &WebServer) -> Flow {
    Flow::linear("simple_http_server").retry(Times(10)).add(serve_files::step("serve_files"))
}

/// Runs Python's web server until it ends.
#[step(domain = "web", grace = "5s")]
async fn serve_files(task: &Task, input: WebServer) -> anyhow::Result<()> {
    let port = input.port.to_string();
    let mut server = Command::new("python3")
        .args(["-u", "-m", "http.server", &port, "--directory", &input.directory])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting python3")?;
    println!("serving {} on port {port}", input.directory);
    let status = tokio::select! {
        status = server.wait() => status.context("waiting for the server")?,
        () = task.aborted() => {
            server.kill().await.context("killing the server")?;
            return Ok(());
        }
    };
    anyhow::ensure!(status.success(), "the server ended: {status}");
    Ok(())
}
