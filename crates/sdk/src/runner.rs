//! The program: it serves a worker, or a person who typed its name.

use std::any::Any;
use std::process::ExitCode;
use std::sync::Arc;

use tracing::Level;

use crate::execution::Executor;
use crate::operation::Operations;
use crate::task::State;
use crate::{direct, inherited, logging, panics, serve, stderr};

/// What a program's operations share, before it [runs](Runner::run).
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
    /// A runner whose operations share nothing.
    pub fn new() -> Runner {
        Runner::default()
    }

    /// A value for all operations, which read it with [`Task::state`](crate::Task::state): one of
    /// each type. It is made once for a process, which runs many tasks.
    #[must_use]
    pub fn state<T: Any + Send + Sync>(mut self, value: T) -> Runner {
        self.state.insert(value.type_id(), Box::new(value));
        self
    }

    /// The least level that is logged where `RUST_LOG` says nothing; `INFO` if left out.
    #[must_use]
    pub fn level(mut self, level: Level) -> Runner {
        self.level = level;
        self
    }

    /// Runs operations for the worker that started this process. Where none did, runs the one that
    /// the command line names, or lists them all. Call it from a plain `main`, first thing.
    pub fn run(self) -> ExitCode {
        // First of all: nobody else may have started a thread yet.
        let inherited = match inherited::take() {
            Ok(inherited) => inherited,
            Err(error) => return stderr::refuse(&error.to_string()),
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            return stderr::refuse(
                "`rework::run()` starts its own runtime: call it from a plain `main`",
            );
        }
        logging::install(self.level);
        panics::watch();
        let operations = match Operations::of_this_program() {
            Ok(operations) => operations,
            Err(error) => return stderr::refuse(&error),
        };
        let (executor, state) = (Executor::new(operations), Arc::new(self.state));
        match inherited {
            Some(inherited) => serve::serve(inherited, &executor, state)
                .unwrap_or_else(|error| stderr::refuse(&error.to_string())),
            None => direct::run(&executor, state, std::env::args_os()),
        }
    }
}

/// Serves a worker, or a person, with all operations of this program. It is the whole of `main`:
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     rework::run()
/// }
/// ```
pub fn run() -> ExitCode {
    Runner::new().run()
}
