//! Running an operation by hand: `./my-operations resize --width 300`, without worker or database.
//!
//! What the operation prints goes where it prints, logs and progress go to stderr, and the output
//! comes last on stdout. Limits are not kept here; Ctrl-C aborts as a worker would, and a second
//! one ends the process.

mod help;
mod words;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use rework_wire::runner::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::words::{Asked, Usage};
use crate::abort::Listener;
use crate::execution::Executor;
use crate::leave::{self, INTERRUPTED, Leave, USAGE};
use crate::operation::Operation;
use crate::output::{Outcome, Output};
use crate::task::State;
use crate::{Task, current, stderr};

/// Does what the command line asks for.
pub(crate) fn run(
    executor: &Executor,
    state: Arc<State>,
    arguments: impl Iterator<Item = OsString>,
) -> ExitCode {
    let mut arguments = arguments.map(|word| word.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_else(|| "operations".to_owned());
    let words: Vec<String> = arguments.collect();
    match words::read(executor.operations(), &program, &words) {
        Ok(Asked::List) => print(help::list(executor.operations(), &program).as_bytes()),
        Ok(Asked::Help(operation)) => print(help::of(operation, &program).as_bytes()),
        Ok(Asked::Run(operation, input)) => run_one(executor, state, operation, input, &program),
        Err(Usage { error, hint }) => {
            let code = stderr::refuse(&error);
            stderr::hint(&hint);
            code
        }
    }
}

fn run_one(
    executor: &Executor,
    state: Arc<State>,
    operation: &Operation,
    input: Option<Vec<u8>>,
    program: &str,
) -> ExitCode {
    let raw = input.is_some() && operation.takes_bytes();
    let task = Task::directly(operation.domain, operation.name, input, raw, state);
    if let Ok(runtime) = executor.runtime() {
        // From here on a Ctrl-C is ours, before the first instruction of the operation.
        let _within = runtime.enter();
        if let Ok(interrupts) = signal(SignalKind::interrupt()) {
            runtime.spawn(heed(interrupts, task.clone()));
        }
    }
    current::enter(&task);
    let outcome = executor.run(&task);
    current::leave();
    finish(&task, outcome, program)
}

async fn heed(mut interrupts: Signal, task: Task) {
    while interrupts.recv().await.is_some() {
        let again = task.abort().requested();
        if again || task.abort().request("interrupted") == Listener::Absent {
            leave::now(Leave::Aborted);
        }
        stderr::line("the operation is asked to end; Ctrl-C again ends it at once");
    }
}

fn finish(task: &Task, outcome: Outcome, program: &str) -> ExitCode {
    let interrupted = task.abort().requested();
    let (output, code) = match outcome {
        Ok(output) => (output, 0),
        Err(error) => {
            stderr::error(error.message());
            if let Some(traceback) = error.traceback() {
                stderr::line(traceback);
            }
            let unfit = error.kind() == Failure::INPUT;
            if unfit {
                stderr::hint(&format!("`{program} {} --help` shows its input", task.operation()));
            }
            (None, if unfit { USAGE } else { 1 })
        }
    };
    if let Some(Output { mut bytes, raw }) = output.or_else(|| task.saved_output()) {
        if !raw {
            bytes.push(b'\n');
        }
        print(&bytes);
    }
    ExitCode::from(if interrupted { INTERRUPTED } else { code })
}

fn print(bytes: &[u8]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
