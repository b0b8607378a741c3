//! Rewrites the arguments before clap parses them, because clap cannot express two forms that users type.
//!
//! The first form is a database as the first argument of any command: `rework list-tasks postgres://…` becomes
//! `rework list-tasks --db postgres://…`. clap would take the database for the command's own first argument.
//! The second form is in `argv/operation_inputs.rs`. Both use the parser only to find out which options take a value.

mod operation_inputs;

use std::ffi::OsString;

use clap::{ArgAction, Command};
use rework_core::db::dsn::Dsn;

/// Returns the arguments in the form that the parser takes. `args` starts with the name of the program.
///
/// Inserts `--db` before the command's first argument if that argument is a DSN, and separates the inputs of an
/// operation from our own options.
pub(crate) fn rewrite(parser: &Command, mut args: Vec<OsString>) -> Vec<OsString> {
    if let Some(index) = database_index(parser, &args) {
        args.insert(index, "--db".into());
    }
    operation_inputs::separate(parser, args)
}

/// Returns rewritten arguments without `--db` and `--dsn-fd`. Arguments after `--` are kept as they are.
pub(crate) fn without_database(args: Vec<OsString>) -> Vec<OsString> {
    let mut kept = Vec::with_capacity(args.len());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            kept.push(arg);
            kept.extend(args);
            break;
        } else if arg == "--db" {
            // The value is an argument of its own.
            args.next();
        } else if !["--db=", "--dsn-fd="].iter().any(|o| arg.to_string_lossy().starts_with(o)) {
            kept.push(arg);
        }
    }
    kept
}

/// Returns the index of the command's first positional argument if that argument is a DSN,
/// otherwise `None`.
fn database_index(parser: &Command, args: &[OsString]) -> Option<usize> {
    let command_index = positional_index(parser, None, args, 1)?;
    let command = parser.find_subcommand(args[command_index].to_str()?)?;
    // The DSN after `import-from` is the database to import from, not the one that `--db` names.
    if command.get_name() == "import-from" {
        return None;
    }
    let first = positional_index(parser, Some(command), args, command_index + 1)?;
    args[first].to_str().is_some_and(Dsn::is_plausible).then_some(first)
}

/// Returns the index of the first argument from `start` on that is neither an option nor the value of an option.
///
/// `None` if an unknown option comes first, because it may or may not take the next argument as its value. `None` also
/// if `--` comes first, or if an argument is not UTF-8.
fn positional_index(
    parser: &Command,
    command: Option<&Command>,
    args: &[OsString],
    start: usize,
) -> Option<usize> {
    let mut index = start;
    while index < args.len() {
        let arg = args[index].to_str()?;
        if arg == "--" || !arg.starts_with('-') || arg == "-" {
            return (arg != "--").then_some(index);
        }
        index += 1 + usize::from(takes_next_argument(parser, command, arg)?);
    }
    None
}

/// Returns whether the argument after `option` is the value of `option`. `None` if the option is unknown.
///
/// `command` is the command whose options count, besides those that every command understands.
fn takes_next_argument(parser: &Command, command: Option<&Command>, option: &str) -> Option<bool> {
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
    // In `-qf`, `-ojson` and `-o json`, the first letter that takes a value takes everything after it. The value is
    // the next argument if that letter is the last one.
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
        let args = rewrite(&crate::args::parser(), args);
        args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_dsn_as_the_first_argument_becomes_an_option() {
        for (typed, expected) in [
            ("rework list-tasks postgres://db/x", "rework list-tasks --db postgres://db/x"),
            ("rework -q log-task postgres://db/x 7", "rework -q log-task --db postgres://db/x 7"),
            (
                "rework -o json monitor --domain d host=db",
                "rework -o json monitor --domain d --db host=db",
            ),
            ("rework log-task -qf host=db 7", "rework log-task -qf --db host=db 7"),
            ("rework post postgres://db/x resize", "rework post --db postgres://db/x resize"),
        ] {
            assert_eq!(rewritten(typed), expected);
        }
    }

    #[test]
    fn other_arguments_do_not_change() {
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
    fn without_database_removes_every_form_of_the_option() {
        let args = ["rework", "monitor", "--db", "postgres://a:b@c/d", "--domain", "x", "--db=y"];
        let kept = without_database(args.map(OsString::from).to_vec());
        assert_eq!(kept, ["rework", "monitor", "--domain", "x"]);
    }
}
