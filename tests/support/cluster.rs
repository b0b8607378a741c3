//! A Postgres server for one test, which the test can stop and start again while monitors use it.
//!
//! Other tests share one server, see `server.rs`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};

use super::session::Session;
use super::{processes, wait};

/// A Postgres server with its data folder. Both are removed when the value is dropped.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
    /// Settings of the form `name=value`.
    options: Vec<String>,
}

/// A shutdown mode of Postgres.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ShutdownMode {
    /// Closes all connections and shuts down cleanly.
    Fast,
    /// Exits without a checkpoint, like a crash. The next start runs recovery.
    Immediate,
}

impl Cluster {
    /// Makes a server and starts it.
    pub(crate) fn new() -> Cluster {
        Cluster::with_settings(&[], |_| {})
    }

    /// Makes a server with more settings and starts it. `prepare` gets the data folder and writes files there that
    /// the settings name, for example certificates.
    pub(crate) fn with_settings(options: &[&str], prepare: impl FnOnce(&Path)) -> Cluster {
        let folder = tempfile::Builder::new().prefix("rework-cluster-").tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let initdb = as_server_user(&program("initdb"), &data)
            .args(["--username=rework", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .arg("--no-sync")
            .arg(format!("--pgdata={}", data.display()))
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        prepare(&data);
        chown_to_server_user(&data);
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut cluster = Cluster { folder, port: free_port(), server: None, options };
        cluster.start();
        cluster
    }

    /// Makes a standby of this server with `pg_basebackup`, and starts it. It replicates by streaming. It is not
    /// promoted before [`Cluster::promote`].
    pub(crate) fn standby(&self) -> Cluster {
        let folder = tempfile::Builder::new().prefix("rework-cluster-").tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
        let backup = as_server_user(&program("pg_basebackup"), &data)
            .args([
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
            ])
            .arg(format!("--dbname=host=127.0.0.1 port={} user=rework", self.port))
            .arg(format!("--pgdata={}", data.display()))
            .output()
            .unwrap();
        assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
        std::fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
        let options = self.options.clone();
        let mut standby = Cluster { folder, port: free_port(), server: None, options };
        standby.start();
        standby
    }

    /// Promotes a standby and waits until it accepts writes.
    pub(crate) fn promote(&self) {
        let session = Session::open(&self.dsn("postgres"));
        assert!(session.query_value::<bool>("select pg_promote()", &[]), "{}", self.log());
    }

    /// Returns the DSN of a database of this server for its superuser.
    pub(crate) fn dsn(&self, database: &str) -> String {
        format!("postgres://rework@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server and waits until it accepts connections.
    pub(crate) fn start(&mut self) {
        let data = self.data();
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = as_server_user(&program("postgres"), &data);
        command
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", &format!("port={}", self.port)]);
        for option in &self.options {
            command.args(["-c", option]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.server = Some(command.spawn().unwrap());
        let ready = || {
            // The last line of this file is the status of the server, as `pg_ctl` reads it.
            let status = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            status.lines().last().is_some_and(|line| line.starts_with("ready"))
        };
        wait::until("the Postgres server is ready", || self.log(), ready);
    }

    /// Stops the server and waits until its process has ended. Does nothing if it does not run.
    pub(crate) fn stop(&mut self, mode: ShutdownMode) {
        let Some(mut server) = self.server.take() else { return };
        let signal = match mode {
            ShutdownMode::Fast => Signal::SIGINT,
            ShutdownMode::Immediate => Signal::SIGQUIT,
        };
        processes::signal(i32::try_from(server.id()).unwrap(), signal);
        wait::until(
            "the Postgres server has stopped",
            || self.log(),
            || server.try_wait().unwrap().is_some(),
        );
    }

    /// Returns what the server has written since its latest start.
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            processes::signal(i32::try_from(server.id()).unwrap(), Signal::SIGQUIT);
            let _ = server.wait();
        }
    }
}

/// Returns the path of a program of Postgres.
fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("REWORK_TEST_PG_BIN")
        .expect("REWORK_TEST_PG_BIN is not set: run `make test`");
    // The directory may have links to only some of the programs. The directory to which they lead has all.
    let postgres = Path::new(&folder).join("postgres").canonicalize().unwrap();
    postgres.with_file_name(name)
}

/// Returns a command that runs `program` as another user if the tests run as root, because Postgres refuses to run as
/// root. This user becomes the owner of `data`.
fn as_server_user(program: &Path, data: &Path) -> Command {
    if !Uid::effective().is_root() {
        return Command::new(program);
    }
    let user = server_user();
    nix::unistd::chown(data, Some(user.uid), Some(user.gid)).unwrap();
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={}", user.uid))
        .arg(format!("--regid={}", user.gid))
        // The server ends with the tests, even if they are killed.
        .args(["--clear-groups", "--pdeathsig", "QUIT"])
        .arg(program)
        .current_dir(data);
    command
}

/// Makes the user of the server the owner of the files that a test has written to the data folder.
fn chown_to_server_user(data: &Path) {
    if Uid::effective().is_root() {
        let user = server_user();
        for file in data.read_dir().unwrap() {
            let path = file.unwrap().path();
            nix::unistd::chown(&path, Some(user.uid), Some(user.gid)).unwrap();
        }
    }
}

fn server_user() -> User {
    let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).unwrap());
    user.expect("neither user `postgres` nor user `nobody` exists")
}

/// Returns a port that is free now.
///
/// Ports from 12 000 to 19 999 are below the range from which the kernel chooses ports of outgoing connections
/// (32 768 and more by default), so that none of these takes the port before the caller does. Test processes that run
/// at the same time start at different ports.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 8_000).unwrap();
    let next = || 12_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 8_000;
    std::iter::repeat_with(next)
        .take(8_000)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no port from 12000 to 19999 is free")
}
