//! Starts a Postgres server on a data directory, or adopts a running one, and waits until it accepts connections.

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

/// The port, which is only a part of the socket's name. It is the default port, so `psql` needs no option.
pub(crate) const PORT: u16 = 5432;

/// How long a start may take. Crash recovery may have to replay a large amount of WAL.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long to wait for child processes of a dead server that still use its shared memory.
const ORPHANS_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval at which the state of a starting server is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Starts a server as a child process and waits until it accepts connections. No server may run on the data directory.
///
/// Tries again while child processes of a dead server still use its shared memory.
pub(crate) async fn start(binaries: &Binaries, layout: &Layout) -> Result<Child, DevError> {
    let started_at = Instant::now();
    loop {
        match start_once(binaries, layout).await {
            Err(DevError::Server { tail, .. })
                if tail.contains("shared memory block")
                    && started_at.elapsed() < ORPHANS_TIMEOUT =>
            {
                sleep(Duration::from_millis(200)).await;
            }
            result => return result,
        }
    }
}

/// Waits until a server that another process started accepts connections. `Err` if it has no unix
/// socket, exits, or does not become ready in time.
pub(crate) async fn adopt(postmaster: Postmaster, layout: &Layout) -> Result<Postmaster, DevError> {
    let failed = |reason: &str| DevError::Server {
        problem: "is already running and cannot be used",
        tail: format!("process {} {reason}", postmaster.pid),
        log: layout.log.clone(),
    };
    match timeout(START_TIMEOUT, ready(&layout.data)).await {
        Ok(Some(running)) if running.socket.as_os_str().is_empty() => {
            Err(failed("has no unix socket"))
        }
        Ok(Some(running)) => Ok(running),
        Ok(None) => Err(failed("exited")),
        Err(_) => Err(failed("did not become ready in time")),
    }
}

/// Tries to start a server once. `Err` with the last lines of its log if it exits or does not become ready in time.
async fn start_once(binaries: &Binaries, layout: &Layout) -> Result<Child, DevError> {
    postmaster::release_stale_lock(&layout.data)?;
    // The lock file of the socket belongs to the same dead server. It does not name shared memory, so it can be
    // deleted.
    remove_if_exists(&layout.socket.join(format!(".s.PGSQL.{PORT}.lock")))?;
    let (log, log_start) = server_log::open(&layout.log)?;
    let stderr = log.try_clone().map_err(DevError::system("open", &layout.log))?;
    let mut command = cluster::program(binaries, "postgres", layout);
    command.arg("-D").arg(&layout.data);
    for setting in settings(&layout.socket) {
        command.arg("-c").arg(setting);
    }
    command.stdin(Stdio::null()).stdout(log).stderr(stderr);
    let path = binaries.program("postgres");
    let mut child = command.spawn().map_err(DevError::system("run", path))?;
    let problem = tokio::select! {
        _ = child.wait() => "did not start",
        // `ready` returns `None` until the server has written its lock file, so it is called in a loop.
        () = async { while ready(&layout.data).await.is_none() { sleep(POLL_INTERVAL).await; } } => {
            return Ok(child);
        }
        () = sleep(START_TIMEOUT) => "did not become ready in time",
    };
    // An error means that the server has already exited.
    let _ = child.kill().await;
    let tail = server_log::tail(&layout.log, log_start);
    Err(DevError::Server { problem, tail, log: layout.log.clone() })
}

/// Waits until the server on this data directory accepts connections, and returns it. `None` if no server runs.
async fn ready(data: &Path) -> Option<Postmaster> {
    loop {
        match Postmaster::running(data) {
            Some(running) if running.ready => return Some(running),
            Some(_) => sleep(POLL_INTERVAL).await,
            None => return None,
        }
    }
}

/// Returns the settings that are passed on the command line, because they depend on the directories or because the
/// documentation promises them. Users may change all other settings in `postgresql.conf` in the data directory.
fn settings(socket: &Path) -> Vec<OsString> {
    let mut directory = OsString::from("unix_socket_directories=");
    directory.push(quote_list_item(socket));
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

/// Quotes a directory for a setting that is a list separated by commas, so that a comma in its name does not split it.
fn quote_list_item(path: &Path) -> OsString {
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

/// Deletes a file if it exists.
fn remove_if_exists(path: &Path) -> Result<(), DevError> {
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
    fn a_directory_with_a_comma_is_one_item() {
        assert_eq!(quote_list_item(Path::new("/a,b/\"c\"")), "\"/a,b/\"\"c\"\"\"");
    }
}
