//! Making the data directory of a private Postgres: whole, or not at all.
//!
//! `initdb` works in a directory beside the final one, which takes its name only when the database
//! `rework` is in it, so that whoever is interrupted in between leaves nothing that looks finished.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{io::AsyncWriteExt, process::Command};

use super::{
    binaries::Binaries,
    error::DevError,
    layout::{Layout, ServerUser, directory},
    server_log::last_lines,
};

/// The superuser and the database of a private Postgres have this name.
pub(crate) const NAME: &str = "rework";

/// The variables that a program of Postgres may need. `PG*` would lead it elsewhere.
const KEPT_ENVIRONMENT: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "TZ"];

/// The version that made the data, and its directory; none where there is no data yet.
pub(crate) fn version(data: &Path) -> Option<(u32, &Path)> {
    let version = fs::read_to_string(data.join("PG_VERSION")).ok()?;
    Some((version.trim().parse().ok()?, data))
}

/// Makes the data directory.
pub(crate) async fn create(binaries: &Binaries, layout: &Layout) -> Result<(), DevError> {
    let unfinished = Unfinished(layout.base.join("postgres.unfinished"));
    unfinished.clear()?;
    directory(&unfinished.0, 0o700, layout.user.as_ref())?;
    initdb(binaries, layout, &unfinished.0).await?;
    create_database(binaries, layout, &unfinished.0).await?;
    // An empty directory may be replaced, anything else is not ours to touch.
    fs::rename(&unfinished.0, &layout.data).map_err(DevError::system("create", &layout.data))?;
    let base = fs::File::open(&layout.base).and_then(|base| base.sync_all());
    base.map_err(DevError::system("store", &layout.base))
}

/// A program of Postgres as the server's user, in its own process group: Ctrl-C in the terminal is
/// for us, and we stop it in order.
pub(crate) fn program(binaries: &Binaries, name: &str, layout: &Layout) -> Command {
    let mut command = Command::new(binaries.program(name));
    command.env_clear().env("LC_ALL", "C").current_dir(&layout.base).process_group(0);
    for name in KEPT_ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(ServerUser { uid, gid }) = layout.user {
        command.uid(uid).gid(gid);
    }
    command
}

async fn initdb(binaries: &Binaries, layout: &Layout, data: &Path) -> Result<(), DevError> {
    // Not every system has C.UTF-8, and there is no way to ask but to try.
    match initdb_with("C.UTF-8", binaries, layout, data).await {
        Err(DevError::Program { output, .. }) if output.contains("locale") => {
            initdb_with("C", binaries, layout, data).await
        }
        done => done,
    }
}

async fn initdb_with(
    locale: &str,
    binaries: &Binaries,
    layout: &Layout,
    data: &Path,
) -> Result<(), DevError> {
    let mut command = program(binaries, "initdb", layout);
    // Whoever reaches the socket is let in: its directory is closed to everybody else.
    command.arg("--pgdata").arg(data).args(["--username", NAME, "--encoding", "UTF8"]);
    command.args(["--locale", locale, "--auth-local", "trust", "--auth-host", "reject"]);
    finish("initdb", command, "").await
}

/// In single-user mode, so that the data is complete before any server runs on it.
async fn create_database(
    binaries: &Binaries,
    layout: &Layout,
    data: &Path,
) -> Result<(), DevError> {
    let mut command = program(binaries, "postgres", layout);
    command.args(["--single", "-c", "exit_on_error=on", "-D"]).arg(data).arg("postgres");
    finish("postgres --single", command, &format!("create database {NAME}\n")).await
}

async fn finish(name: &'static str, mut command: Command, input: &str) -> Result<(), DevError> {
    let path = PathBuf::from(command.as_std().get_program());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(DevError::system("run", &path))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended already says by itself why.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(DevError::system("run", &path))?;
    if output.status.success() {
        return Ok(());
    }
    let written = [output.stdout, output.stderr].concat();
    let output = last_lines(&String::from_utf8_lossy(&written));
    Err(DevError::Program { program: name, output })
}

/// A data directory in the making; what is left of it goes when this goes.
struct Unfinished(PathBuf);

impl Unfinished {
    fn clear(&self) -> Result<(), DevError> {
        match fs::symlink_metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(DevError::system("look at", &self.0)(error)),
            Ok(found) if found.is_dir() => {
                fs::remove_dir_all(&self.0).map_err(DevError::system("delete", &self.0))
            }
            Ok(_) => {
                let why = "is in the way: it is not a directory";
                Err(DevError::NotOurs { path: self.0.clone(), why })
            }
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nobody is left to tell, and the next start tries again.
        let _ = self.clear();
    }
}
