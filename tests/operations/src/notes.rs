//! An operation that is short most of the time, and leaves a note of every time that it runs.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::getppid;
use rework::operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// More levels than Postgres' stack has room for.
const DEEP: usize = 200_000;

/// What it does besides.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Besides {
    #[default]
    Nothing,
    /// Kills the worker that runs it.
    KillsWorker,
    /// Gives what Postgres does not take.
    GivesTooDeep,
}

/// What `notes` takes.
#[derive(Debug, Deserialize, JsonSchema)]
struct Note {
    /// The file that it adds a line to.
    path: PathBuf,
    /// Its line.
    number: u32,
    /// How long it takes.
    #[serde(default)]
    milliseconds: u64,
    #[serde(default)]
    besides: Besides,
}

/// JSON as it stands.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
struct Verbatim(#[schemars(with = "Value")] Box<RawValue>);

/// Adds a line to a file, by one call of the kernel, and gives its number.
#[operation]
fn notes(note: Note) -> rework::Result<Verbatim> {
    let mut file = File::options().append(true).create(true).open(&note.path)?;
    file.write_all(format!("{}\n", note.number).as_bytes())?;
    sleep(Duration::from_millis(note.milliseconds));
    let mut json = note.number.to_string();
    match note.besides {
        Besides::Nothing => {}
        Besides::KillsWorker => {
            kill(getppid(), Signal::SIGKILL).map_err(std::io::Error::from)?;
            sleep(Duration::from_secs(3600));
        }
        Besides::GivesTooDeep => json = "[".repeat(DEEP) + &"]".repeat(DEEP),
    }
    Ok(Verbatim(RawValue::from_string(json)?))
}
