//! A Postgres server of a test's own, to be stopped, killed and started again under the product.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};

use super::{processes, wait};

/// The server and its files, which go with it.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
    options: Vec<String>,
}

/// How a server is asked to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// Whoever is connected is thrown out.
    Fast,
    /// As if it crashed.
    Immediate,
}

impl Cluster {
    /// Makes one, and starts it.
    pub(crate) fn new() -> Cluster {
        Cluster::with(&[], |_| {})
    }

    /// With more settings, and files that these name: `prepare` makes them in the folder that it is given.
    pub(crate) fn with(options: &[&str], prepare: impl FnOnce(&Path)) -> Cluster {
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
        give_to_server(&data);
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut cluster = Cluster { folder, port: free_port(), server: None, options };
        cluster.start();
        cluster
    }

    /// Where its databases are, for its superuser.
    pub(crate) fn dsn(&self, database: &str) -> String {
        format!("postgres://rework@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it, and waits until it answers.
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
            let pid = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            pid.lines().last().is_some_and(|line| line.starts_with("ready"))
        };
        wait::until("the server answers", || self.log(), ready);
    }

    /// Stops it, and waits until it is gone.
    pub(crate) fn stop(&mut self, how: Stop) {
        let Some(mut server) = self.server.take() else { return };
        let signal = match how {
            Stop::Fast => Signal::SIGINT,
            Stop::Immediate => Signal::SIGQUIT,
        };
        processes::signal(i32::try_from(server.id()).unwrap(), signal);
        wait::until(
            "the server has stopped",
            || self.log(),
            || server.try_wait().unwrap().is_some(),
        );
    }

    /// What it wrote.
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

fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("REWORK_TEST_PG_BIN").expect("run the tests by `make test`");
    Path::new(&folder).join(name)
}

/// Postgres refuses to run as root.
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
        .args(["--clear-groups", "--pdeathsig", "QUIT"])
        .arg(program)
        .current_dir(data);
    command
}

/// Files that a test has put there.
fn give_to_server(data: &Path) {
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
    user.expect("there is a user for the server")
}

/// Free now; below the range that the kernel hands out to outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 8_000).unwrap();
    let next = || 12_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 8_000;
    std::iter::repeat_with(next)
        .take(8_000)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}
