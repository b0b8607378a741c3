//! The rules of the house, checked: what is not checked is no rule.

use std::path::{Path, PathBuf};

use crate::support::Installation;
use crate::support::repository::{
    assert_no_violations, display_path, files, has_extension, read, root,
};

/// Names that say nothing.
const NAMELESS: [&str; 6] = ["util", "helpers", "common", "types", "imp", "manager"];

/// Folders of the repository that hold what we write.
const OURS: [&str; 7] = ["crates", "src", "migrations", "tests", "examples", "bench", "scripts"];

#[test]
fn files_are_short() {
    let limit = limit("its code is under ", " lines");
    let long = |path: &PathBuf| {
        let lines = without_tests(&read(path)).lines().count();
        (lines >= limit).then(|| format!("{} has {lines} lines", display_path(path)))
    };
    assert_no_violations(&sources().iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn the_lint_of_long_functions_has_the_limit_of_contributing() {
    let limit = limit("its functions under ", ".");
    let configured = format!("too-many-lines-threshold = {limit}\n");
    assert!(read(&root().join("clippy.toml")).contains(&configured), "no `{configured}`");
}

/// A number in CONTRIBUTING.md, by the words around it.
fn limit(before: &str, after: &str) -> usize {
    let text = read(&root().join("CONTRIBUTING.md"));
    let found = text.split_once(before).and_then(|(_, rest)| rest.split_once(after));
    let (number, _) = found.unwrap_or_else(|| panic!("CONTRIBUTING.md: no `{before}…{after}`"));
    number.parse().unwrap_or_else(|error| panic!("CONTRIBUTING.md: `{number}`: {error}"))
}

/// A file without the unit tests at its end.
fn without_tests(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]\nmod ").map_or(text, |(code, _)| code)
}

#[test]
fn files_say_what_they_are_for() {
    let mut faults = Vec::new();
    for path in sources() {
        let head = if has_extension(&path, "sql") { "-- " } else { "//! " };
        if !read(&path).starts_with(head) {
            faults.push(format!(
                "{} does not begin with `{head}`, what it is for",
                display_path(&path)
            ));
        }
    }
    assert_no_violations(&faults);
}

#[test]
fn names_say_something() {
    let nameless = |path: &PathBuf| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = path.parent().and_then(Path::file_name).and_then(|f| f.to_str());
        NAMELESS.contains(&stem) || folder.is_some_and(|folder| NAMELESS.contains(&folder))
    };
    let faults: Vec<String> =
        sources().iter().filter(|path| nameless(path)).map(display_path).collect();
    assert_no_violations(&faults);
}

#[test]
fn the_core_is_used_by_worker_and_monitor_which_do_not_know_each_other() {
    let mut faults = Vec::new();
    let mut forbid = |user: &str, used: &[&str]| {
        let manifest = read(&root().join("crates").join(user).join("Cargo.toml"));
        let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        let names: Vec<&str> =
            dependencies.lines().filter_map(|l| l.split(['.', ' ', '=']).next()).collect();
        for name in used.iter().filter(|name| names.contains(name)) {
            faults.push(format!("crates/{user} uses `{name}`"));
        }
    };
    forbid("worker", &["rework-monitor", "rework-commands", "rework"]);
    forbid("monitor", &["rework-worker", "rework-commands", "rework"]);
    // An author compiles neither a driver of Postgres nor what only the queue needs.
    let queue =
        ["rework-core", "rework-worker", "rework-monitor", "rework-commands", "tokio-postgres"];
    for lean in ["wire", "arguments", "process", "sdk"] {
        forbid(lean, &queue);
    }
    forbid("sdk", &["rework-process"]);
    forbid("client", &["rework-worker", "rework-monitor", "rework-process", "rework-commands"]);
    let outside = ["nix", "rustix", "hyper", "axum", "reqwest", "rework-process", "rework"];
    forbid("core", &outside);
    for path in sources().iter().filter(|path| path.starts_with(root().join("crates/core/src"))) {
        let text = read(path);
        for word in ["process::Command", "http://", "TcpListener", "libc::"] {
            if text.contains(word) {
                faults.push(format!("{}: `{word}` in the core", display_path(path)));
            }
        }
    }
    assert_no_violations(&faults);
}

#[test]
fn every_statement_is_used() {
    let crates = root().join("crates");
    let all = sources();
    let (statements, rust): (Vec<&PathBuf>, Vec<&PathBuf>) = all
        .iter()
        .filter(|path| path.starts_with(&crates))
        .partition(|path| path.extension().is_some_and(|e| e == "sql"));
    let texts: String = rust.into_iter().map(|path| read(path)).collect();
    let unused = statements.into_iter().filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        !texts.contains(&format!("sql/{name}\")"))
    });
    assert_no_violations(&unused.map(display_path).collect::<Vec<_>>());
}

#[test]
fn tests_wait_for_facts() {
    let tests = root().join("tests");
    // The proxy is a slow wire.
    let here = ["support/wait.rs", "support/proxy.rs", "tidy.rs"].map(|file| tests.join(file));
    let sleepy = |path: &&PathBuf| {
        let fixture = path.starts_with(tests.join("operations"));
        path.starts_with(&tests)
            && !fixture
            && !here.contains(path)
            && read(path).contains("sleep(")
    };
    assert_no_violations(&sources().iter().filter(sleepy).map(display_path).collect::<Vec<_>>());
}

#[test]
fn lints_are_not_silenced_without_a_reason() {
    // In two parts, so that this file does not accuse itself.
    let [outer, inner] = ["#[", "#!["].map(|open| format!("{open}allow"));
    let silent = |path: &&PathBuf| {
        let text = read(path);
        text.contains(&outer) || text.contains(&inner)
    };
    assert_no_violations(&sources().iter().filter(silent).map(display_path).collect::<Vec<_>>());
}

#[test]
fn every_file_of_a_command_is_a_listed_command() {
    let setup = Installation::with_database(crate::support::database::Database::empty());
    let help = setup.rework(["--help"]).run_ok().stdout();
    let listed = |name: &str| help.lines().any(|line| line.split_whitespace().next() == Some(name));
    let folder = root().join("crates/cli/src/commands");
    let mut faults = Vec::new();
    for file in folder.read_dir().unwrap().map(|file| file.unwrap().path()) {
        let name = file.file_stem().unwrap().to_string_lossy().replace('_', "-");
        // A worker is started by a monitor, and by nobody else.
        if !["mod", "worker"].contains(&name.as_str()) && !listed(&name) {
            faults.push(format!("`{name}` is in no group of `rework --help`"));
        }
    }
    assert_no_violations(&faults);
}

/// Our Rust and SQL files.
fn sources() -> Vec<PathBuf> {
    let ours = |path: &PathBuf| has_extension(path, "rs") || has_extension(path, "sql");
    let found: Vec<PathBuf> = files(&OURS).into_iter().filter(ours).collect();
    assert!(found.len() > 100, "the sources are there to be checked");
    found
}
