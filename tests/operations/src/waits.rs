//! Operations that keep a worker busy: until a file exists, until they are aborted, or forever.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rework::{Task, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Time between two checks whether a file exists. Short, because tests wait for the operation to continue.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Sleeps forever and does not react to an abort.
#[operation(grace = "500ms")]
fn forever() {
    println!("for ever");
    loop {
        sleep(Duration::from_secs(3600));
    }
}

/// Waits until the file `path` exists. Returns which copy of the program it runs in.
#[operation]
fn hold(path: PathBuf) -> rework::Result<String> {
    println!("holding");
    wait_for(&path);
    println!("released");
    Ok(crate::run_facts::edition()?)
}

/// Waits until the file `path` exists. A lost run is repeated.
#[operation(retry_lost)]
fn hold_retry_lost(path: PathBuf) {
    println!("holding");
    wait_for(&path);
    println!("released");
}

/// Waits until it is aborted and then returns the reason of the abort.
#[operation(grace = "10s")]
async fn stops_on_abort(task: &Task) -> String {
    println!("listening");
    task.aborted().await;
    println!("cleaned up");
    task.abort_reason().unwrap_or_default().to_owned()
}

/// Writes one complete line and one without a newline, and then sleeps forever.
#[operation(grace = "0s")]
fn half_a_line() {
    use std::io::Write as _;
    println!("a whole line");
    print!("half a line");
    let _ = std::io::stdout().flush();
    loop {
        sleep(Duration::from_secs(3600));
    }
}

/// Pids of the processes of a run of `family`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Family {
    parent: u32,
    child: u32,
    /// Pid of a process in a session of its own.
    grandchild: u32,
}

/// Starts a child, which starts a grandchild in another session. Saves their pids as its output and sleeps forever.
#[operation(grace = "500ms")]
fn family(task: &Task) -> rework::Result<()> {
    let script = "setsid /bin/sleep 3600 & echo $!; exec /bin/sleep 3600";
    let mut child = Command::new("/bin/sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let grandchild = line.trim().parse().map_err(|_| format!("`{line}` is not a pid"))?;
    let family = Family { parent: std::process::id(), child: child.id(), grandchild };
    task.save_output(&family)?;
    println!("all there");
    loop {
        sleep(Duration::from_secs(3600));
    }
}

/// Waits until a file exists.
pub(crate) fn wait_for(path: &Path) {
    while !path.exists() {
        sleep(POLL_INTERVAL);
    }
}
