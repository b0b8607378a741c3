//! Separates our own options from the inputs of an operation in `rework schedule` and `rework prepare`.
//!
//! Users mix both in any order, and clap does not know the inputs. So our options are moved before the operation, and
//! everything else is moved behind `--`: `schedule resize --width 300 --wait` becomes
//! `schedule --wait resize -- --width 300`. `input.rs` reads the inputs later, with the schema of the operation.

use std::ffi::OsString;

use clap::Command;

use super::{positional_index, takes_next_argument};

/// Returns the arguments with the inputs of the operation behind `--`. Arguments of other commands do not change.
pub(super) fn separate(parser: &Command, args: Vec<OsString>) -> Vec<OsString> {
    let Some(command_index) = positional_index(parser, None, &args, 1) else { return args };
    let name = args[command_index].to_string_lossy();
    let Some(command) =
        parser.find_subcommand(&*name).filter(|c| ["schedule", "prepare"].contains(&c.get_name()))
    else {
        return args;
    };
    match Separated::parse(parser, command, &args[command_index + 1..]) {
        Some(separated) => separated.join(&args[..=command_index]),
        None => args,
    }
}

/// The arguments after the name of the command, by kind.
struct Separated {
    /// Options of `rework`, with their values.
    own_options: Vec<OsString>,
    operation: Option<OsString>,
    inputs: Vec<OsString>,
}

impl Separated {
    /// Sorts the arguments by kind.
    ///
    /// `None` if an unknown option comes before the operation. The arguments then stay as they are, so that the parser
    /// reports the option.
    fn parse(parser: &Command, command: &Command, args: &[OsString]) -> Option<Separated> {
        let mut separated =
            Separated { own_options: Vec::new(), operation: None, inputs: Vec::new() };
        let mut args = args.iter().cloned();
        while let Some(arg) = args.next() {
            if arg == "--" {
                separated.inputs.extend(args);
                break;
            }
            let text = arg.to_string_lossy();
            let is_option = text.starts_with('-') && text.len() > 1;
            match takes_next_argument(parser, Some(command), &text).filter(|_| is_option) {
                // For `--name=value`, `takes_next_argument` does not check that the option is known.
                Some(_) if text.contains('=') && !is_own_option(parser, command, &text) => {
                    separated.inputs.push(arg);
                }
                Some(takes_next) => {
                    separated.own_options.push(arg);
                    separated.own_options.extend(takes_next.then(|| args.next()).flatten());
                }
                None if separated.operation.is_some() => separated.inputs.push(arg),
                None if is_option => return None,
                None => separated.operation = Some(arg),
            }
        }
        Some(separated)
    }

    /// Returns all arguments in their new order. `before` ends with the name of the command.
    fn join(self, before: &[OsString]) -> Vec<OsString> {
        let mut args = before.to_vec();
        args.extend(self.own_options);
        args.extend(self.operation);
        if !self.inputs.is_empty() {
            args.push("--".into());
            args.extend(self.inputs);
        }
        args
    }
}

/// Returns whether `rework` has the option that `arg` names, as `--name` or `--name=value`.
fn is_own_option(parser: &Command, command: &Command, arg: &str) -> bool {
    let name = arg.split('=').next().unwrap_or(arg);
    takes_next_argument(parser, Some(command), name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn separated(line: &str) -> String {
        let args = line.split(' ').map(OsString::from).collect();
        let args = separate(&crate::args::parser(), args);
        args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn own_options_among_the_inputs_move_before_the_operation() {
        for (typed, expected) in [
            (
                "rework schedule resize --width 300 --wait",
                "rework schedule --wait resize -- --width 300",
            ),
            (
                "rework -q post --db host=x resize --width=300 -f --crop",
                "rework -q post --db host=x -f resize -- --width=300 --crop",
            ),
            (
                "rework schedule resize --input.host a --host b",
                "rework schedule --host b resize -- --input.host a",
            ),
            (
                "rework schedule resize --priority=3 --shift -2 --delay 5m",
                "rework schedule --priority=3 --delay 5m resize -- --shift -2",
            ),
            ("rework schedule --help resize", "rework schedule --help resize"),
            (
                "rework schedule resize --width 1 --help",
                "rework schedule --help resize -- --width 1",
            ),
            ("rework schedule resize -- --wait yes", "rework schedule resize -- --wait yes"),
            (
                "rework prepare resize --rule x --width 300",
                "rework prepare --rule x resize -- --width 300",
            ),
            ("rework schedule resize --input -", "rework schedule --input - resize"),
            ("rework schedule resize 300", "rework schedule resize -- 300"),
        ] {
            assert_eq!(separated(typed), expected);
        }
    }

    #[test]
    fn arguments_of_other_commands_do_not_change() {
        for typed in [
            "rework",
            "rework schedule",
            "rework schedule --width 300 resize",
            "rework list-tasks --width 300 x --limit 3",
        ] {
            assert_eq!(separated(typed), typed);
        }
    }
}
