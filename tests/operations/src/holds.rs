//! Operations that hold a worker: until a file is there, until they are aborted, or for ever.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rework::{Task, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Between two looks for a file.
const LOOK: Duration = Duration::from_millis(5);

/// Never ends, and hears nothing.
#[operation(grace = "500ms")]
fn forever() {
    println!("for ever");
    loop {
        sleep(Duration::from_secs(3600));
    }
}

/// Ends when there is such a file.
#[operation]
fn hold(path: PathBuf) -> rework::Result<String> {
    println!("holding");
    wait_for(&path);
    println!("released");
    Ok(crate::knows::edition()?)
}

/// The same, and again where it was lost.
#[operation(retry_lost)]
fn hold_again(path: PathBuf) {
    println!("holding");
    wait_for(&path);
    println!("released");
}

/// Leaves by itself when it is aborted.
#[operation(grace = "10s")]
async fn listens(task: &Task) -> String {
    println!("listening");
    task.aborted().await;
    println!("tidied up");
    task.abort_reason().unwrap_or_default().to_owned()
}

/// Begins a line and never ends it.
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

/// The processes of `family`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Family {
    parent: u32,
    child: u32,
    /// It has a session of its own.
    grandchild: u32,
}

/// Has a child and, in another session, a grandchild; then waits for ever. Its output names them.
#[operation(grace = "500ms")]
fn family(task: &Task) -> rework::Result<()> {
    let script = "setsid /bin/sleep 3600 & echo $!; exec /bin/sleep 3600";
    let mut child = Command::new("/bin/sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    let grandchild = said.trim().parse().map_err(|_| format!("`{said}` is no pid"))?;
    let family = Family { parent: std::process::id(), child: child.id(), grandchild };
    task.save_output(&family)?;
    println!("all there");
    loop {
        sleep(Duration::from_secs(3600));
    }
}

/// Returns when there is such a file.
pub(crate) fn wait_for(path: &Path) {
    while !path.exists() {
        sleep(LOOK);
    }
}
