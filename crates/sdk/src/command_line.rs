//! Runs an operation from the command line: `./my-operations resize --width 300`, without worker or database.
//!
//! The operation prints where it prints; its logs and its progress go to stderr, and its output comes last on stdout.
//! Limits are not enforced. Ctrl-C aborts the operation as a worker would, and a second Ctrl-C ends the process.

mod args;
mod help;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use rework_wire::runner::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::args::{Invocation, UsageError};
use crate::abort::Cooperation;
use crate::execution::Executor;
use crate::exit::{self, ExitReason, INTERRUPTED, USAGE};
use crate::operation::Operation;
use crate::output::{Outcome, Output};
use crate::task::State;
use crate::{Task, current, stderr};

/// Does what the command line requests, and returns the exit code.
pub(crate) fn run(
    executor: &Executor,
    state: Arc<State>,
    arguments: impl Iterator<Item = OsString>,
) -> ExitCode {
    let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_else(|| "operations".to_owned());
    let arguments: Vec<String> = arguments.collect();
    match args::parse(executor.operations(), &program, &arguments) {
        Ok(Invocation::List) => print(help::list(executor.operations(), &program).as_bytes()),
        Ok(Invocation::Help(operation)) => {
            print(help::operation_help(operation, &program).as_bytes())
        }
        Ok(Invocation::Run(operation, input)) => {
            run_one(executor, state, operation, input, &program)
        }
        Err(UsageError { error, hint }) => {
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
    let task = Task::without_worker(operation.domain, operation.name, input, raw, state);
    if let Ok(runtime) = executor.runtime() {
        // Handles Ctrl-C from before the first instruction of the operation.
        let _within = runtime.enter();
        if let Ok(interrupts) = signal(SignalKind::interrupt()) {
            runtime.spawn(abort_on_interrupt(interrupts, task.clone()));
        }
    }
    current::enter(&task);
    let outcome = executor.run(&task);
    current::leave();
    finish(&task, outcome, program)
}

/// Requests an abort at the first Ctrl-C. Ends the process at the second one, or at once if the operation does not
/// check for aborts.
async fn abort_on_interrupt(mut interrupts: Signal, task: Task) {
    while interrupts.recv().await.is_some() {
        let is_repeated = task.abort().is_requested();
        if is_repeated || task.abort().request("interrupted") == Cooperation::No {
            exit::now(ExitReason::Aborted);
        }
        stderr::line("aborting the operation: waiting for it to end; Ctrl-C again ends it at once");
    }
}

/// Prints the output or the error of the operation, and returns the exit code.
fn finish(task: &Task, outcome: Outcome, program: &str) -> ExitCode {
    let interrupted = task.abort().is_requested();
    let (output, code) = match outcome {
        Ok(output) => (output, 0),
        Err(error) => {
            stderr::error(error.message());
            if let Some(traceback) = error.traceback() {
                stderr::line(traceback);
            }
            let is_invalid_input = error.kind() == Failure::INPUT;
            if is_invalid_input {
                stderr::hint(&format!("`{program} {} --help` shows its input", task.operation()));
            }
            (None, if is_invalid_input { USAGE } else { 1 })
        }
    };
    if let Some(Output { mut bytes, raw }) = output.or_else(|| task.take_saved_output()) {
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
