//! A private Postgres for one project: made at the first start, found again at the next, stopped
//! with `rework dev`.
//!
//! It listens on a unix socket only, in a directory that its user and root alone can enter, and is
//! as durable as in production. A server that a killed `rework dev` left running is adopted.

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

/// How a server is asked to end, and how long that may take. A fast shutdown writes a checkpoint;
/// an immediate one writes nothing.
const STOPPING: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(20)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
const POLL: Duration = Duration::from_millis(50);

/// A running private Postgres.
#[derive(Debug)]
pub struct Installation {
    /// Where to connect, as a superuser; needs no password and no quotes in a shell.
    pub dsn: String,
    /// The data directory.
    pub data: PathBuf,
    /// The server's own log.
    pub log: PathBuf,
    /// Whether this process started it; otherwise it was running already.
    pub started_by_us: bool,
    server: Server,
}

#[derive(Debug)]
enum Server {
    Child(Child),
    Adopted(Postmaster),
}

impl Installation {
    /// Brings up the Postgres of a project: makes its data if there is none, and starts a server
    /// unless one runs on it. `project` is absolute, and nobody else brings it up meanwhile.
    pub async fn bring_up(project: &Path) -> Result<Installation, DevError> {
        let layout = Layout::of(project)?;
        let existing = cluster::version(&layout.data);
        let binaries = Binaries::find(existing, layout.user.as_ref())?;
        if existing.is_none() {
            cluster::create(&binaries, &layout).await?;
        }
        let (server, dsn) = if let Some(found) = Postmaster::running(&layout.data) {
            let found = server::adopt(found, &layout).await?;
            let dsn = dsn(&found.socket, found.port);
            (Server::Adopted(found), dsn)
        } else {
            let child = server::start(&binaries, &layout).await?;
            (Server::Child(child), dsn(&layout.socket, PORT))
        };
        let started_by_us = matches!(server, Server::Child(_));
        Ok(Installation { dsn, data: layout.data, log: layout.log, started_by_us, server })
    }

    /// Waits for the server to end by itself, which it should not: the error quotes its log.
    pub async fn ended(&mut self) -> DevError {
        self.gone().await;
        self.error("ended")
    }

    /// Stops the server: a fast shutdown, and if that takes too long an immediate one.
    pub async fn stop(mut self) -> Result<(), DevError> {
        for (signal, limit) in STOPPING {
            self.signal(signal);
            if timeout(limit, self.gone()).await.is_ok() {
                return Ok(());
            }
        }
        Err(self.error("did not stop"))
    }

    fn signal(&self, signal: Signal) {
        let pid = match &self.server {
            // Until we have waited for it, its number belongs to nobody else.
            Server::Child(child) => child.id().map(|id| Pid::from_raw(id as i32)),
            Server::Adopted(found) => found.stands_in(&self.data).then_some(found.pid),
        };
        if let Some(pid) = pid {
            // It may end at this very moment, which is what we want.
            let _ = kill(pid, signal);
        }
    }

    async fn gone(&mut self) {
        match &mut self.server {
            Server::Child(child) => drop(child.wait().await),
            Server::Adopted(found) => {
                while found.stands_in(&self.data) {
                    sleep(POLL).await;
                }
            }
        }
    }

    fn error(&self, what: &'static str) -> DevError {
        DevError::Server { what, tail: server_log::tail(&self.log, 0), log: self.log.clone() }
    }
}

/// A DSN with the socket's directory as the host, so that no shell needs quotes for it.
fn dsn(socket: &Path, port: u16) -> String {
    let mut host = String::new();
    for byte in socket.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            host.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
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
    fn a_dsn_needs_no_quotes() {
        let socket = Path::new("/home/me/my project's/.rework/socket");
        let text = dsn(socket, 5432);
        assert!(!text.contains([' ', '\'', '&', '?']), "{text}");
        let config: tokio_postgres::Config = text.parse().unwrap();
        assert_eq!(config.get_hosts(), [Host::Unix(socket.to_owned())]);
        assert_eq!(config.get_dbname(), Some("rework"));
        let config: tokio_postgres::Config = dsn(socket, 6000).parse().unwrap();
        assert_eq!(config.get_ports(), [6000]);
    }

    /// A project of its own; what is made for it elsewhere goes with it.
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

    /// Another process of the server's user: one that the server takes for a server.
    fn sleep_as(user: Option<ServerUser>) -> std::process::Child {
        let mut command = std::process::Command::new("sleep");
        command.arg("60");
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn a_server_is_made_found_again_and_survives_its_death() {
        let project = Project(tempfile::tempdir().unwrap());
        let path = project.0.path();

        let first = Installation::bring_up(path).await.unwrap();
        assert!(first.started_by_us);
        for (setting, value) in
            [("fsync", "on"), ("listen_addresses", ""), ("server_encoding", "UTF8")]
        {
            assert_eq!(answer(&first.dsn, &format!("show {setting}")).await, value, "{setting}");
        }
        let role = "select current_user || ' ' || current_database()";
        assert_eq!(answer(&first.dsn, role).await, "rework rework");

        // As after a SIGKILL of `rework dev`: nobody has stopped the server.
        let pid = Postmaster::running(&first.data).unwrap().pid;
        drop(first);
        let mut second = Installation::bring_up(path).await.unwrap();
        assert!(!second.started_by_us);

        kill(pid, Signal::SIGKILL).unwrap();
        second.ended().await;
        let mut other = sleep_as(Layout::of(path).unwrap().user);
        let lock = second.data.join("postmaster.pid");
        let text = fs::read_to_string(&lock).unwrap();
        let text = text.replacen(&pid.to_string(), &other.id().to_string(), 1);
        fs::File::create(&lock).unwrap().write_all(text.as_bytes()).unwrap();

        let third = Installation::bring_up(path).await.unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(third.started_by_us);
        assert_eq!(answer(&third.dsn, "select 'again'").await, "again");
        let data = third.data.clone();
        third.stop().await.unwrap();
        assert_eq!(Postmaster::running(&data), None);
    }

    #[tokio::test]
    async fn what_an_interrupted_first_start_left_is_no_obstacle() {
        let project = Project(tempfile::tempdir().unwrap());
        let unfinished = Layout::of(project.0.path()).unwrap().base.join("postgres.unfinished");
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("PG_VERSION"), "1").unwrap();
        let up = Installation::bring_up(project.0.path()).await.unwrap();
        assert!(!unfinished.exists());
        up.stop().await.unwrap();
    }
}
