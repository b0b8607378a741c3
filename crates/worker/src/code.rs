//! Where an SDK's operations are, and how a runner of them is started.

use std::{ffi::OsString, path::PathBuf};

/// What a Python interpreter is told before it is told anything else: the folder in which we were started
/// is not where modules are looked for.
const PYTHON: &str = "import sys\nif sys.path[:1] == ['']: del sys.path[0]\n\
                      from rework.runner.main import main\nmain()";

/// A program made with an SDK, or a module with the interpreter that runs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code {
    /// The file, absolute.
    pub path: PathBuf,
    /// For a Python module.
    pub interpreter: Option<PathBuf>,
}

impl Code {
    /// The program that is started, with its arguments.
    pub(crate) fn command(&self) -> (OsString, Vec<OsString>) {
        match &self.interpreter {
            None => (self.path.clone().into(), Vec::new()),
            Some(interpreter) => {
                let args = ["-u".into(), "-c".into(), PYTHON.into(), self.path.clone().into()];
                (interpreter.clone().into(), args.into())
            }
        }
    }
}

impl From<PathBuf> for Code {
    fn from(path: PathBuf) -> Code {
        Code { path, interpreter: None }
    }
}
