//! Runs the private Postgres of a project. The first start creates its data, later starts use the same data, and the
//! server stops with `rework dev`.
//!
//! The server listens on a unix socket only, in a directory that only its user and root can enter. It is as durable as
//! in production. A server that still runs after an earlier `rework dev` was killed is adopted.

use std::{
    fmt::Write as _,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use super::{
    binaries::Binaries,
    cluster::{self, NAME},
    error::DevError,
    layout::Layout,
    postmaster::Postmaster,
    server::{self, PORT},
    server_log,
};

/// The signals that stop a server, each with the time to wait for its exit afterwards.
///
/// SIGINT is the fast shutdown, which writes a checkpoint. SIGQUIT is the immediate shutdown, which writes nothing.
const STOP_SIGNALS: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(20)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
/// The interval at which the exit of an adopted server is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A running private Postgres.
#[derive(Debug)]
pub struct PrivatePostgres {
    /// The DSN for a superuser. It contains no password, and a shell does not need quotes for it.
    pub dsn: String,
    /// The data directory.
    pub data: PathBuf,
    /// The file with the server's log.
    pub log: PathBuf,
    /// Whether this process started the server. Otherwise the server was adopted.
    pub started_by_us: bool,
    server: Server,
}

#[derive(Debug)]
enum Server {
    /// A server that this process started.
    Child(Child),
    /// A server that was already running. It is not a child, so its exit must be polled.
    Adopted(Postmaster),
}

impl PrivatePostgres {
    /// Starts the private Postgres of a project: creates its data if there is none, and starts a server unless one is
    /// already running.
    ///
    /// `project` must be an absolute path. The caller must hold the lock of the project (`project_lock.rs`).
    pub async fn start(project: &Path) -> Result<PrivatePostgres, DevError> {
        let layout = Layout::of(project)?;
        let existing = cluster::version(&layout.data);
        let binaries = Binaries::find(existing, layout.user.as_ref())?;
        if existing.is_none() {
            cluster::create(&binaries, &layout).await?;
        }
        let (server, dsn) = if let Some(postmaster) = Postmaster::running(&layout.data) {
            let postmaster = server::adopt(postmaster, &layout).await?;
            let dsn = dsn(&postmaster.socket, postmaster.port);
            (Server::Adopted(postmaster), dsn)
        } else {
            let child = server::start(&binaries, &layout).await?;
            (Server::Child(child), dsn(&layout.socket, PORT))
        };
        let started_by_us = matches!(server, Server::Child(_));
        Ok(PrivatePostgres { dsn, data: layout.data, log: layout.log, started_by_us, server })
    }

    /// Waits until the server exits. Normally it does not exit by itself. Returns an error that
    /// quotes its log.
    pub async fn exited(&mut self) -> DevError {
        self.wait().await;
        self.error("exited")
    }

    /// Stops the server with a fast shutdown. If that takes too long, stops it immediately.
    pub async fn stop(mut self) -> Result<(), DevError> {
        for (signal, limit) in STOP_SIGNALS {
            self.signal(signal);
            if timeout(limit, self.wait()).await.is_ok() {
                return Ok(());
            }
        }
        Err(self.error("did not stop"))
    }

    fn signal(&self, signal: Signal) {
        let pid = match &self.server {
            // The kernel does not reuse the pid of a child until the parent has waited for it. `id` is then `None`.
            Server::Child(child) => child.id().map(|id| Pid::from_raw(id as i32)),
            Server::Adopted(postmaster) => {
                postmaster.is_server_of(&self.data).then_some(postmaster.pid)
            }
        };
        if let Some(pid) = pid {
            // An error means that the process has just exited, which is the purpose of the signal.
            let _ = kill(pid, signal);
        }
    }

    /// Waits until the server exits.
    async fn wait(&mut self) {
        match &mut self.server {
            Server::Child(child) => drop(child.wait().await),
            Server::Adopted(postmaster) => {
                while postmaster.is_server_of(&self.data) {
                    sleep(POLL_INTERVAL).await;
                }
            }
        }
    }

    fn error(&self, problem: &'static str) -> DevError {
        DevError::Server { problem, tail: server_log::tail(&self.log, 0), log: self.log.clone() }
    }
}

/// Returns a DSN with the socket's directory as the host. All special characters are percent-encoded, so that a shell
/// does not need quotes.
fn dsn(socket: &Path, port: u16) -> String {
    let mut host = String::new();
    for byte in socket.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            host.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(host, "%{byte:02X}");
        }
    }
    let port = if port == PORT { String::new() } else { format!(":{port}") };
    format!("postgres://{NAME}@{host}{port}/{NAME}")
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::process::CommandExt as _};

    use tokio_postgres::{NoTls, config::Host};

    use super::{super::layout::ServerUser, *};

    #[test]
    fn a_dsn_needs_no_quotes_in_a_shell() {
        let socket = Path::new("/home/me/my project's/.rework/socket");
        let text = dsn(socket, 5432);
        assert!(!text.contains([' ', '\'', '&', '?']), "{text}");
        let config: tokio_postgres::Config = text.parse().unwrap();
        assert_eq!(config.get_hosts(), [Host::Unix(socket.to_owned())]);
        assert_eq!(config.get_dbname(), Some("rework"));
        let config: tokio_postgres::Config = dsn(socket, 6000).parse().unwrap();
        assert_eq!(config.get_ports(), [6000]);
    }

    /// A temporary project. The directories outside of it are deleted on drop.
    struct Project(tempfile::TempDir);

    impl Drop for Project {
        fn drop(&mut self) {
            if let Ok(layout) = Layout::of(self.0.path())
                && layout.user.is_some()
            {
                let _ = fs::remove_dir_all(layout.base);
            }
        }
    }

    async fn answer(dsn: &str, sql: &str) -> String {
        let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let answer = client.query_one(sql, &[]).await.unwrap().try_get(0).unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
        answer
    }

    /// Starts another process of the server's user. A new server would take it for a running server.
    fn sleep_as(user: Option<ServerUser>) -> std::process::Child {
        let mut command = std::process::Command::new("sleep");
        command.arg("60");
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn a_server_is_created_adopted_and_started_again_after_its_death() {
        let project = Project(tempfile::tempdir().unwrap());
        let path = project.0.path();

        let first = PrivatePostgres::start(path).await.unwrap();
        assert!(first.started_by_us);
        for (setting, value) in
            [("fsync", "on"), ("listen_addresses", ""), ("server_encoding", "UTF8")]
        {
            assert_eq!(answer(&first.dsn, &format!("show {setting}")).await, value, "{setting}");
        }
        let role = "select current_user || ' ' || current_database()";
        assert_eq!(answer(&first.dsn, role).await, "rework rework");

        // Simulates a SIGKILL of `rework dev`: the server is not stopped.
        let pid = Postmaster::running(&first.data).unwrap().pid;
        drop(first);
        let mut second = PrivatePostgres::start(path).await.unwrap();
        assert!(!second.started_by_us);

        kill(pid, Signal::SIGKILL).unwrap();
        second.exited().await;
        let mut other = sleep_as(Layout::of(path).unwrap().user);
        let lock = second.data.join("postmaster.pid");
        let text = fs::read_to_string(&lock).unwrap();
        let text = text.replacen(&pid.to_string(), &other.id().to_string(), 1);
        fs::File::create(&lock).unwrap().write_all(text.as_bytes()).unwrap();

        let third = PrivatePostgres::start(path).await.unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(third.started_by_us);
        assert_eq!(answer(&third.dsn, "select 'again'").await, "again");
        let data = third.data.clone();
        third.stop().await.unwrap();
        assert_eq!(Postmaster::running(&data), None);
    }

    #[tokio::test]
    async fn an_interrupted_first_start_does_not_prevent_the_next_one() {
        let project = Project(tempfile::tempdir().unwrap());
        let unfinished = Layout::of(project.0.path()).unwrap().base.join("postgres.unfinished");
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("PG_VERSION"), "1").unwrap();
        let postgres = PrivatePostgres::start(project.0.path()).await.unwrap();
        assert!(!unfinished.exists());
        postgres.stop().await.unwrap();
    }
}
