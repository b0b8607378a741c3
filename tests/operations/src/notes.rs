//! An operation that is short most of the time, and leaves a note of every time that it runs.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid, write};
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
    /// Prints its number in all the ways that there are, the last one without a newline.
    Prints,
    /// Kills itself, with words before.
    Dies,
    /// Panics.
    Panics,
    /// Leaves a child, whose pid it prints.
    LeavesAChild,
    /// Leaves a process that is nobody's child any more, whose pid it prints.
    LeavesAnOrphan,
}

/// Prints the number by the language, by a logger, by another process, and by the kernel.
fn print(number: u32) -> rework::Result<()> {
    println!("stdout {number}");
    eprintln!("stderr {number}");
    tracing::info!("logger {number}");
    if number.is_multiple_of(10) {
        Command::new("echo").arg(format!("child {number}")).status()?;
    }
    write(std::io::stdout(), format!("kernel {number}").as_bytes())
        .map_err(std::io::Error::from)?;
    Ok(())
}

/// Starts a process that stays, by a shell that ends or becomes it, and prints its pid.
fn leave(script: &str) -> rework::Result<()> {
    let mut shell = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
    let mut pid = String::new();
    let said = shell.stdout.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
    BufReader::new(said).read_line(&mut pid)?;
    println!("{}", pid.trim());
    Ok(())
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
        Besides::Prints => print(note.number)?,
        Besides::Dies => {
            println!("my last words");
            kill(Pid::this(), Signal::SIGABRT).map_err(std::io::Error::from)?;
            sleep(Duration::from_secs(3600));
        }
        Besides::Panics => panic!("at number {}", note.number),
        Besides::LeavesAChild => leave("echo $$; exec sleep 1000")?,
        Besides::LeavesAnOrphan => leave("setsid sh -c 'echo $$; exec sleep 1000' & exec true")?,
        Besides::GivesTooDeep => json = "[".repeat(DEEP) + &"]".repeat(DEEP),
    }
    Ok(Verbatim(RawValue::from_string(json)?))
}
