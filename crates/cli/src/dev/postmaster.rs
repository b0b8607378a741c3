//! Finds the Postgres server that runs on a data directory, from the file `postmaster.pid` that the server writes.
//!
//! The pid in the file is not enough. After a crash, or in a restarted container, it may belong to any other process. A
//! Postgres server changes its working directory to its data directory, so the working directory is compared too.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::{fcntl::OFlag, unistd::Pid};

use super::error::DevError;

/// The contents of a `postmaster.pid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub(crate) pid: Pid,
    /// The port. It is also part of the name of the socket.
    pub(crate) port: u16,
    /// The directory of the unix socket. Empty if the server has none.
    pub(crate) socket: PathBuf,
    /// Whether the server accepts connections.
    pub(crate) ready: bool,
}

impl Postmaster {
    /// Returns the server that runs on this data directory. `None` if no server runs.
    pub(crate) fn running(data: &Path) -> Option<Postmaster> {
        let postmaster = parse(&fs::read_to_string(lock_file(data)).ok()?)?;
        postmaster.is_server_of(data).then_some(postmaster)
    }

    /// Returns whether the process is alive and is the server of this data directory.
    pub(crate) fn is_server_of(&self, data: &Path) -> bool {
        let working_directory = fs::read_link(format!("/proc/{}/cwd", self.pid));
        working_directory
            .is_ok_and(|directory| fs::canonicalize(data).is_ok_and(|data| data == directory))
    }
}

/// Changes the lock file of a dead server so that a new server, a child of this process, can start.
///
/// A new server ignores the file if the process in it does not exist. If the pid now belongs to another process, the
/// server would refuse to start. The file cannot be deleted: it also names the shared memory that child processes of
/// the dead server may still use, and the new server must check that. So the pid of this process is written into the
/// file. A server ignores the pid of its parent.
pub(crate) fn release_stale_lock(data: &Path) -> Result<(), DevError> {
    let path = lock_file(data);
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let Some((_, other_lines)) = text.split_once('\n') else { return Ok(()) };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        // The directory belongs to the server's user, who could have put a symbolic link here.
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(&path)
        .map_err(DevError::system("open", &path))?;
    write!(file, "{}\n{other_lines}", std::process::id()).map_err(DevError::system("write", path))
}

fn lock_file(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

/// Parses a `postmaster.pid`. `None` if the file is incomplete.
///
/// The lines of the file are: pid, data directory, start time, port, directory of the socket, address, shared memory,
/// status.
fn parse(text: &str) -> Option<Postmaster> {
    let lines: Vec<&str> = text.lines().collect();
    Some(Postmaster {
        pid: Pid::from_raw(lines.first()?.trim().parse().ok().filter(|pid| *pid > 1)?),
        port: lines.get(3)?.trim().parse().ok()?,
        socket: PathBuf::from(lines.get(4).copied().unwrap_or_default()),
        ready: lines.get(7).is_some_and(|status| status.trim() == "ready"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "7766\n/tmp/x/data\n1795330000\n5432\n/tmp/x/socket\n\n 123 4\nready   \n";

    #[test]
    fn the_file_is_parsed() {
        let postmaster = parse(FILE).unwrap();
        let Postmaster { pid, port, ready, socket } = postmaster;
        assert_eq!((pid, port, ready), (Pid::from_raw(7766), 5432, true));
        assert_eq!(socket, Path::new("/tmp/x/socket"));
        assert!(!parse(&FILE.replace("ready", "starting")).unwrap().ready);
        assert_eq!(parse("77"), None, "half-written");
        assert_eq!(parse(&FILE.replace("7766", "-1")), None);
    }

    #[test]
    fn another_process_with_the_same_pid_is_not_the_server() {
        let data = tempfile::tempdir().unwrap();
        let text = FILE.replace("7766", &std::os::unix::process::parent_id().to_string());
        fs::write(data.path().join("postmaster.pid"), text).unwrap();
        assert_eq!(Postmaster::running(data.path()), None);
    }

    #[test]
    fn a_process_in_the_data_directory_is_the_server() {
        let data = tempfile::tempdir().unwrap();
        let mut sleep =
            std::process::Command::new("sleep").arg("60").current_dir(data.path()).spawn().unwrap();
        let text = FILE.replace("7766", &sleep.id().to_string());
        fs::write(data.path().join("postmaster.pid"), text).unwrap();
        let postmaster = Postmaster::running(data.path()).unwrap();
        assert_eq!(postmaster.pid.as_raw() as u32, sleep.id());
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        assert_eq!(Postmaster::running(data.path()), None);
    }

    #[test]
    fn a_stale_lock_file_gets_the_pid_of_this_process_and_keeps_its_other_lines() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("postmaster.pid"), FILE).unwrap();
        release_stale_lock(data.path()).unwrap();
        let text = fs::read_to_string(data.path().join("postmaster.pid")).unwrap();
        assert_eq!(text, FILE.replace("7766", &std::process::id().to_string()));
        fs::remove_file(data.path().join("postmaster.pid")).unwrap();
        release_stale_lock(data.path()).unwrap();
    }
}
