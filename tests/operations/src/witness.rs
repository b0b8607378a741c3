//! Operations that record their runs outside Postgres, in a file: a line when the code of a run starts, lines while it
//! goes on, and a line before it returns. `tests/chaos` compares them with what Postgres has recorded.
//!
//! A line has the event, the task, the run, the pid, and the microseconds since the boot of the machine, for example
//! `start 7 2 3111 529000111`. One system call writes it, so that lines of concurrent runs do not mix. The operations
//! of `witness_features.rs` add to each line.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use rework::{Task, operation};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::append_number::leave_process;

/// Time between two lines of a run that goes on.
const BEAT_INTERVAL: Duration = Duration::from_millis(20);

/// The input of the operations in this file.
#[derive(Debug, Deserialize, JsonSchema)]
struct WitnessInput {
    /// The file to which the run appends its lines.
    path: PathBuf,
    /// The output of the run.
    number: u32,
    /// How long the run takes.
    milliseconds: u64,
}

/// The file of a run.
pub(crate) struct Witness<'a> {
    task: &'a Task,
    file: File,
    /// The text at the end of each line.
    suffix: String,
}

impl<'a> Witness<'a> {
    /// Opens the file, and writes that the run starts. `suffix` is added to each line.
    pub(crate) fn start(
        task: &'a Task,
        path: &Path,
        suffix: String,
    ) -> rework::Result<Witness<'a>> {
        let file = File::options().append(true).create(true).open(path)?;
        let mut witness = Witness { task, file, suffix };
        witness.write("start")?;
        Ok(witness)
    }

    /// Writes that the run goes on, until the time is over or `is_stopped` returns true.
    pub(crate) fn go_on(
        &mut self,
        milliseconds: u64,
        is_stopped: impl Fn() -> bool,
    ) -> rework::Result<()> {
        let started = Instant::now();
        let time = Duration::from_millis(milliseconds);
        loop {
            let left = time.saturating_sub(started.elapsed());
            if left.is_zero() || is_stopped() {
                return Ok(());
            }
            sleep(left.min(BEAT_INTERVAL));
            self.write("beat")?;
        }
    }

    /// Writes that the run ends.
    pub(crate) fn end(mut self) -> rework::Result<()> {
        self.write("end")
    }

    fn write(&mut self, event: &str) -> rework::Result<()> {
        let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_err(std::io::Error::from)?;
        let microseconds = Duration::from(now).as_micros();
        let (task, run, pid) = (self.task.id(), self.task.run(), std::process::id());
        let line = format!("{event} {task} {run} {pid} {microseconds}{}\n", self.suffix);
        self.file.write_all(line.as_bytes())?;
        Ok(())
    }
}

/// Takes some time. It never checks whether it is aborted, and a lost run is not repeated.
#[operation]
fn witnessed(task: &Task, input: WitnessInput) -> rework::Result<u32> {
    let mut witness = Witness::start(task, &input.path, String::new())?;
    witness.go_on(input.milliseconds, || false)?;
    witness.end()?;
    Ok(input.number)
}

/// Takes some time, less if it is aborted. A lost or failed run is repeated.
#[operation(retry_lost, attempts = 3)]
fn witnessed_repeatable(task: &Task, input: WitnessInput) -> rework::Result<u32> {
    let mut witness = Witness::start(task, &input.path, String::new())?;
    witness.go_on(input.milliseconds, || task.is_aborted())?;
    witness.end()?;
    Ok(input.number)
}

/// Leaves a process in another session behind.
#[operation]
fn witnessed_leaving_process(task: &Task, input: WitnessInput) -> rework::Result<u32> {
    let mut witness = Witness::start(task, &input.path, String::new())?;
    leave_process("setsid sh -c 'echo $$; exec sleep 1000' & exec true")?;
    witness.go_on(input.milliseconds, || false)?;
    witness.end()?;
    Ok(input.number)
}
