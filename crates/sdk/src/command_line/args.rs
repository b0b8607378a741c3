//! Parses the command line of a program of operations: which operation, and its input.

use std::io::Read;

use rework_arguments::{Parts, suggest::nearest};
use serde_json::{Value, value::RawValue};

use crate::operation::{Operation, Operations};

/// The action that the command line requests.
#[derive(Debug)]
pub(super) enum Invocation {
    /// A list of all operations.
    List,
    /// The help of one operation.
    Help(&'static Operation),
    /// A run of one operation with this input.
    Run(&'static Operation, Option<Vec<u8>>),
}

/// Why the command line is not valid, and what to type instead.
#[derive(Debug, PartialEq)]
pub(super) struct UsageError {
    pub(super) error: String,
    pub(super) hint: String,
}

/// The options that every operation has, and the arguments that give parts of the input.
#[derive(Debug, Default)]
struct Options {
    domain: Option<String>,
    input: Option<String>,
    help: bool,
    /// The other arguments: `--width 300` and the like.
    parts: Vec<String>,
}

/// Parses the arguments that follow the name of the program.
pub(super) fn parse(
    all: &Operations,
    program: &str,
    arguments: &[String],
) -> Result<Invocation, UsageError> {
    let Some((name, arguments)) = arguments.split_first() else { return Ok(Invocation::List) };
    if name == "--help" || name == "-h" {
        return Ok(Invocation::List);
    }
    let options = Options::parse(arguments)
        .map_err(|error| UsageError { error, hint: format!("{program} {name} --help") })?;
    let operation = find(all, program, name, options.domain.as_deref())?;
    if options.help {
        return Ok(Invocation::Help(operation));
    }
    let input = options
        .into_input(operation)
        .map_err(|error| UsageError { error, hint: format!("{program} {name} --help") })?;
    Ok(Invocation::Run(operation, input))
}

/// Finds the operation of this name. `Err` if there is none, or if several domains have one and none is given.
fn find(
    all: &Operations,
    program: &str,
    name: &str,
    domain: Option<&str>,
) -> Result<&'static Operation, UsageError> {
    let matches: Vec<_> = all
        .iter()
        .filter(|operation| operation.name == name)
        .filter(|operation| domain.is_none_or(|domain| operation.domain == domain))
        .collect();
    match matches[..] {
        [one] => Ok(one),
        [] => {
            let within = domain.map(|domain| format!(" in domain `{domain}`")).unwrap_or_default();
            let similar = nearest(name, all.iter().map(|operation| operation.name));
            Err(UsageError {
                error: format!("this program has no operation `{name}`{within}"),
                hint: similar
                    .filter(|similar| *similar != name)
                    .map_or_else(|| program.to_owned(), |similar| format!("{program} {similar}")),
            })
        }
        [first, ..] => {
            let domains: Vec<_> = matches.iter().map(|o| format!("`{}`", o.domain)).collect();
            Err(UsageError {
                error: format!("operation `{name}` is in several domains: {}", domains.join(", ")),
                hint: format!("{program} {name} --domain {}", first.domain),
            })
        }
    }
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let option = match name {
                "--help" | "-h" => {
                    options.help = true;
                    continue;
                }
                "--domain" => &mut options.domain,
                "--input" => &mut options.input,
                _ => {
                    options.parts.push(argument.clone());
                    continue;
                }
            };
            let value = inline.or_else(|| arguments.next().cloned());
            *option = Some(value.ok_or_else(|| format!("`{name}` needs a value"))?);
        }
        Ok(options)
    }

    /// Makes the bytes of the input from `--input` and the other arguments. `None` if the operation takes no input, or
    /// none is given.
    fn into_input(self, operation: &Operation) -> Result<Option<Vec<u8>>, String> {
        let whole = self.input.as_deref().map(load).transpose()?;
        let Some(schema) = operation.input else {
            let is_given = whole.is_some() || !self.parts.is_empty();
            return if is_given {
                Err(format!("operation `{}` takes no input", operation.name))
            } else {
                Ok(None)
            };
        };
        let schema = match schema() {
            Some(schema) => schema,
            None if self.parts.is_empty() => return Ok(whole),
            None => {
                return Err(format!(
                    "the input of operation `{}` is raw bytes: give them with `--input @FILE`",
                    operation.name
                ));
            }
        };
        let Some(parts) = parse_parts(&schema, &self.parts)? else { return Ok(whole) };
        merge(operation, &schema, whole, parts).map(Some)
    }
}

/// Parses the parts of the input, an object. `None` if there are none and the input is not an object.
fn parse_parts(schema: &Value, arguments: &[String]) -> Result<Option<Parts>, String> {
    if arguments.is_empty() && schema.get("type").and_then(Value::as_str) != Some("object") {
        return Ok(None);
    }
    rework_arguments::parse(schema, arguments).map(Some).map_err(|error| error.to_string())
}

/// Adds the parts to the object that `--input` gives, and checks that nothing required is missing.
fn merge(
    operation: &Operation,
    schema: &Value,
    whole: Option<Vec<u8>>,
    parts: Parts,
) -> Result<Vec<u8>, String> {
    let mut input = match whole {
        Some(whole) if parts.is_empty() => return Ok(whole),
        Some(whole) => parts_of(&whole)?,
        None => Parts::new(),
    };
    input.extend(parts);
    let arguments = rework_arguments::describe(schema);
    let missing = arguments.iter().filter(|a| a.required && !input.contains_key(&a.name));
    let missing: Vec<_> = missing.map(|a| format!("`{} {}`", a.flag(), a.type_name)).collect();
    if !missing.is_empty() {
        return Err(format!("operation `{}` needs {}", operation.name, missing.join(", ")));
    }
    serde_json::to_vec(&input).map_err(|error| error.to_string())
}

/// Returns the parts of the object that `--input` gives. `Err` if it is not an object.
fn parts_of(whole: &[u8]) -> Result<Parts, String> {
    let json: &RawValue =
        serde_json::from_slice(whole).map_err(|error| format!("`--input` is not JSON: {error}"))?;
    serde_json::from_str(json.get()).map_err(|_| {
        "`--input` is not a JSON object, so no other argument can set a part of it".to_owned()
    })
}

/// Loads the value of `--input`: JSON text, `@FILE`, or `-` for stdin.
fn load(input: &str) -> Result<Vec<u8>, String> {
    if input == "-" {
        let mut bytes = Vec::new();
        return match std::io::stdin().read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(format!("cannot read stdin: {error}")),
        };
    }
    match input.strip_prefix('@') {
        Some(path) => std::fs::read(path).map_err(|error| format!("cannot read `{path}`: {error}")),
        None => Ok(input.as_bytes().to_vec()),
    }
}
