//! The database as the first argument of any command, as users of the first `rework` type it:
//! `rework list-tasks postgres://…` is `rework list-tasks --db postgres://…`.
//!
//! Done before the real parsing, since the commands' own first arguments are optional or free.
//! The one thing looked up in the parser is which options take a value.

mod schedule;

use std::ffi::OsString;

use clap::{ArgAction, Command};
use rework_core::db::dsn::Dsn;

/// Puts `--db` before the command's first argument, if that names a database.
pub(crate) fn rewrite(parser: &Command, mut args: Vec<OsString>) -> Vec<OsString> {
    if let Some(at) = database_at(parser, &args) {
        args.insert(at, "--db".into());
    }
    schedule::sort(parser, args)
}

/// Takes the database out of rewritten arguments: what it was, and the rest.
pub(crate) fn without_database(args: Vec<OsString>) -> Vec<OsString> {
    let mut rest = Vec::with_capacity(args.len());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            rest.push(arg);
            rest.extend(args);
            break;
        } else if arg == "--db" {
            args.next();
        } else if !["--db=", "--dsn-fd="].iter().any(|o| arg.to_string_lossy().starts_with(o)) {
            rest.push(arg);
        }
    }
    rest
}

/// Where the first argument of the command is, if it names a database.
fn database_at(parser: &Command, args: &[OsString]) -> Option<usize> {
    let command_at = positional(parser, None, args, 1)?;
    let command = parser.find_subcommand(args[command_at].to_str()?)?;
    // What it names is another database.
    if command.get_name() == "import-from" {
        return None;
    }
    let first = positional(parser, Some(command), args, command_at + 1)?;
    args[first].to_str().is_some_and(Dsn::looks_like).then_some(first)
}

/// The first argument from `start` on that is neither an option nor the value of one. None behind
/// an option that is not known: it may take a value or not.
fn positional(
    parser: &Command,
    command: Option<&Command>,
    args: &[OsString],
    start: usize,
) -> Option<usize> {
    let mut at = start;
    while at < args.len() {
        let arg = args[at].to_str()?;
        if arg == "--" || !arg.starts_with('-') || arg == "-" {
            return (arg != "--").then_some(at);
        }
        at += 1 + usize::from(takes_next(parser, command, arg)?);
    }
    None
}

/// Whether the argument after this option is its value.
fn takes_next(parser: &Command, command: Option<&Command>, option: &str) -> Option<bool> {
    if option.contains('=') {
        return Some(false);
    }
    let known =
        || command.into_iter().flat_map(Command::get_arguments).chain(parser.get_arguments());
    let takes_value =
        |arg: &clap::Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if let Some(name) = option.strip_prefix("--") {
        let named = |arg: &&clap::Arg| {
            arg.get_long() == Some(name)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        };
        return if name == "help" { Some(false) } else { known().find(named).map(takes_value) };
    }
    // `-q`, `-qf`, `-ojson`, `-o json`: the first letter that takes a value takes all that follows.
    let letters: Vec<char> = option.chars().skip(1).collect();
    for (i, letter) in letters.iter().enumerate() {
        let arg = known().find(|arg| arg.get_short() == Some(*letter));
        if arg.is_none() && *letter != 'h' {
            return None;
        }
        if arg.is_some_and(takes_value) {
            return Some(i + 1 == letters.len());
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(line: &str) -> String {
        let args = line.split(' ').map(OsString::from).collect();
        let words = rewrite(&crate::args::parser(), args);
        words.iter().map(|w| w.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_database_may_be_the_first_argument() {
        for (typed, meant) in [
            ("rework list-tasks postgres://db/x", "rework list-tasks --db postgres://db/x"),
            ("rework -q log-task postgres://db/x 7", "rework -q log-task --db postgres://db/x 7"),
            (
                "rework -o json monitor --domain d host=db",
                "rework -o json monitor --domain d --db host=db",
            ),
            ("rework log-task -qf host=db 7", "rework log-task -qf --db host=db 7"),
            ("rework post postgres://db/x resize", "rework post --db postgres://db/x resize"),
        ] {
            assert_eq!(rewritten(typed), meant);
        }
    }

    #[test]
    fn other_arguments_stay_where_they_are() {
        for typed in [
            "rework",
            "rework --help",
            "rework list-tasks",
            "rework list-tasks --db postgres://db/x",
            "rework import-from postgres://db/x",
            "rework show-task 7 postgres://db/x",
            "rework schedule --unknown postgres://db/x",
            "rework monitor --host host=db",
            "rework nonsense postgres://db/x",
            "rework -- postgres://db/x",
        ] {
            assert_eq!(rewritten(typed), typed);
        }
    }

    #[test]
    fn the_database_can_be_taken_out_again() {
        let args = ["rework", "monitor", "--db", "postgres://a:b@c/d", "--domain", "x", "--db=y"];
        let rest = without_database(args.map(OsString::from).to_vec());
        assert_eq!(rest, ["rework", "monitor", "--domain", "x"]);
    }
}
