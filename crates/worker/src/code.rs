//! The code of an SDK's operations: an executable or a Python module, and the command that starts a runner of it.

use std::{ffi::OsString, path::PathBuf};

/// The program text for the Python interpreter. It first removes the current folder from the search path, so that files
/// there do not replace modules.
const PYTHON: &str = "import sys\nif sys.path[:1] == ['']: del sys.path[0]\n\
                      from rework.runner.main import main\nmain()";

/// A program built with an SDK, or a Python module and its interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code {
    /// The absolute path of the file.
    pub path: PathBuf,
    /// The interpreter of a Python module; `None` for a program.
    pub interpreter: Option<PathBuf>,
}

impl Code {
    /// Returns the program to execute and its arguments.
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
