//! Where the programs of a Postgres server are installed, and which of them can be used.
//!
//! `PATH` comes first, since its order is somebody's wish; then the places of the distributions,
//! newest version first. A version counts only when the user that is to run the server can run it.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{error::DevError, place::ServerUser};

/// The oldest major version that rework works with.
pub(crate) const OLDEST: u32 = 14;

/// Directories with one `bin` of a version in each entry that matches: (directory, prefix of the
/// entry, what follows it).
const PLACES: [(&str, &str, &str); 8] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr/lib64", "postgresql-", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The programs of one installed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// Where `initdb` and `postgres` are.
    pub(crate) directory: PathBuf,
    /// `15`
    pub(crate) major: u32,
}

impl Binaries {
    /// Finds the first version that is new enough, or exactly the wanted one where the data
    /// exists already.
    pub(crate) fn find(
        wanted: Option<(u32, &Path)>,
        user: Option<&ServerUser>,
    ) -> Result<Binaries, DevError> {
        Binaries::find_in(&candidates(), wanted, user)
    }

    fn find_in(
        directories: &[PathBuf],
        wanted: Option<(u32, &Path)>,
        user: Option<&ServerUser>,
    ) -> Result<Binaries, DevError> {
        let mut too_old = Vec::new();
        let mut usable = false;
        for directory in directories.iter().filter(|d| d.join("initdb").is_file()) {
            let Some(major) = version_of(directory, user) else { continue };
            if major < OLDEST {
                too_old.push(format!("{major} in `{}`", directory.display()));
                continue;
            }
            usable = true;
            if wanted.is_none_or(|(version, _)| version == major) {
                return Ok(Binaries { directory: directory.clone(), major });
            }
        }
        match wanted {
            Some((major, data)) if usable => {
                Err(DevError::OtherMajor { data: data.to_owned(), major })
            }
            _ => {
                let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
                Err(DevError::NoPostgres { too_old, install: install_command(&os, env::consts::OS) })
            }
        }
    }

    /// The path of one of its programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn candidates() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> =
        env::split_paths(&path).filter(|directory| directory.is_absolute()).collect();
    let mut installed: Vec<PathBuf> = PLACES
        .iter()
        .flat_map(|(directory, prefix, below)| versions_in(Path::new(directory), prefix, below))
        .collect();
    installed.sort_by_key(|directory| std::cmp::Reverse(number_in(directory)));
    directories.extend(installed);
    directories
}

fn versions_in(directory: &Path, prefix: &str, below: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(below))
        .collect()
}

/// The version that a path names: 17 for `/usr/lib/postgresql/17/bin`; 0 if none.
fn number_in(path: &Path) -> u32 {
    let text = path.to_string_lossy();
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).next_back().unwrap_or(0)
}

fn version_of(directory: &Path, user: Option<&ServerUser>) -> Option<u32> {
    let mut command = Command::new(directory.join("postgres"));
    command.arg("--version").current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    let output = command.output().ok()?;
    major_of(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    number[..number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len())].parse().ok()
}

/// The command that installs a server here: by the words of `/etc/os-release`, and by the kind of
/// system.
fn install_command(os_release: &str, system: &str) -> String {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let family = format!("{} {}", value("ID"), value("ID_LIKE"));
    let is = |name: &str| family.split_whitespace().any(|word| word == name);
    let command = match () {
        () if system == "macos" => "brew install postgresql@17",
        () if is("debian") || is("ubuntu") => "apt-get install postgresql",
        () if is("fedora") || is("rhel") || is("centos") => "dnf install postgresql-server",
        () if is("alpine") => "apk add postgresql",
        () if is("arch") => "pacman -S postgresql",
        () if family.contains("suse") => "zypper install postgresql-server",
        () => "install the server of PostgreSQL and put its directory of programs into PATH",
    };
    command.to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Directories of programs of which `postgres` says the given version.
    fn installed(versions: &[&str]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let root = tempfile::tempdir().unwrap();
        let make = |version: &&str| {
            let directory = root.path().join(version);
            fs::create_dir(&directory).unwrap();
            for name in ["initdb", "postgres"] {
                let script = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version} (Test)'\n");
                fs::write(directory.join(name), script).unwrap();
                let mode = fs::Permissions::from_mode(0o755);
                fs::set_permissions(directory.join(name), mode).unwrap();
            }
            directory
        };
        let directories = versions.iter().map(make).collect();
        (root, directories)
    }

    #[test]
    fn the_first_that_is_new_enough_is_taken() {
        let (_root, directories) = installed(&["13.20", "16.1", "18beta2"]);
        let found = Binaries::find_in(&directories, None, None).unwrap();
        assert_eq!(found, Binaries { directory: directories[1].clone(), major: 16 });
    }

    #[test]
    fn existing_data_gets_the_version_that_made_it() {
        let (_root, directories) = installed(&["17.2", "15.18"]);
        let data = Path::new("/data");
        let found = Binaries::find_in(&directories, Some((15, data)), None).unwrap();
        assert_eq!(found.major, 15);
        let missing = Binaries::find_in(&directories, Some((16, data)), None).unwrap_err();
        assert!(missing.to_string().contains("was made by Postgres 16"), "{missing}");
    }

    #[test]
    fn without_any_the_package_is_named() {
        let empty = tempfile::tempdir().unwrap();
        let error = Binaries::find_in(&[empty.path().to_owned()], None, None).unwrap_err();
        let DevError::NoPostgres { ref too_old, ref install } = error else { panic!("{error}") };
        assert!(too_old.is_empty());
        assert!(error.hint().unwrap().contains(install.as_str()));

        let (_root, directories) = installed(&["9.6.24"]);
        let error = Binaries::find_in(&directories, None, None).unwrap_err().to_string();
        assert!(error.contains("only 9 in `"), "{error}");
    }

    #[test]
    fn each_system_is_told_its_own_command() {
        for (os_release, command) in [
            ("NAME=x\nID=debian\n", "apt-get install postgresql"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get install postgresql"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf install postgresql-server"),
            ("ID=alpine\n", "apk add postgresql"),
            ("ID=arch\n", "pacman -S postgresql"),
        ] {
            assert_eq!(install_command(os_release, "linux"), command);
        }
        assert_eq!(install_command("", "macos"), "brew install postgresql@17");
        assert!(install_command("", "linux").contains("PATH"));
    }

    #[test]
    fn newer_places_come_first() {
        assert_eq!(number_in(Path::new("/usr/lib/postgresql/17/bin")), 17);
        assert_eq!(number_in(Path::new("/opt/homebrew/opt/postgresql@16/bin")), 16);
        assert_eq!(number_in(Path::new("/usr/local/pgsql/bin")), 0);
    }
}
