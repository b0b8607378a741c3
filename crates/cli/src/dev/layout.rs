//! Chooses the directories of a project's private Postgres, and the user that runs the server.
//!
//! For an ordinary user everything is in `PROJECT/.rework`, and the server runs as that user. Postgres refuses to run
//! as root. So if `rework dev` runs as root, the server runs as another user, who may not be able to enter the project,
//! and everything is in `/var/lib/rework`. There root owns the directory, and the server's user owns only the data and
//! the socket directory inside. So that user cannot redirect the files that root writes (for example the log).

use std::{
    env, fs,
    os::unix::ffi::OsStrExt,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid, User, chown, geteuid};

use super::error::DevError;

/// The maximum length in bytes of a socket's directory. The kernel limits `DIRECTORY/.s.PGSQL.5432` to 107 bytes.
const SOCKET_DIRECTORY_MAX: usize = 107 - "/.s.PGSQL.5432".len();

/// The user that runs the server if `rework dev` runs as root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The directories of one project.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The directory that contains the data and the log. It belongs to the current user.
    pub(crate) base: PathBuf,
    /// The data directory. It belongs to the server's user.
    pub(crate) data: PathBuf,
    /// The file to which the server writes its log.
    pub(crate) log: PathBuf,
    /// The directory of the unix socket. It belongs to the server's user; other users cannot enter it.
    pub(crate) socket: PathBuf,
    /// The user that runs the server. `None` for the current user.
    pub(crate) user: Option<ServerUser>,
}

impl Layout {
    /// Chooses the directories of a project and creates them, except the data directory.
    pub(crate) fn of(project: &Path) -> Result<Layout, DevError> {
        let user = if geteuid().is_root() { Some(server_user()?) } else { None };
        let base = if user.is_some() {
            let all = Path::new("/var/lib/rework");
            directory(all, 0o755, None)?;
            let base = all.join(name_of(project));
            directory(&base, 0o711, None)?;
            // The name of the directory contains only a hash of the project's path, so the path is stored here for
            // people.
            let project_file = base.join("project");
            fs::write(&project_file, project.as_os_str().as_bytes())
                .map_err(DevError::system("write", project_file))?;
            base
        } else {
            state_directory(project)?
        };
        let socket = match base.join("socket") {
            in_base if fits_a_socket(&in_base) => in_base,
            _ => short_directory()?.join(name_of(project)),
        };
        directory(&socket, 0o700, user.as_ref())?;
        Ok(Layout {
            data: base.join("postgres"),
            log: base.join("postgres.log"),
            base,
            socket,
            user,
        })
    }
}

/// Returns `PROJECT/.rework`, the directory for the files of `rework dev`. Creates it if it is missing, with a
/// `.gitignore` that keeps it out of version control.
pub(crate) fn state_directory(project: &Path) -> Result<PathBuf, DevError> {
    let state = project.join(".rework");
    directory(&state, 0o700, None)?;
    let ignore = state.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").map_err(DevError::system("write", ignore))?;
    }
    Ok(state)
}

/// Creates a directory with this mode and owner. `owner` is `None` for the current user.
///
/// `Err` if the path exists and is not a directory, or belongs to another user.
pub(crate) fn directory(
    path: &Path,
    mode: u32,
    owner: Option<&ServerUser>,
) -> Result<(), DevError> {
    let unusable = |reason| DevError::UnusablePath { path: path.to_owned(), reason };
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            if let Some(user) = owner {
                let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
                chown(path, Some(uid), Some(gid))
                    .map_err(|errno| DevError::system("change the owner of", path)(errno.into()))?;
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            // Not following a symbolic link here: another user could have created one.
            let metadata = fs::symlink_metadata(path).map_err(DevError::system("read", path))?;
            if !metadata.is_dir() {
                return Err(unusable("is not a directory"));
            }
            if metadata.uid() != owner.map_or(geteuid().as_raw(), |user| user.uid) {
                return Err(unusable("belongs to another user"));
            }
        }
        Err(error) => return Err(DevError::system("create", path)(error)),
    }
    // Set the mode in any case: the umask may have removed bits, and an existing directory may have another mode.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(DevError::system("set the mode of", path))
}

/// Returns whether clients can connect to a socket in this directory. libpq splits a host at commas.
fn fits_a_socket(directory: &Path) -> bool {
    let bytes = directory.as_os_str().as_bytes();
    bytes.len() <= SOCKET_DIRECTORY_MAX && !bytes.contains(&b',')
}

/// Returns the user that runs the server instead of root: `postgres`, else `nobody`.
fn server_user() -> Result<ServerUser, DevError> {
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| ServerUser { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
        .ok_or(DevError::NoServerUser)
}

/// Returns a directory with a short path for sockets: in `$XDG_RUNTIME_DIR` if that is private, else in `/tmp`.
fn short_directory() -> Result<PathBuf, DevError> {
    let run = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|run| {
        let private = fs::symlink_metadata(run).is_ok_and(|metadata| {
            metadata.is_dir()
                && metadata.uid() == geteuid().as_raw()
                && metadata.mode() & 0o777 == 0o700
        });
        // 40 bytes leave enough room for `rework`, the name of the project and the name of the socket.
        private && run.is_absolute() && run.as_os_str().len() < 40
    });
    let short = match run {
        Some(run) => run.join("rework"),
        None => PathBuf::from(format!("/tmp/rework-{}", geteuid())),
    };
    directory(&short, 0o700, None)?;
    Ok(short)
}

/// Returns a short unique name for a project: the name of its directory with a hash of its path, for example
/// `shop-3f9a0c12b7e4`.
fn name_of(project: &Path) -> String {
    let directory_name = project.file_name().unwrap_or_default().to_string_lossy();
    let readable: String = directory_name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .take(24)
        .collect();
    format!("{readable}-{:012x}", hash(project.as_os_str().as_bytes()) >> 16)
}

/// Computes the FNV-1a hash. The hash of the standard library may change with the compiler, and a project would then no
/// longer find its data.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_project_depends_on_its_path_only() {
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
        let name = name_of(Path::new("/home/me/my shop"));
        assert_eq!(name, name_of(Path::new("/home/me/my shop")));
        assert!(name.starts_with("my_shop-"), "{name}");
        assert_ne!(name, name_of(Path::new("/home/you/my shop")));
        let long = name_of(Path::new("/home/me/a-project-with-a-name-that-never-seems-to-end"));
        assert_eq!(long.len(), 24 + 1 + 12);
    }

    #[test]
    fn a_path_that_is_too_long_or_has_a_comma_does_not_fit_a_socket() {
        assert!(fits_a_socket(Path::new("/home/me/shop/.rework/socket")));
        assert!(!fits_a_socket(Path::new("/home/me/a,b/.rework/socket")));
        assert!(fits_a_socket(Path::new(&format!("/{}", "x".repeat(92)))));
        assert!(!fits_a_socket(Path::new(&format!("/{}", "x".repeat(93)))));
    }

    #[test]
    fn a_directory_gets_its_mode_and_must_not_be_a_link() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("made");
        directory(&path, 0o700, None).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        directory(&path, 0o700, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);

        let link = root.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let error = directory(&link, 0o700, None).unwrap_err().to_string();
        assert!(error.contains("not a directory"), "{error}");
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        // Only root can create such a directory. Other users test with a directory that belongs to root.
        let theirs = tempfile::tempdir().unwrap();
        let path = if geteuid().is_root() {
            chown(theirs.path(), Some(Uid::from_raw(65_534)), None).unwrap();
            theirs.path()
        } else {
            Path::new("/usr")
        };
        let error = directory(path, 0o700, None).unwrap_err().to_string();
        assert!(error.contains("belongs to another user"), "{error}");
    }

    #[test]
    fn the_state_directory_is_private_and_ignored_by_git() {
        let project = tempfile::tempdir().unwrap();
        let state = state_directory(project.path()).unwrap();
        assert_eq!(fs::read_to_string(state.join(".gitignore")).unwrap(), "*\n");
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
    }
}
