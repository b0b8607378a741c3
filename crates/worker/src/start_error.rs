//! The errors with which a run cannot start, and whose fault each of them is. A fault of the operation ends its task. A
//! fault of the host does not: the task is queued again, and the host takes no more such tasks for a while. Otherwise a
//! broken host would fail one task after the other. This file only classifies; `start_failure.rs` acts.

use std::{io, path::PathBuf, time::Duration};

use nix::errno::Errno;
use rework_core::{
    db::error::Error as DatabaseError,
    module::manifest::{ManifestError, ManifestErrorKind},
};
use rework_process::{Exit, LaunchError, ScriptFault};
use rework_wire::frame::FrameError;

/// The side that is at fault if a run cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The operation itself is wrong: its file cannot be executed, is no runner, or fails while it is loaded.
    Operation,
    /// This host cannot start this operation now: a file is missing, cannot be reached, or is still being written.
    Placement,
    /// This host can start nothing now: it is short of memory, processes, descriptors or space on a disk.
    Host,
}

/// The reason why a run could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The file of the operation cannot be read.
    #[error("`{}`: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The manifest of the operation cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest does not declare the operation any more.
    #[error("`{}` has no operation `{name}` any more", path.display())]
    NotInManifest { path: PathBuf, name: String },
    /// The program could not be executed.
    #[error("{}", with_sources(.0))]
    Launch(#[from] LaunchError),
    /// The worker's folder for temporary files cannot be used. The message names it.
    #[error("{0}")]
    Folder(#[source] io::Error),
    /// The system refused something that a runner needs.
    #[error("the system cannot provide what a runner needs: {0}")]
    System(#[from] io::Error),
    /// The process ended before it sent `hello`.
    #[error("`{}`: it ended before it was ready: {exit}{last_line}", path.display())]
    Ended {
        path: PathBuf,
        exit: Exit,
        /// The last line that the process wrote, after `: `; empty if it wrote none.
        last_line: String,
        /// Whether it exceeded the memory limit of the operation.
        out_of_memory: bool,
    },
    /// The process did not send `hello` in time.
    #[error("`{}`: it was not ready after {} s, the start timeout", path.display(), limit.as_secs())]
    Timeout { path: PathBuf, limit: Duration },
    /// The first frame is not a `hello` of the supported version.
    #[error("`{}`: it does not speak this version of the runner protocol: {why}", path.display())]
    Protocol { path: PathBuf, why: String },
    /// The run cannot be sent to the runner.
    #[error("{0}")]
    Request(#[source] FrameError),
    /// The database did not return the operation.
    #[error("{0}")]
    Database(#[source] DatabaseError),
    /// The task that writes to the database has ended, and the worker ends too.
    #[error("the worker is ending")]
    Ending,
    /// The operation was unregistered on this host after the claim.
    #[error("this host does not run the operation any more")]
    Unregistered,
    /// The operation has a kind that this program does not know, because the program is too old.
    #[error("this `rework` does not know the kind `{0}`")]
    UnknownKind(String),
    /// The check of the operation has answered that this host cannot run it now.
    #[error("not available on this host: {0}")]
    Unavailable(String),
    /// The check of the operation has not answered.
    #[error("its check {0}")]
    NoAnswer(String),
    /// The stored input schema is not valid.
    #[error("its input schema: {0}")]
    Schema(String),
}

impl StartError {
    /// Returns whose fault the error is.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            StartError::File { source, .. } => fault_of_file(source),
            StartError::Manifest(error) => match &error.kind {
                ManifestErrorKind::Unreadable(source) => fault_of_file(source),
                _ => Fault::Operation,
            },
            StartError::Launch(error) => fault_of_launch(error),
            StartError::Ended { exit, out_of_memory, .. } => {
                // No program sends SIGKILL to itself: the kernel does if the memory of the host is used up.
                let is_killed = matches!(exit, Exit::Signal { signal: 9, .. });
                if is_killed && !out_of_memory { Fault::Placement } else { Fault::Operation }
            }
            StartError::Database(DatabaseError::Unreadable { .. })
            | StartError::NotInManifest { .. }
            | StartError::Timeout { .. }
            | StartError::Protocol { .. }
            | StartError::Request(_)
            | StartError::Schema(_) => Fault::Operation,
            // A refusal of the database that may pass is not an error here: the worker repeats the request.
            StartError::Unregistered
            | StartError::UnknownKind(_)
            | StartError::Unavailable(_)
            | StartError::NoAnswer(_)
            | StartError::Database(_) => Fault::Placement,
            StartError::Folder(_) | StartError::System(_) | StartError::Ending => Fault::Host,
        }
    }
}

fn fault_of_launch(error: &LaunchError) -> Fault {
    match error {
        LaunchError::Program { source, .. } | LaunchError::Folder { source, .. } => {
            fault_of_file(source)
        }
        LaunchError::Script { source: ScriptFault::NoInterpreter(_), .. } => Fault::Placement,
        LaunchError::Script { source: ScriptFault::LineEnds(_), .. } => Fault::Operation,
        LaunchError::System(_) => Fault::Host,
    }
}

/// Returns whose fault it is that a file of an operation cannot be used. An error without a number is one of the
/// content, such as text that is not UTF-8.
pub(crate) fn fault_of_file(error: &io::Error) -> Fault {
    let Some(code) = error.raw_os_error() else { return Fault::Operation };
    match Errno::from_raw(code) {
        Errno::EACCES
        | Errno::EPERM
        | Errno::EISDIR
        | Errno::ELOOP
        | Errno::ENAMETOOLONG
        | Errno::ENOEXEC
        | Errno::ELIBBAD
        | Errno::E2BIG
        | Errno::EINVAL => Fault::Operation,
        Errno::EMFILE
        | Errno::ENFILE
        | Errno::ENOMEM
        | Errno::EAGAIN
        | Errno::ENOSPC
        | Errno::EDQUOT
        | Errno::ENOBUFS => Fault::Host,
        // ENOENT, ETXTBSY (the file is being written), ESTALE, EIO, …
        _ => Fault::Placement,
    }
}

/// Returns the text of an error together with those of its sources, which name the file or system call.
fn with_sources(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", with_sources(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errno(errno: Errno) -> io::Error {
        errno.into()
    }

    fn program(error: Errno) -> StartError {
        LaunchError::Program { program: "x".to_owned(), source: errno(error) }.into()
    }

    fn script(source: ScriptFault) -> StartError {
        LaunchError::Script { program: "x".to_owned(), source }.into()
    }

    fn ended(exit: Exit, out_of_memory: bool) -> StartError {
        StartError::Ended { path: "/x".into(), exit, last_line: String::new(), out_of_memory }
    }

    #[test]
    fn only_a_wrong_operation_is_a_fault_of_the_operation() {
        let path = PathBuf::from("/x");
        let killed = Exit::Signal { signal: 9, core: false };
        let crashed = Exit::Signal { signal: 11, core: false };
        let not_utf8 = io::Error::from(io::ErrorKind::InvalidData);
        let manifest =
            |kind| StartError::from(ManifestError { path: "/x".into(), line: None, kind });
        for (error, fault) in [
            (program(Errno::EACCES), Fault::Operation),
            (program(Errno::ENOEXEC), Fault::Operation),
            (program(Errno::E2BIG), Fault::Operation),
            (program(Errno::ENOENT), Fault::Placement),
            (program(Errno::ETXTBSY), Fault::Placement),
            (program(Errno::ESTALE), Fault::Placement),
            (program(Errno::EIO), Fault::Placement),
            (program(Errno::ENOSPC), Fault::Host),
            (program(Errno::EMFILE), Fault::Host),
            (script(ScriptFault::NoInterpreter(path.clone())), Fault::Placement),
            (script(ScriptFault::LineEnds(path.clone())), Fault::Operation),
            (LaunchError::System(errno(Errno::EAGAIN)).into(), Fault::Host),
            (errno(Errno::ENOMEM).into(), Fault::Host),
            (StartError::Folder(errno(Errno::ENOENT)), Fault::Host),
            (StartError::File { path, source: errno(Errno::ENOENT) }, Fault::Placement),
            (manifest(ManifestErrorKind::Unreadable(errno(Errno::ENOENT))), Fault::Placement),
            (manifest(ManifestErrorKind::Unreadable(errno(Errno::EMFILE))), Fault::Host),
            (manifest(ManifestErrorKind::Unreadable(not_utf8)), Fault::Operation),
            (manifest(ManifestErrorKind::Empty), Fault::Operation),
            (ended(Exit::Code(1), false), Fault::Operation),
            (ended(crashed, false), Fault::Operation),
            (ended(killed, false), Fault::Placement),
            (ended(killed, true), Fault::Operation),
            (StartError::Database(DatabaseError::LeaseLost), Fault::Placement),
            (StartError::UnknownKind("perl".to_owned()), Fault::Placement),
            (StartError::Unavailable("no display".to_owned()), Fault::Placement),
            (StartError::NoAnswer("took longer than 5 s".to_owned()), Fault::Placement),
        ] {
            assert_eq!(error.fault(), fault, "{error:?}");
        }
    }

    #[test]
    fn the_reason_names_the_file() {
        for (error, reason) in [
            (program(Errno::ENOENT), "cannot execute `x`: No such file or directory (os error 2)"),
            (
                script(ScriptFault::NoInterpreter("/no/sh".into())),
                "cannot execute `x`: its first line names the interpreter `/no/sh`, which does not exist",
            ),
            (ended(Exit::Code(1), false), "`/x`: it ended before it was ready: exit code 1"),
        ] {
            assert_eq!(error.to_string(), reason);
        }
    }
}
