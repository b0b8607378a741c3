//! The program that an operation of a manifest runs, and the patterns of the environment variables that it gets.

use std::ffi::OsStr;

/// The program of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A program and its arguments. The program is found in `PATH`, or by its path relative to the operation's folder.
    Command(Vec<String>),
    /// A script for `/bin/sh -c`.
    Shell(String),
}

impl Program {
    /// Returns the program to start, followed by its arguments.
    pub fn argv(&self) -> Vec<&OsStr> {
        match self {
            Program::Command(argv) => argv.iter().map(OsStr::new).collect(),
            Program::Shell(script) => ["/bin/sh", "-c", script].map(OsStr::new).to_vec(),
        }
    }

    /// Returns the program as a text for people.
    pub fn text(&self) -> String {
        match self {
            Program::Command(argv) => argv.join(" "),
            Program::Shell(script) => script.trim().to_owned(),
        }
    }
}

/// Returns whether the name of a variable matches a pattern in which `*` stands for any characters.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, pattern_end)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices()
                .map(|(at, _)| at)
                .chain([name.len()])
                .any(|at| matches(pattern_end, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_characters() {
        for (pattern, name, expected) in [
            ("AWS_*", "AWS_REGION", true),
            ("AWS_*", "AWS_", true),
            ("AWS_*", "MY_AWS_REGION", false),
            ("*_TOKEN", "GITHUB_TOKEN", true),
            ("A*C*E", "ABCDE", true),
            ("A*C*E", "ABCDEF", false),
            ("HOME", "HOME", true),
            ("HOME", "HOMES", false),
            ("*", "ANYTHING", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_script_is_run_by_the_shell() {
        let script = Program::Shell("echo $HOME | wc".into());
        assert_eq!(script.argv(), ["/bin/sh", "-c", "echo $HOME | wc"]);
        let command = Program::Command(vec!["convert".into(), "-".into()]);
        assert_eq!(command.argv(), ["convert", "-"]);
    }
}
