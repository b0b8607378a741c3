//! The entry point of a program of operations: [`run`], or [`Runner`] for a program with shared state. It serves the
//! worker that started the program, or otherwise does what the command line requests.

use std::any::Any;
use std::process::ExitCode;
use std::sync::Arc;

use tracing::Level;

use crate::execution::Executor;
use crate::operation::Operations;
use crate::task::State;
use crate::{command_line, inherited, logging, panics, serve, stderr};

/// A program of operations with shared state or another log level.
///
/// ```no_run
/// use rework::{Runner, Task, operation};
///
/// struct Model(Vec<f32>);
///
/// #[operation]
/// fn score(task: &Task, input: Vec<f32>) -> rework::Result<f32> {
///     let model: &Model = task.state()?;
///     Ok(model.0.iter().zip(&input).map(|(a, b)| a * b).sum())
/// }
///
/// fn main() -> std::process::ExitCode {
///     Runner::new().state(Model(vec![0.5; 1024])).level(rework::Level::DEBUG).run()
/// }
/// ```
#[derive(Debug)]
pub struct Runner {
    state: State,
    level: Level,
}

impl Default for Runner {
    fn default() -> Runner {
        Runner { state: State::new(), level: Level::INFO }
    }
}

impl Runner {
    /// Creates a runner without shared state, which logs from level `INFO`.
    pub fn new() -> Runner {
        Runner::default()
    }

    /// Adds a value that all operations share. They read it with [`Task::state`](crate::Task::state).
    ///
    /// There is one value for each type; a second one replaces the first. A value lives as long as the process, which
    /// executes many runs.
    #[must_use]
    pub fn state<T: Any + Send + Sync>(mut self, value: T) -> Runner {
        self.state.insert(value.type_id(), Box::new(value));
        self
    }

    /// Sets the lowest level that is logged. The environment variable `RUST_LOG` overrides it. The default is `INFO`.
    #[must_use]
    pub fn level(mut self, level: Level) -> Runner {
        self.level = level;
        self
    }

    /// Executes the runs of the worker that started this process, until the worker ends it.
    ///
    /// If no worker started this process, this runs the operation that the command line names, or
    /// lists all operations. Call it from a `main` that is not `async`, before anything that starts
    /// a thread. Returns the exit code of the process.
    pub fn run(self) -> ExitCode {
        // This comes first: it changes the environment, which is safe only while there is no other thread.
        let inherited = match inherited::take() {
            Ok(inherited) => inherited,
            Err(error) => return stderr::refuse(&error.to_string()),
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            return stderr::refuse(
                "`rework::run()` starts its own tokio runtime: call it from a `main` that is not `async`",
            );
        }
        logging::install(self.level);
        panics::install_hook();
        let operations = match Operations::of_this_program() {
            Ok(operations) => operations,
            Err(error) => return stderr::refuse(&error),
        };
        let (executor, state) = (Executor::new(operations), Arc::new(self.state));
        match inherited {
            Some(inherited) => serve::serve(inherited, &executor, state)
                .unwrap_or_else(|error| stderr::refuse(&error.to_string())),
            None => command_line::run(&executor, state, std::env::args_os()),
        }
    }
}

/// Runs the operations of this program, for a worker or from the command line. This is all that `main` needs:
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     rework::run()
/// }
/// ```
///
/// Returns the exit code of the process. See [`Runner`] for a program with shared state.
pub fn run() -> ExitCode {
    Runner::new().run()
}
