//! Finds the programs of an installed Postgres server (`initdb`, `postgres`) for `rework dev`.
//!
//! Directories in `PATH` come first, because the user chose their order. Then come the directories of the
//! distributions, newest version first. A version counts only if the user who will run the server can execute it.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    error::{DevError, OLDEST},
    layout::ServerUser,
};

/// Where distributions install Postgres: a directory, the prefix of its entries (one per version), and the path below
/// an entry that holds the programs.
const INSTALL_DIRECTORIES: [(&str, &str, &str); 8] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr/lib64", "postgresql-", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The programs of one installed Postgres version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// The directory that holds `initdb` and `postgres`.
    pub(crate) directory: PathBuf,
    /// The major version, for example 15.
    pub(crate) major: u32,
}

impl Binaries {
    /// Finds the first version that is new enough.
    ///
    /// If `required` is given, exactly that major version is needed, because the data directory beside it was made by
    /// that version. `user` is the user who will run the server; `None` for the current user.
    pub(crate) fn find(
        required: Option<(u32, &Path)>,
        user: Option<&ServerUser>,
    ) -> Result<Binaries, DevError> {
        let installed = candidates().into_iter().filter_map(|directory| {
            let major =
                directory.join("initdb").is_file().then(|| version_of(&directory, user))??;
            Some(Binaries { directory, major })
        });
        choose(installed, required)
    }

    /// Returns the path of a program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Returns the first usable version. `Err` names the versions that are too old, or the required version.
fn choose(
    installed: impl Iterator<Item = Binaries>,
    required: Option<(u32, &Path)>,
) -> Result<Binaries, DevError> {
    let mut too_old = Vec::new();
    let mut usable = false;
    for binaries in installed {
        if binaries.major < OLDEST {
            too_old.push(format!("{} in `{}`", binaries.major, binaries.directory.display()));
            continue;
        }
        usable = true;
        if required.is_none_or(|(major, _)| major == binaries.major) {
            return Ok(binaries);
        }
    }
    match required {
        Some((major, data)) if usable => Err(DevError::OtherMajor { data: data.to_owned(), major }),
        _ => {
            let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
            Err(DevError::NoPostgres { too_old, install: install_command(&os, env::consts::OS) })
        }
    }
}

/// Returns the directories that may hold the programs, in order of preference.
fn candidates() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> =
        env::split_paths(&path).filter(|directory| directory.is_absolute()).collect();
    let mut installed: Vec<PathBuf> = INSTALL_DIRECTORIES
        .iter()
        .flat_map(|(directory, prefix, below)| versions_in(Path::new(directory), prefix, below))
        .collect();
    installed.sort_by_key(|directory| std::cmp::Reverse(version_in_path(directory)));
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

/// Returns the version that a path contains, for example 17 for `/usr/lib/postgresql/17/bin`. 0 if there is none.
fn version_in_path(path: &Path) -> u32 {
    let text = path.to_string_lossy();
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .next_back()
        .unwrap_or(0)
}

/// Asks `postgres --version` for the major version. `None` if `user` cannot execute the program.
fn version_of(directory: &Path, user: Option<&ServerUser>) -> Option<u32> {
    let mut command = Command::new(directory.join("postgres"));
    command.arg("--version").current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    let output = command.output().ok()?;
    major_of(&String::from_utf8_lossy(&output.stdout))
}

/// Returns the major version in the output of `postgres --version`: 15 for `postgres (PostgreSQL)
/// 15.18 (Debian 15.18-0+deb12u1)`. `None` if the output has another form.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    number[..number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len())].parse().ok()
}

/// Returns the command that installs a Postgres server on this system.
///
/// `os_release` is the contents of `/etc/os-release`, and `system` the name of the operating system in Rust.
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
        () => "install the PostgreSQL server and add the directory of its programs to PATH",
    };
    command.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(versions: &[u32]) -> impl Iterator<Item = Binaries> {
        versions.iter().map(|&major| Binaries { directory: format!("/pg/{major}").into(), major })
    }

    #[test]
    fn the_first_version_that_is_new_enough_is_chosen() {
        assert_eq!(choose(installed(&[13, 16, 18]), None).unwrap().major, 16);
    }

    #[test]
    fn existing_data_needs_the_version_that_made_it() {
        let data = Path::new("/data");
        assert_eq!(choose(installed(&[17, 15]), Some((15, data))).unwrap().major, 15);
        let missing = choose(installed(&[17, 15]), Some((16, data))).unwrap_err();
        assert!(missing.to_string().contains("was made by Postgres 16"), "{missing}");
    }

    #[test]
    fn without_postgres_the_error_says_how_to_install_it() {
        let error = choose(installed(&[]), None).unwrap_err();
        let DevError::NoPostgres { ref too_old, ref install } = error else { panic!("{error}") };
        assert!(too_old.is_empty());
        assert!(error.hint().unwrap().contains(install.as_str()));

        let error = choose(installed(&[9, 13]), None).unwrap_err().to_string();
        assert!(error.ends_with("only 9 in `/pg/9`, 13 in `/pg/13`"), "{error}");
    }

    #[test]
    fn the_version_is_read_from_the_output_of_the_program() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta2"), Some(18));
        assert_eq!(major_of("sh: not found"), None);
    }

    #[test]
    fn each_system_has_its_own_install_command() {
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
    fn the_version_is_read_from_a_path() {
        assert_eq!(version_in_path(Path::new("/usr/lib/postgresql/17/bin")), 17);
        assert_eq!(version_in_path(Path::new("/opt/homebrew/opt/postgresql@16/bin")), 16);
        assert_eq!(version_in_path(Path::new("/usr/local/pgsql/bin")), 0);
    }
}
