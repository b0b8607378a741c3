//! A real `rework monitor`, for as long as a test wants it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A monitor that serves the operations of `crates/sdk/examples/fixture.rs`.
pub(crate) struct Monitor(Child);

impl Monitor {
    /// Starts one, on a host of its own.
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
    /// The second signal means now.
    fn drop(&mut self) {
        for _ in 0..2 {
            let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        }
        let _ = self.0.wait();
    }
}

/// What cargo has built beside the tests.
fn built(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(name);
    assert!(path.exists(), "no {}: `make test` builds it first", path.display());
    path
}
