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

use super::{
    error::{DevError, OLDEST},
    layout::ServerUser,
};

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
        let installed = candidates().into_iter().filter_map(|directory| {
            let major =
                directory.join("initdb").is_file().then(|| version_of(&directory, user))??;
            Some(Binaries { directory, major })
        });
        choose(installed, wanted)
    }

    /// The path of one of its programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn choose(
    installed: impl Iterator<Item = Binaries>,
    wanted: Option<(u32, &Path)>,
) -> Result<Binaries, DevError> {
    let mut too_old = Vec::new();
    let mut usable = false;
    for found in installed {
        if found.major < OLDEST {
            too_old.push(format!("{} in `{}`", found.major, found.directory.display()));
            continue;
        }
        usable = true;
        if wanted.is_none_or(|(major, _)| major == found.major) {
            return Ok(found);
        }
    }
    match wanted {
        Some((major, data)) if usable => Err(DevError::OtherMajor { data: data.to_owned(), major }),
        _ => {
            let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
            Err(DevError::NoPostgres { too_old, install: install_command(&os, env::consts::OS) })
        }
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
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .next_back()
        .unwrap_or(0)
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
    use super::*;

    fn installed(versions: &[u32]) -> impl Iterator<Item = Binaries> {
        versions.iter().map(|&major| Binaries { directory: format!("/pg/{major}").into(), major })
    }

    #[test]
    fn the_first_that_is_new_enough_is_taken() {
        assert_eq!(choose(installed(&[13, 16, 18]), None).unwrap().major, 16);
    }

    #[test]
    fn existing_data_gets_the_version_that_made_it() {
        let data = Path::new("/data");
        assert_eq!(choose(installed(&[17, 15]), Some((15, data))).unwrap().major, 15);
        let missing = choose(installed(&[17, 15]), Some((16, data))).unwrap_err();
        assert!(missing.to_string().contains("was made by Postgres 16"), "{missing}");
    }

    #[test]
    fn without_any_the_package_is_named() {
        let error = choose(installed(&[]), None).unwrap_err();
        let DevError::NoPostgres { ref too_old, ref install } = error else { panic!("{error}") };
        assert!(too_old.is_empty());
        assert!(error.hint().unwrap().contains(install.as_str()));

        let error = choose(installed(&[9, 13]), None).unwrap_err().to_string();
        assert!(error.ends_with("only 9 in `/pg/9`, 13 in `/pg/13`"), "{error}");
    }

    #[test]
    fn the_version_is_read_from_what_the_program_says() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta2"), Some(18));
        assert_eq!(major_of("sh: not found"), None);
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
