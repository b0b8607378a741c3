//! A `PgBouncer` process between `rework` and the Postgres server of the tests, with `pool_mode = transaction`.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::unistd::{Uid, User};

use super::cluster::free_port;
use super::{server, wait};

/// A running `PgBouncer`. It is killed when the value is dropped.
pub(crate) struct Pooler {
    child: Child,
    port: u16,
}

impl Pooler {
    /// Starts `PgBouncer` with its files in `folder`, and waits until it accepts connections. The pool has 4
    /// connections, fewer than the clients of a test, so that clients share them.
    pub(crate) fn start(folder: &Path) -> Pooler {
        let program = std::env::var("REWORK_TEST_PGBOUNCER").unwrap_or_default();
        assert!(
            !program.is_empty(),
            "REWORK_TEST_PGBOUNCER is not set: see scripts/ensure-pgbouncer"
        );
        let (port, server) = (free_port(), server::port());
        let users = folder.join("users.txt");
        std::fs::write(&users, format!("{:?} {:?}\n", server::user(), server::password())).unwrap();
        let settings = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 500\n",
            users.display()
        );
        std::fs::write(&settings, text).unwrap();
        let mut command = as_ordinary_user(&program, folder);
        let log = std::fs::File::create(folder.join("pgbouncer.log")).unwrap();
        command.arg(&settings).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let log_text = || std::fs::read_to_string(folder.join("pgbouncer.log")).unwrap_or_default();
        wait::until("PgBouncer accepts connections", log_text, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Pooler { child, port }
    }

    /// Replaces the server's port in a DSN by the port of `PgBouncer`.
    pub(crate) fn dsn(&self, dsn: &str) -> String {
        dsn.replace(&format!(":{}/", server::port()), &format!(":{}/", self.port))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command that runs `program`. If the tests run as root, it runs as user `nobody`, because `PgBouncer`
/// refuses to run as root.
fn as_ordinary_user(program: &str, folder: &Path) -> Command {
    if !Uid::effective().is_root() {
        return Command::new(program);
    }
    let user = User::from_name("nobody").unwrap().expect("there is a user `nobody`");
    let paths = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    for path in paths.chain([folder.to_owned()]) {
        nix::unistd::chown(&path, Some(user.uid), Some(user.gid)).unwrap();
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid)).args([
        "--clear-groups",
        "--pdeathsig",
        "KILL",
        program,
    ]);
    command
}
