//! Commands: programs that do not know rework. A command reads its input from stdin. If the input is a JSON object, its
//! scalars are also in environment variables (`input_variables.rs`). The command writes its output to the file that
//! `REWORK_OUTPUT` names, and its exit code is its result.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::PathBuf,
};

use nix::{
    fcntl::OFlag,
    sys::memfd::{MFdFlags, memfd_create},
};
use rework_core::{
    module::manifest::{self, CommandOperation},
    task::{claim::ClaimedTask, payload::Payload, progress::NewLogLine},
    values::quantity,
};
use rework_process::{ScriptFault, script_fault};
use rework_wire::operation::{Form, MAX_PAYLOAD_BYTES};

use crate::{
    ending::OutputError,
    input_variables::input_variables,
    operations::Operation,
    runner_launcher::{Program, RunnerLauncher},
    start_error::{Fault, StartError, fault_of_file},
};

/// The most bytes of white space around JSON in an output file that do not count as output, because they are not
/// stored: most programs end their output with a newline.
const MAX_WHITE_SPACE_BYTES: u64 = 1 << 10;

/// Returns the command of an operation as the manifest declares it now.
pub(crate) fn find(operation: &Operation) -> Result<CommandOperation, StartError> {
    let (path, definition) = (&operation.code.path, &operation.definition);
    let found = manifest::load(path)?.into_iter().find(|declared| {
        (&declared.definition.domain, &declared.definition.name)
            == (&definition.domain, &definition.name)
    });
    found.ok_or_else(|| StartError::NotInManifest {
        path: path.clone(),
        name: definition.name.clone(),
    })
}

/// Returns why `env` did not find the interpreter of a command, if that is because of the line ends of the script.
/// `None` if the exit code 127 has another cause.
pub(crate) fn cause_of_exit_127(operation: &Operation) -> Option<ScriptFault> {
    let command = find(operation).ok()?;
    let program = *command.program.argv().first()?;
    let path = command.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
    script_fault(program, path.as_deref(), &command.cwd)
        .filter(|fault| matches!(fault, ScriptFault::LineEnds(_)))
}

/// The file to which a command writes its output. Its folder exists only for this run and is removed when this value is
/// dropped.
#[derive(Debug)]
pub(crate) struct OutputFile {
    folder: PathBuf,
    form: Form,
}

impl OutputFile {
    fn new(folder: PathBuf, form: Form) -> io::Result<OutputFile> {
        DirBuilder::new().mode(0o700).create(&folder).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot create `{}`: {error}", folder.display()))
        })?;
        Ok(OutputFile { folder, form })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("output")
    }

    /// Returns what the command wrote.
    pub(crate) fn read(&self) -> Result<Payload, OutputError> {
        let refused = |why: String| Err(OutputError::Refused(why));
        // The command may have put anything there. Without `O_NONBLOCK` a named pipe without a writer would block the
        // worker. A device that never ends is refused, because only regular files are read.
        let opened =
            OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(self.path());
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.no_output(),
            Err(error) => return Err(error_of_file(&error)),
        };
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return refused("not a file".to_owned());
        }
        let mut bytes = Vec::new();
        let limit = MAX_PAYLOAD_BYTES + MAX_WHITE_SPACE_BYTES;
        let read = file.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| error_of_file(&error))?;
        let stored = if self.form == Form::Bytes { bytes.as_slice() } else { bytes.trim_ascii() };
        if stored.len() as u64 > MAX_PAYLOAD_BYTES || bytes.len() as u64 > limit {
            return refused(format!("more than {}", bytes_text(MAX_PAYLOAD_BYTES)));
        }
        if self.form == Form::Bytes {
            return Ok(Payload::Bytes(bytes));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Payload::None);
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return refused(format!("not UTF-8: {error}")),
        };
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(Payload::Json(text.trim().to_owned())),
            Err(error) => refused(format!("not JSON: {error}")),
        }
    }

    /// Returns the output of a command without an output file. `Err` if the whole folder is missing: then somebody else
    /// has deleted it, perhaps together with the file.
    fn no_output(&self) -> Result<Payload, OutputError> {
        if self.folder.exists() {
            return Ok(Payload::None);
        }
        let folder = self.folder.display();
        Err(OutputError::Unreadable(format!("`{folder}` was deleted while the command ran")))
    }
}

/// Returns what is recorded if an output file cannot be read. That is the command's own fault, unless the system is
/// short of something.
fn error_of_file(error: &io::Error) -> OutputError {
    if fault_of_file(error) == Fault::Host {
        OutputError::Unreadable(error.to_string())
    } else {
        OutputError::Refused(error.to_string())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!("{}: {error}", self.folder.display());
        }
    }
}

fn bytes_text(bytes: u64) -> String {
    quantity::show_bytes(bytes as i64)
}

/// Returns the program to start for a run, and its output file. `lines` receives warnings about inputs that have no
/// variable.
pub(crate) fn prepare(
    launcher: &mut RunnerLauncher,
    operation: &CommandOperation,
    claimed: &ClaimedTask,
    lines: &mut Vec<NewLogLine>,
) -> Result<(Program, OutputFile), StartError> {
    let fence = claimed.fence;
    let folder = launcher.folder().map_err(StartError::Folder)?;
    let folder = folder.join(format!("{}.{}", fence.task, fence.run));
    let output =
        OutputFile::new(folder, operation.definition.output_form).map_err(StartError::Folder)?;
    let mut env = launcher.environment(|name| operation.passes_variable(name));
    env.extend(operation.env.iter().map(|(name, value)| (name.into(), value.into())));
    let inputs = input_variables(&claimed.input, &operation.env);
    env.extend(inputs.variables);
    lines.extend(inputs.warnings.into_iter().map(NewLogLine::warning));
    env.push(("REWORK_OUTPUT".into(), output.path().into()));
    env.push(("REWORK_TASK".into(), fence.task.to_string().into()));
    env.push(("REWORK_RUN".into(), fence.run.to_string().into()));
    env.push(("REWORK_ATTEMPT".into(), claimed.attempt.to_string().into()));
    // A manifest without a program is refused when it is read.
    let argv: Vec<OsString> = operation.program.argv().into_iter().map(OsString::from).collect();
    let (first, rest) =
        argv.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let program = Program {
        executable: first.clone(),
        args: rest.to_vec(),
        cwd: operation.cwd.clone(),
        env,
        stdin: file_of(&claimed.input)?,
    };
    Ok((program, output))
}

/// Returns the program that checks whether a command is available. It runs in the folder and with the environment of
/// the command, without the variables of a run.
pub(crate) fn check_program(
    launcher: &RunnerLauncher,
    operation: &CommandOperation,
    check: &manifest::Program,
) -> Result<Program, StartError> {
    let mut env = launcher.environment(|name| operation.passes_variable(name));
    env.extend(operation.env.iter().map(|(name, value)| (name.into(), value.into())));
    let mut argv = check.argv().into_iter().map(OsString::from);
    // A manifest whose check has no program is refused when it is read.
    let executable = argv.next().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let (cwd, stdin) = (operation.cwd.clone(), file_of(&Payload::None)?);
    Ok(Program { executable, args: argv.collect(), cwd, env, stdin })
}

/// Returns a memory file with the input. The worker never waits for the command to read it.
fn file_of(input: &Payload) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"rework-input", MFdFlags::MFD_CLOEXEC)?);
    match input {
        Payload::None => {}
        Payload::Json(text) => file.write_all(text.as_bytes())?,
        Payload::Bytes(bytes) => file.write_all(bytes)?,
    }
    file.rewind()?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_is_not_json_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let read = |form, bytes: &[u8]| {
            let output = OutputFile::new(folder.path().join("1.1"), form).unwrap();
            fs::write(output.path(), bytes).unwrap();
            output.read()
        };
        let json = |text: &str| Ok(Payload::Json(text.to_owned()));
        assert_eq!(read(Form::Json, b" {\"a\": \"\\u0000\"}\n"), json("{\"a\": \"\\u0000\"}"));
        assert_eq!(read(Form::Json, b"\n"), Ok(Payload::None));
        assert_eq!(read(Form::Bytes, b"\x00\xff"), Ok(Payload::Bytes(b"\x00\xff".to_vec())));
        let refused = |bytes: &[u8]| match read(Form::Json, bytes) {
            Err(OutputError::Refused(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(b"{oops").starts_with("not JSON"));
        assert!(refused(b"\"\xff\"").starts_with("not UTF-8"));
        assert!(!folder.path().join("1.1").exists());
    }

    #[test]
    fn a_command_whose_folder_was_deleted_has_an_unknown_output() {
        let folder = tempfile::tempdir().unwrap();
        let output = OutputFile::new(folder.path().join("1.1"), Form::Json).unwrap();
        assert_eq!(output.read(), Ok(Payload::None));
        fs::remove_dir(folder.path().join("1.1")).unwrap();
        assert!(matches!(output.read(), Err(OutputError::Unreadable(_))));
    }
}
