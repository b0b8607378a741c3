//! The operation `appends_number`: a short run that appends its number to a file, so that a test can count the runs.
//!
//! Its input can demand one more effect, for example that it kills its worker.

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

/// Levels of nested JSON arrays. Postgres refuses them, because its stack is limited to 2 MB by default.
const NESTING: usize = 200_000;

/// An effect of a run in addition to the line in the file.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Effect {
    #[default]
    None,
    /// Kills the worker, which is the parent process.
    KillsWorker,
    /// Returns JSON that is nested too deeply for Postgres.
    ReturnsDeepJson,
    /// Prints the number in several ways. The last line has no newline.
    PrintsNumber,
    /// Prints a line and kills its own process.
    KillsItself,
    Panics,
    /// Prints the pid of a child process and leaves it running.
    LeavesAChild,
    /// Prints the pid of a process and leaves it running. The parent of this process has ended.
    LeavesAnOrphan,
}

/// Prints the number with `println!` and `eprintln!`, with a logger, and with a system call without a newline. Every
/// tenth number is printed by a child process too.
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

/// Runs a shell script that prints the pid of a process and leaves this process running. Prints the pid.
pub(crate) fn leave_process(script: &str) -> rework::Result<()> {
    let mut shell = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
    let mut pid = String::new();
    let stdout = shell.stdout.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
    BufReader::new(stdout).read_line(&mut pid)?;
    println!("{}", pid.trim());
    Ok(())
}

/// The input of `appends_number`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Input {
    /// The file to which the run appends a line.
    path: PathBuf,
    /// The line, which is also the output of the run.
    number: u32,
    /// How long the run sleeps after it has written the line.
    #[serde(default)]
    milliseconds: u64,
    #[serde(default)]
    effect: Effect,
}

/// JSON text that becomes the output unchanged.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
struct Verbatim(#[schemars(with = "Value")] Box<RawValue>);

/// Appends its number to a file and returns it. One system call writes the whole line, so that lines of concurrent runs
/// do not mix.
#[operation]
fn appends_number(input: Input) -> rework::Result<Verbatim> {
    let mut file = File::options().append(true).create(true).open(&input.path)?;
    file.write_all(format!("{}\n", input.number).as_bytes())?;
    sleep(Duration::from_millis(input.milliseconds));
    let mut json = input.number.to_string();
    match input.effect {
        Effect::None => {}
        Effect::KillsWorker => {
            kill(getppid(), Signal::SIGKILL).map_err(std::io::Error::from)?;
            sleep(Duration::from_secs(3600));
        }
        Effect::PrintsNumber => print(input.number)?,
        Effect::KillsItself => {
            println!("my last line");
            kill(Pid::this(), Signal::SIGABRT).map_err(std::io::Error::from)?;
            sleep(Duration::from_secs(3600));
        }
        Effect::Panics => panic!("at number {}", input.number),
        Effect::LeavesAChild => leave_process("echo $$; exec sleep 1000")?,
        Effect::LeavesAnOrphan => {
            leave_process("setsid sh -c 'echo $$; exec sleep 1000' & exec true")?;
        }
        Effect::ReturnsDeepJson => json = "[".repeat(NESTING) + &"]".repeat(NESTING),
    }
    Ok(Verbatim(RawValue::from_string(json)?))
}
