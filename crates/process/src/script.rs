//! Why the system cannot execute a script: the interpreter in its first line is missing, or its lines end with CR LF.
//! The error of the system says only that a file does not exist, and does not name that file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The number of bytes of a script in which the kernel searches its first line.
const FIRST_LINE_BYTES: u64 = 256;

/// The reason why the system cannot interpret a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptFault {
    /// The interpreter in the first line does not exist.
    #[error("its first line names the interpreter `{}`, which does not exist", .0.display())]
    NoInterpreter(PathBuf),
    /// The first line ends with CR LF. The system takes the CR for a part of the interpreter's name.
    #[error(
        "its lines end with CR LF, as in files of Windows, so the system does not find its interpreter: convert \
         it with `sed -i 's/\\r$//' {}`",
        .0.display()
    )]
    LineEnds(PathBuf),
}

/// Returns why a program cannot be executed as a script. `None` if it is no script, or if nothing of this is wrong.
///
/// `path` is the variable `PATH` in which the program is searched, `None` if there is none. `cwd` is the working
/// directory of the program.
pub fn script_fault(program: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Option<ScriptFault> {
    let file = find(program, path, cwd)?;
    let mut start = Vec::new();
    File::open(&file).ok()?.take(FIRST_LINE_BYTES).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    if line.ends_with(b"\r") {
        return Some(ScriptFault::LineEnds(file));
    }
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t'));
    let interpreter = words.find(|word| !word.is_empty())?;
    let interpreter = PathBuf::from(OsString::from_vec(interpreter.to_vec()));
    let is_missing = !cwd.join(&interpreter).exists();
    is_missing.then_some(ScriptFault::NoInterpreter(interpreter))
}

/// Returns the file of a program: the named one, or the first one of that name in `PATH`.
fn find(program: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(cwd.join(program));
    }
    let mut files = std::env::split_paths(path?).map(|folder| cwd.join(folder).join(program));
    files.find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_script_without_interpreter_or_with_cr_lf_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        let fault = |text: &str| {
            fs::write(&script, text).unwrap();
            let by_path = script_fault(script.as_os_str(), None, Path::new("/"));
            let path = Some(folder.path().as_os_str());
            assert_eq!(script_fault(OsStr::new("script"), path, Path::new("/")), by_path);
            assert_eq!(script_fault(OsStr::new("./script"), None, folder.path()), by_path);
            by_path
        };
        let missing = |interpreter: &str| Some(ScriptFault::NoInterpreter(interpreter.into()));
        assert_eq!(fault("#!/no/such/sh -e\ntrue\n"), missing("/no/such/sh"));
        assert_eq!(fault("#! no/such/sh"), missing("no/such/sh"));
        assert_eq!(fault("#!/bin/sh\r\ntrue\r\n"), Some(ScriptFault::LineEnds(script.clone())));
        assert_eq!(
            fault("#!/usr/bin/env no-such\r\n"),
            Some(ScriptFault::LineEnds(script.clone()))
        );
        assert_eq!(fault("#!/bin/sh\ntrue\r\n"), None, "its interpreter exists");
        assert_eq!(fault("\u{7f}ELF\r\n"), None, "it is no script");
        assert_eq!(fault("#!"), None);
    }
}
