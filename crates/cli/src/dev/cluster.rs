//! Creates the data directory (in the terms of Postgres: the cluster) of a private Postgres, completely or not at all.
//!
//! `initdb` works in a temporary directory. It is renamed to the final name only when it contains the database
//! `rework`. So an interrupted start leaves no data directory that looks complete.

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

/// The name of the superuser and of the database of a private Postgres.
pub(crate) const NAME: &str = "rework";

/// The environment variables that the programs of Postgres get. Variables such as `PGDATA` and `PGPORT` are left out,
/// because they would direct a program to another server.
const KEPT_ENVIRONMENT: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "TZ"];

/// Returns the major version that created the data directory, with the directory. `None` if there is no data yet.
pub(crate) fn version(data: &Path) -> Option<(u32, &Path)> {
    let version = fs::read_to_string(data.join("PG_VERSION")).ok()?;
    Some((version.trim().parse().ok()?, data))
}

/// Creates the data directory.
pub(crate) async fn create(binaries: &Binaries, layout: &Layout) -> Result<(), DevError> {
    let unfinished = UnfinishedDirectory(layout.base.join("postgres.unfinished"));
    unfinished.clear()?;
    directory(&unfinished.0, 0o700, layout.user.as_ref())?;
    initdb(binaries, layout, &unfinished.0).await?;
    create_database(binaries, layout, &unfinished.0).await?;
    // `rename` replaces an existing directory only if it is empty, so no data can be lost here.
    fs::rename(&unfinished.0, &layout.data).map_err(DevError::system("create", &layout.data))?;
    let base = fs::File::open(&layout.base).and_then(|base| base.sync_all());
    base.map_err(DevError::system("store", &layout.base))
}

/// Returns a command that runs a program of Postgres as the server's user.
///
/// The program gets its own process group. Otherwise Ctrl-C in the terminal would stop it before the monitor has
/// stopped.
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
    // Not every system has the locale C.UTF-8. The only way to find out is to try it.
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
    // Connections over the socket need no password, because no other user can enter the directory of the socket.
    command.arg("--pgdata").arg(data).args(["--username", NAME, "--encoding", "UTF8"]);
    command.args(["--locale", locale, "--auth-local", "trust", "--auth-host", "reject"]);
    finish("initdb", command, "").await
}

/// Creates the database `rework` in single-user mode, so that the data is complete before a server starts on it.
async fn create_database(
    binaries: &Binaries,
    layout: &Layout,
    data: &Path,
) -> Result<(), DevError> {
    let mut command = program(binaries, "postgres", layout);
    command.args(["--single", "-c", "exit_on_error=on", "-D"]).arg(data).arg("postgres");
    finish("postgres --single", command, &format!("create database {NAME}\n")).await
}

/// Runs a command with `input` as its standard input. `Err` with its last lines of output if it fails.
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
        // Writing fails if the program has already exited. Its exit status and output then explain why.
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

/// A data directory that is not complete yet. It is deleted on drop, unless it was renamed.
struct UnfinishedDirectory(PathBuf);

impl UnfinishedDirectory {
    /// Deletes the directory if it exists.
    fn clear(&self) -> Result<(), DevError> {
        match fs::symlink_metadata(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(DevError::system("read", &self.0)(error)),
            Ok(metadata) if metadata.is_dir() => {
                fs::remove_dir_all(&self.0).map_err(DevError::system("delete", &self.0))
            }
            Ok(_) => {
                let reason = "is not a directory";
                Err(DevError::UnusablePath { path: self.0.clone(), reason })
            }
        }
    }
}

impl Drop for UnfinishedDirectory {
    fn drop(&mut self) {
        // An error is ignored, because the next start deletes the directory again.
        let _ = self.clear();
    }
}
