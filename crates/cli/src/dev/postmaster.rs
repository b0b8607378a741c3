//! Who runs on a data directory: what the server wrote into its `postmaster.pid`, and whether that
//! is still true.
//!
//! A process number alone proves nothing: after a crash, or in a container that started again, it
//! may belong to anybody. The server stands in its data directory, so that is compared.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::{fcntl::OFlag, unistd::Pid};

use super::error::DevError;

/// What a `postmaster.pid` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postmaster {
    /// Its process.
    pub(crate) pid: Pid,
    /// The port, which is also in the name of the socket.
    pub(crate) port: u16,
    /// The directory of its unix socket; empty: it has none.
    pub(crate) socket: PathBuf,
    /// Whether it takes connections.
    pub(crate) ready: bool,
}

impl Postmaster {
    /// The server that runs on this data directory, if one does.
    pub(crate) fn running(data: &Path) -> Option<Postmaster> {
        let found = parse(&fs::read_to_string(lock_file(data)).ok()?)?;
        found.stands_in(data).then_some(found)
    }

    /// Whether its process lives and is the server of this data directory.
    pub(crate) fn stands_in(&self, data: &Path) -> bool {
        let stands_in = fs::read_link(format!("/proc/{}/cwd", self.pid));
        stands_in.is_ok_and(|directory| fs::canonicalize(data).is_ok_and(|data| data == directory))
    }
}

/// Makes a lock file that a dead server left no obstacle to the next one, which is to be our child.
///
/// The server itself overlooks it when the process is gone. Where the number belongs to another
/// process by now, it would refuse; the file cannot just be deleted, since the server also finds in
/// it the shared memory that orphans of the dead one may still use. So it gets our own number: a
/// server overlooks that of its parent.
pub(crate) fn disarm(data: &Path) -> Result<(), DevError> {
    let path = lock_file(data);
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let Some((_, rest)) = text.split_once('\n') else { return Ok(()) };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(&path)
        .map_err(DevError::system("open", &path))?;
    write!(file, "{}\n{rest}", std::process::id()).map_err(DevError::system("write", path))
}

fn lock_file(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

/// Lines: process, data directory, start, port, socket's directory, address, shared memory, status.
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
    fn the_file_is_read() {
        let found = parse(FILE).unwrap();
        assert_eq!((found.pid, found.port, found.ready), (Pid::from_raw(7766), 5432, true));
        assert_eq!(found.socket, Path::new("/tmp/x/socket"));
        assert!(!parse(&FILE.replace("ready", "starting")).unwrap().ready);
        assert_eq!(parse("77"), None, "half-written");
        assert_eq!(parse(&FILE.replace("7766", "-1")), None);
    }

    #[test]
    fn another_process_with_that_number_is_no_server() {
        let data = tempfile::tempdir().unwrap();
        let text = FILE.replace("7766", &std::os::unix::process::parent_id().to_string());
        fs::write(data.path().join("postmaster.pid"), text).unwrap();
        assert_eq!(Postmaster::running(data.path()), None);
    }

    #[test]
    fn a_process_that_stands_there_is() {
        let data = tempfile::tempdir().unwrap();
        let mut sleep =
            std::process::Command::new("sleep").arg("60").current_dir(data.path()).spawn().unwrap();
        let text = FILE.replace("7766", &sleep.id().to_string());
        fs::write(data.path().join("postmaster.pid"), text).unwrap();
        let found = Postmaster::running(data.path()).unwrap();
        assert_eq!(found.pid.as_raw() as u32, sleep.id());
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        assert_eq!(Postmaster::running(data.path()), None);
    }

    #[test]
    fn what_a_dead_server_left_gets_our_number_and_keeps_the_rest() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("postmaster.pid"), FILE).unwrap();
        disarm(data.path()).unwrap();
        let text = fs::read_to_string(data.path().join("postmaster.pid")).unwrap();
        assert_eq!(text, FILE.replace("7766", &std::process::id().to_string()));
        fs::remove_file(data.path().join("postmaster.pid")).unwrap();
        disarm(data.path()).unwrap();
    }
}
