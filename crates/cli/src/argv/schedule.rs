//! The words of `rework schedule` and `rework prepare`: our options stand among the operation's own inputs, in any
//! order, and the parser cannot know the inputs. Ours are moved before the operation, the rest
//! behind `--`: `schedule resize --width 300 --wait` is `schedule --wait resize -- --width 300`.

use std::ffi::OsString;

use clap::Command;

use super::{positional, takes_next};

/// Sorts the words, if they are of `schedule` or `prepare`.
pub(super) fn sort(parser: &Command, args: Vec<OsString>) -> Vec<OsString> {
    let Some(command_at) = positional(parser, None, &args, 1) else { return args };
    let name = args[command_at].to_string_lossy();
    let Some(command) =
        parser.find_subcommand(&*name).filter(|c| ["schedule", "prepare"].contains(&c.get_name()))
    else {
        return args;
    };
    match Sorted::of(parser, command, &args[command_at + 1..]) {
        Some(sorted) => sorted.joined(&args[..=command_at]),
        None => args,
    }
}

/// The words, by whose they are.
struct Sorted {
    ours: Vec<OsString>,
    operation: Option<OsString>,
    inputs: Vec<OsString>,
}

impl Sorted {
    /// None where an option that is not ours comes before the operation: the parser refuses it.
    fn of(parser: &Command, command: &Command, words: &[OsString]) -> Option<Sorted> {
        let mut sorted = Sorted { ours: Vec::new(), operation: None, inputs: Vec::new() };
        let mut words = words.iter().cloned();
        while let Some(word) = words.next() {
            if word == "--" {
                sorted.inputs.extend(words);
                break;
            }
            let text = word.to_string_lossy();
            let option = text.starts_with('-') && text.len() > 1;
            match takes_next(parser, Some(command), &text).filter(|_| option) {
                // A value in the same word says nothing about whose the option is.
                Some(_) if text.contains('=') && !is_ours(parser, command, &text) => {
                    sorted.inputs.push(word);
                }
                Some(takes_next) => {
                    sorted.ours.push(word);
                    sorted.ours.extend(takes_next.then(|| words.next()).flatten());
                }
                None if sorted.operation.is_some() => sorted.inputs.push(word),
                None if option => return None,
                None => sorted.operation = Some(word),
            }
        }
        Some(sorted)
    }

    fn joined(self, before: &[OsString]) -> Vec<OsString> {
        let mut words = before.to_vec();
        words.extend(self.ours);
        words.extend(self.operation);
        if !self.inputs.is_empty() {
            words.push("--".into());
            words.extend(self.inputs);
        }
        words
    }
}

fn is_ours(parser: &Command, command: &Command, word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    takes_next(parser, Some(command), name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(line: &str) -> String {
        let args = line.split(' ').map(OsString::from).collect();
        let words = sort(&crate::args::parser(), args);
        words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn options_may_stand_among_inputs() {
        for (typed, meant) in [
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
            assert_eq!(sorted(typed), meant);
        }
    }

    #[test]
    fn other_words_stay_where_they_are() {
        for typed in [
            "rework",
            "rework schedule",
            "rework schedule --width 300 resize",
            "rework list-tasks --width 300 x --limit 3",
        ] {
            assert_eq!(sorted(typed), typed);
        }
    }
}
