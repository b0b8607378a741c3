//! What a manifest's operation runs, and which variables it is given.

use std::ffi::OsStr;

/// What is run: a program with its arguments, or a line for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A program, found in `PATH` or by its path from the operation's folder, and its arguments.
    Command(Vec<String>),
    /// A script for `/bin/sh -c`.
    Shell(String),
}

impl Program {
    /// The program to start and its arguments.
    pub fn argv(&self) -> Vec<&OsStr> {
        match self {
            Program::Command(words) => words.iter().map(OsStr::new).collect(),
            Program::Shell(script) => ["/bin/sh", "-c", script].map(OsStr::new).to_vec(),
        }
    }
}

/// Whether a variable's name fits a pattern in which `*` stands for any letters.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices()
                .map(|(at, _)| at)
                .chain([name.len()])
                .any(|at| matches(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
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
    fn the_shell_runs_scripts() {
        let script = Program::Shell("echo $HOME | wc".into());
        assert_eq!(script.argv(), ["/bin/sh", "-c", "echo $HOME | wc"]);
        let command = Program::Command(vec!["convert".into(), "-".into()]);
        assert_eq!(command.argv(), ["convert", "-"]);
    }
}
