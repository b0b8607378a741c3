//! Running one operation, whoever asked: by a worker or by hand, plain or `async`.

use std::cell::OnceCell;
use std::io::Write;

use rework_wire::runner::Failure;
use tokio::runtime::{Builder, Runtime};

use crate::operation::{Call, Operation, Operations};
use crate::output::Outcome;
use crate::{Error, Task, panics};

/// The most threads for what `async` operations spawn: a host runs a runner per worker.
const RUNTIME_THREADS: usize = 4;

/// Runs operations one after the other, on the thread that owns it.
#[derive(Debug)]
pub(crate) struct Executor {
    operations: Operations,
    /// Built for the first `async` operation: many programs have none.
    runtime: OnceCell<Runtime>,
}

impl Executor {
    pub(crate) fn new(operations: Operations) -> Executor {
        Executor { operations, runtime: OnceCell::new() }
    }

    pub(crate) fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Runs the operation that the task names. What it printed is out when this returns.
    pub(crate) fn run(&self, task: &Task) -> Outcome {
        let outcome = self.find(task).and_then(|operation| self.call(operation, task));
        // Where they cannot be written there is nobody to tell.
        let _ = std::io::stdout().flush();
        let _ = std::io::stderr().flush();
        outcome
    }

    fn find(&self, task: &Task) -> Result<&'static Operation, Error> {
        self.operations.find(task.domain(), task.operation())
    }

    fn call(&self, operation: &Operation, task: &Task) -> Outcome {
        match &operation.call {
            Call::Plain(function) => panics::caught(|| function(task)),
            Call::Async(function) => {
                let runtime = self.runtime()?;
                panics::caught(|| runtime.block_on(function(task)))
            }
        }
    }

    /// The runtime of `async` operations.
    pub(crate) fn runtime(&self) -> Result<&Runtime, Error> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let built = Builder::new_multi_thread()
            .worker_threads(threads.min(RUNTIME_THREADS))
            .thread_name("rework-async")
            .enable_all()
            .build();
        let runtime = built.map_err(|error| {
            let message = format!("the runtime of async operations cannot start: {error}");
            Error::of(Failure::LOAD.into(), message)
        })?;
        Ok(self.runtime.get_or_init(|| runtime))
    }
}

impl Drop for Executor {
    /// What operations left running ends with the process, and is not waited for.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
