//! Runs one operation, plain or `async`, for a worker or from the command line.

use std::cell::OnceCell;
use std::io::Write;

use rework_wire::runner::Failure;
use tokio::runtime::{Builder, Runtime};

use crate::operation::{Call, Operation, Operations};
use crate::output::Outcome;
use crate::{Error, Task, panics};

/// Upper limit for the threads of the tokio runtime. A host has one runner for each worker, so one runner must not
/// start a thread for each processor.
const RUNTIME_THREADS: usize = 4;

/// Runs operations one after the other, on the thread that owns it.
#[derive(Debug)]
pub(crate) struct Executor {
    operations: Operations,
    /// The runtime of `async` operations. It is created for the first of them: many programs have none.
    runtime: OnceCell<Runtime>,
}

impl Executor {
    pub(crate) fn new(operations: Operations) -> Executor {
        Executor { operations, runtime: OnceCell::new() }
    }

    pub(crate) fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Runs the operation that the task names. Its buffered output is flushed when this returns.
    pub(crate) fn run(&self, task: &Task) -> Outcome {
        let outcome = self.find(task).and_then(|operation| self.call(operation, task));
        flush();
        outcome
    }

    /// Runs the check of an operation. Returns why the operation is not available on this host; `None` if it is. An
    /// operation that this program does not have counts as available: its run fails and says why.
    pub(crate) fn check(&self, domain: &str, name: &str) -> Option<String> {
        let check = self.operations.find(domain, name).ok()?.available.as_ref()?;
        let checked = panics::catch(|| Ok((check.call)()));
        flush();
        checked.unwrap_or_else(|error| Some(format!("{}: {}", error.kind(), error.message())))
    }

    fn find(&self, task: &Task) -> Result<&'static Operation, Error> {
        self.operations.find(task.domain(), task.operation())
    }

    fn call(&self, operation: &Operation, task: &Task) -> Outcome {
        match &operation.call {
            Call::Plain(function) => panics::catch(|| function(task)),
            Call::Async(function) => {
                let runtime = self.runtime()?;
                panics::catch(|| runtime.block_on(function(task)))
            }
        }
    }

    /// Returns the runtime of `async` operations, and creates it at the first call. `Err` with kind `load` if it
    /// cannot start.
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
            let message = format!("the tokio runtime of async operations cannot start: {error}");
            Error::with_kind(Failure::LOAD.into(), message)
        })?;
        Ok(self.runtime.get_or_init(|| runtime))
    }
}

/// Writes the buffered output of this process. If a stream cannot be written its text is lost: it cannot be printed
/// anywhere else.
fn flush() {
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
}

impl Drop for Executor {
    /// Does not wait for what operations have spawned: it ends with the process.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
