//! Starting a Postgres server on a data directory, and knowing that it takes connections.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    process::Stdio,
    time::Duration,
};

use tokio::{
    process::Child,
    time::{Instant, sleep, timeout},
};

use super::{
    binaries::Binaries,
    cluster,
    error::DevError,
    layout::Layout,
    postmaster::{self, Postmaster},
    server_log,
};

/// The default port. It is only a part of the socket's name, but `psql` assumes it.
pub(crate) const PORT: u16 = 5432;

/// Crash recovery may replay much, and says nothing meanwhile.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long orphans of a dead server may hold its shared memory before we give up.
const ORPHANS_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// Starts a server as our child; nobody may be running on the data directory.
pub(crate) async fn start(binaries: &Binaries, layout: &Layout) -> Result<Child, DevError> {
    let began = Instant::now();
    loop {
        match start_once(binaries, layout).await {
            Err(DevError::Server { tail, .. })
                if tail.contains("shared memory block") && began.elapsed() < ORPHANS_LIMIT =>
            {
                sleep(Duration::from_millis(200)).await;
            }
            done => return done,
        }
    }
}

/// Waits until a server that somebody else started takes connections.
pub(crate) async fn adopt(found: Postmaster, layout: &Layout) -> Result<Postmaster, DevError> {
    let failed = |why: &str| DevError::Server {
        what: "cannot be used",
        tail: format!("process {} {why}", found.pid),
        log: layout.log.clone(),
    };
    match timeout(START_LIMIT, ready(&layout.data)).await {
        Ok(Some(running)) if running.socket.as_os_str().is_empty() => {
            Err(failed("has no unix socket"))
        }
        Ok(Some(running)) => Ok(running),
        Ok(None) => Err(failed("ended")),
        Err(_) => Err(failed("does not become ready")),
    }
}

async fn start_once(binaries: &Binaries, layout: &Layout) -> Result<Child, DevError> {
    postmaster::disarm(&layout.data)?;
    remove_left(&layout.socket.join(format!(".s.PGSQL.{PORT}.lock")))?;
    let (log, from) = server_log::open(&layout.log)?;
    let errors = log.try_clone().map_err(DevError::system("open", &layout.log))?;
    let mut command = cluster::program(binaries, "postgres", layout);
    command.arg("-D").arg(&layout.data);
    for setting in settings(&layout.socket) {
        command.arg("-c").arg(setting);
    }
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    let path = binaries.program("postgres");
    let mut child = command.spawn().map_err(DevError::system("run", path))?;
    let what = tokio::select! {
        _ = child.wait() => "did not start",
        // Until its lock file is there, it says of itself that it does not run.
        () = async { while ready(&layout.data).await.is_none() { sleep(POLL).await; } } => {
            return Ok(child);
        }
        () = sleep(START_LIMIT) => "did not become ready in time",
    };
    // It may have ended already; then there is nothing to kill.
    let _ = child.kill().await;
    let tail = server_log::tail(&layout.log, from);
    Err(DevError::Server { what, tail, log: layout.log.clone() })
}

/// The server that runs on this data directory, as soon as it takes connections; none: none runs.
async fn ready(data: &Path) -> Option<Postmaster> {
    loop {
        match Postmaster::running(data) {
            Some(running) if running.ready => return Some(running),
            Some(_) => sleep(POLL).await,
            None => return None,
        }
    }
}

/// On the command line, since they depend on the layout, or are promises. All others are left to
/// `postgresql.conf` in the data directory.
fn settings(socket: &Path) -> Vec<OsString> {
    let mut directory = OsString::from("unix_socket_directories=");
    directory.push(one_of_list(socket));
    let fixed = [
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "fsync=on",
        "max_connections=100",
        "shared_buffers=64MB",
        "logging_collector=off",
        "log_destination=stderr",
    ];
    fixed
        .map(OsString::from)
        .into_iter()
        .chain([directory, format!("port={PORT}").into()])
        .collect()
}

/// Several directories would be separated by commas; quotes make it one, whatever is in its name.
fn one_of_list(path: &Path) -> OsString {
    let mut quoted = vec![b'"'];
    for byte in path.as_os_str().as_bytes() {
        if *byte == b'"' {
            quoted.push(b'"');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    OsString::from_vec(quoted)
}

/// The socket's lock is of the same dead server as that of the data.
fn remove_left(path: &Path) -> Result<(), DevError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DevError::system("delete", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_commas_is_one() {
        assert_eq!(one_of_list(Path::new("/a,b/\"c\"")), "\"/a,b/\"\"c\"\"\"");
    }
}
