//! Runs a real `rework monitor` during a test.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A monitor process that runs the operations of `crates/sdk/examples/fixture.rs`.
pub(crate) struct Monitor(Child);

impl Monitor {
    /// Starts a monitor under a host name of its own.
    pub(crate) fn start(dsn: &str) -> Monitor {
        let host = format!("client-test-{}", std::process::id());
        let monitor = Command::new(built("rework"))
            .args(["monitor", "--host", &host, "--minworkers", "1", "--register"])
            .arg(built("examples/fixture"))
            .env("REWORK_DSN", dsn)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Monitor(monitor.unwrap())
    }
}

impl Drop for Monitor {
    /// Stops the monitor. The second signal makes it stop at once, without waiting for running tasks.
    fn drop(&mut self) {
        for _ in 0..2 {
            let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        }
        let _ = self.0.wait();
    }
}

/// Returns the path of a program that cargo has built into the folder above the tests.
fn built(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(name);
    assert!(path.exists(), "no {}: `make test` builds it first", path.display());
    path
}
