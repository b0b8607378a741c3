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
    path::{Path, PathBuf},
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
use rework_wire::operation::{Form, MAX_PAYLOAD_BYTES};

use crate::{
    input_variables::input_variables,
    runner_launcher::{Program, RunnerLauncher},
};

/// The most bytes of white space around JSON in an output file that do not count as output, because they are not
/// stored: most programs end their output with a newline.
const MAX_WHITE_SPACE_BYTES: u64 = 1 << 10;

/// Returns the command of an operation as the manifest declares it now.
pub(crate) fn find(path: &Path, domain: &str, name: &str) -> Result<CommandOperation, String> {
    let operations = manifest::load(path).map_err(|error| error.to_string())?;
    operations
        .into_iter()
        .find(|operation| {
            operation.definition.domain == domain && operation.definition.name == name
        })
        .ok_or_else(|| format!("`{}` has no operation `{name}` any more", path.display()))
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
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(OutputFile { folder, form })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("output")
    }

    /// Returns what the command wrote. `Err` describes why it cannot be the output.
    pub(crate) fn read(&self) -> Result<Payload, String> {
        // The command may have put anything there. Without `O_NONBLOCK` a named pipe without a writer would block the
        // worker. A device that never ends is refused, because only regular files are read.
        let opened =
            OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(self.path());
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Payload::None),
            Err(error) => return Err(error.to_string()),
        };
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Err("not a file".to_owned());
        }
        let mut bytes = Vec::new();
        let limit = MAX_PAYLOAD_BYTES + MAX_WHITE_SPACE_BYTES;
        let read = file.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        let stored = if self.form == Form::Bytes { bytes.as_slice() } else { bytes.trim_ascii() };
        if stored.len() as u64 > MAX_PAYLOAD_BYTES || bytes.len() as u64 > limit {
            return Err(format!("more than {}", bytes_text(MAX_PAYLOAD_BYTES)));
        }
        if self.form == Form::Bytes {
            return Ok(Payload::Bytes(bytes));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Payload::None);
        }
        let text = String::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
        serde_json::from_str::<serde::de::IgnoredAny>(&text)
            .map_err(|error| format!("not JSON: {error}"))?;
        Ok(Payload::Json(text.trim().to_owned()))
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
    launcher: &RunnerLauncher,
    operation: &CommandOperation,
    claimed: &ClaimedTask,
    lines: &mut Vec<NewLogLine>,
) -> io::Result<(Program, OutputFile)> {
    let fence = claimed.fence;
    let folder = launcher.folder().join(format!("{}.{}", fence.task, fence.run));
    let output = OutputFile::new(folder, operation.definition.output_form)?;
    let mut env = launcher.environment(|name| operation.passes_variable(name));
    env.extend(operation.env.iter().map(|(name, value)| (name.into(), value.into())));
    let inputs = input_variables(&claimed.input, &operation.env);
    env.extend(inputs.variables);
    lines.extend(inputs.warnings.into_iter().map(NewLogLine::warning));
    env.push(("REWORK_OUTPUT".into(), output.path().into()));
    env.push(("REWORK_TASK".into(), fence.task.to_string().into()));
    env.push(("REWORK_RUN".into(), fence.run.to_string().into()));
    env.push(("REWORK_ATTEMPT".into(), claimed.attempt.to_string().into()));
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
        assert!(read(Form::Json, b"{oops").unwrap_err().starts_with("not JSON"));
        assert!(read(Form::Json, b"\"\xff\"").unwrap_err().starts_with("not UTF-8"));
        assert!(!folder.path().join("1.1").exists());
    }
}
