//! Where the private Postgres of a project lives, and as whom it runs.
//!
//! For an ordinary user everything is in `PROJECT/.rework`. Postgres refuses root, and its own user
//! may not be able to reach the project, so for root it lives in `/var/lib/rework`: there root owns
//! the directory itself, and the server's user only the data and the socket within, so that
//! whatever root writes there (the log, the lock) cannot be redirected by that user.

use std::{
    env, fs,
    os::unix::ffi::OsStrExt,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid, User, chown, geteuid};

use super::error::DevError;

/// The longest directory of a socket: the kernel takes 107 bytes for `DIRECTORY/.s.PGSQL.5432`.
const SOCKET_DIRECTORY_MAX: usize = 107 - "/.s.PGSQL.5432".len();

/// The user that the server runs as when we are root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The directories of one project.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Holds the others; ours.
    pub(crate) base: PathBuf,
    /// The data directory; the server's.
    pub(crate) data: PathBuf,
    /// What the server writes about itself.
    pub(crate) log: PathBuf,
    /// The directory of the unix socket, which nobody else can enter; the server's.
    pub(crate) socket: PathBuf,
    /// As whom the server runs; none: as we do.
    pub(crate) user: Option<ServerUser>,
}

impl Layout {
    /// Chooses the directories of a project and makes them, except that of the data.
    pub(crate) fn of(project: &Path) -> Result<Layout, DevError> {
        let user = if geteuid().is_root() { Some(server_user()?) } else { None };
        let base = if user.is_some() {
            let all = Path::new("/var/lib/rework");
            directory(all, 0o755, None)?;
            let base = all.join(name_of(project));
            directory(&base, 0o711, None)?;
            let note = base.join("project");
            fs::write(&note, project.as_os_str().as_bytes())
                .map_err(DevError::system("write", note))?;
            base
        } else {
            state_directory(project)?
        };
        let socket = match base.join("socket") {
            near if fits_a_socket(&near) => near,
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

/// `PROJECT/.rework`: what belongs to the project's `rework dev`, made if it is not there, and
/// kept out of version control.
pub(crate) fn state_directory(project: &Path) -> Result<PathBuf, DevError> {
    let state = project.join(".rework");
    directory(&state, 0o700, None)?;
    let ignore = state.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").map_err(DevError::system("write", ignore))?;
    }
    Ok(state)
}

/// Makes a directory of this mode and owner; one that is there must be a directory of that owner.
pub(crate) fn directory(
    path: &Path,
    mode: u32,
    owner: Option<&ServerUser>,
) -> Result<(), DevError> {
    let not_ours = |why| DevError::NotOurs { path: path.to_owned(), why };
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            if let Some(user) = owner {
                let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
                chown(path, Some(uid), Some(gid))
                    .map_err(|errno| DevError::system("give away", path)(errno.into()))?;
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path).map_err(DevError::system("look at", path))?;
            if !found.is_dir() {
                return Err(not_ours("is in the way: it is not a directory"));
            }
            if found.uid() != owner.map_or(geteuid().as_raw(), |user| user.uid) {
                return Err(not_ours("belongs to another user"));
            }
        }
        Err(error) => return Err(DevError::system("create", path)(error)),
    }
    // Also against the umask, and where somebody opened it since.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(DevError::system("set the mode of", path))
}

/// Whether clients can name a socket in this directory. To libpq a comma separates two hosts.
fn fits_a_socket(directory: &Path) -> bool {
    let bytes = directory.as_os_str().as_bytes();
    bytes.len() <= SOCKET_DIRECTORY_MAX && !bytes.contains(&b',')
}

fn server_user() -> Result<ServerUser, DevError> {
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(|user| ServerUser { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
        .ok_or(DevError::NoServerUser)
}

/// Where a path of a socket is short: the user's run directory, else one of ours in `/tmp`.
fn short_directory() -> Result<PathBuf, DevError> {
    let run = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|run| {
        let private = fs::symlink_metadata(run).is_ok_and(|found| {
            found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o777 == 0o700
        });
        private && run.is_absolute() && run.as_os_str().len() < 40
    });
    let short = match run {
        Some(run) => run.join("rework"),
        None => PathBuf::from(format!("/tmp/rework-{}", geteuid())),
    };
    directory(&short, 0o700, None)?;
    Ok(short)
}

/// A short name for a project that says which: `shop-3f9a0c12b7e4`.
fn name_of(project: &Path) -> String {
    let last = project.file_name().unwrap_or_default().to_string_lossy();
    let word: String = last
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .take(24)
        .collect();
    format!("{word}-{:012x}", hash(project.as_os_str().as_bytes()) >> 16)
}

/// FNV-1a. The standard library's hash may change with the compiler, and the data would be lost
/// from sight.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_keeps_its_name() {
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
        let name = name_of(Path::new("/home/me/my shop"));
        assert_eq!(name, name_of(Path::new("/home/me/my shop")));
        assert!(name.starts_with("my_shop-"), "{name}");
        assert_ne!(name, name_of(Path::new("/home/you/my shop")));
        let long = name_of(Path::new("/home/me/a-project-with-a-name-that-never-seems-to-end"));
        assert_eq!(long.len(), 24 + 1 + 12);
    }

    #[test]
    fn sockets_are_where_clients_can_name_them() {
        assert!(fits_a_socket(Path::new("/home/me/shop/.rework/socket")));
        assert!(!fits_a_socket(Path::new("/home/me/a,b/.rework/socket")));
        assert!(fits_a_socket(Path::new(&format!("/{}", "x".repeat(92)))));
        assert!(!fits_a_socket(Path::new(&format!("/{}", "x".repeat(93)))));
    }

    #[test]
    fn directories_are_ours_and_private() {
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
    fn what_belongs_to_another_user_is_refused() {
        // Nobody but root can make such a directory; others look at one that root has made.
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
    fn the_state_of_a_project_stays_out_of_version_control() {
        let project = tempfile::tempdir().unwrap();
        let state = state_directory(project.path()).unwrap();
        assert_eq!(fs::read_to_string(state.join(".gitignore")).unwrap(), "*\n");
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
    }
}
