//! What a person typed: which operation, and its input.

use std::io::Read;

use rework_arguments::suggest::nearest;
use serde_json::Value;

use crate::operation::{Operation, Operations};

/// What a person asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// All operations.
    List,
    /// How to call one.
    Help(&'static Operation),
    /// One to be run, with its input.
    Run(&'static Operation, Option<Vec<u8>>),
}

/// Why the words cannot be followed, and what to type instead.
#[derive(Debug, PartialEq)]
pub(super) struct Usage {
    pub(super) error: String,
    pub(super) hint: String,
}

/// Our own options, and the rest, which is the operation's.
#[derive(Debug, Default)]
struct Options {
    domain: Option<String>,
    input: Option<String>,
    help: bool,
    inputs: Vec<String>,
}

/// Reads the words after the program's name.
pub(super) fn read(all: &Operations, program: &str, words: &[String]) -> Result<Asked, Usage> {
    let Some((name, words)) = words.split_first() else { return Ok(Asked::List) };
    if name == "--help" || name == "-h" {
        return Ok(Asked::List);
    }
    let options = Options::split(words)
        .map_err(|error| Usage { error, hint: format!("{program} {name} --help") })?;
    let operation = find(all, program, name, options.domain.as_deref())?;
    if options.help {
        return Ok(Asked::Help(operation));
    }
    let input = options
        .into_input(operation)
        .map_err(|error| Usage { error, hint: format!("{program} {name} --help") })?;
    Ok(Asked::Run(operation, input))
}

fn find(
    all: &Operations,
    program: &str,
    name: &str,
    domain: Option<&str>,
) -> Result<&'static Operation, Usage> {
    let named: Vec<_> = all
        .iter()
        .filter(|operation| operation.name == name)
        .filter(|operation| domain.is_none_or(|domain| operation.domain == domain))
        .collect();
    match named[..] {
        [one] => Ok(one),
        [] => {
            let within = domain.map(|domain| format!(" in domain `{domain}`")).unwrap_or_default();
            let alike = nearest(name, all.iter().map(|operation| operation.name));
            Err(Usage {
                error: format!("this program has no operation `{name}`{within}"),
                hint: alike
                    .filter(|alike| *alike != name)
                    .map_or_else(|| program.to_owned(), |alike| format!("{program} {alike}")),
            })
        }
        [first, ..] => {
            let domains: Vec<_> = named.iter().map(|o| format!("`{}`", o.domain)).collect();
            Err(Usage {
                error: format!("operation `{name}` is in the domains {}", domains.join(", ")),
                hint: format!("{program} {name} --domain {}", first.domain),
            })
        }
    }
}

impl Options {
    fn split(words: &[String]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let option = match name {
                "--help" | "-h" => {
                    options.help = true;
                    continue;
                }
                "--domain" => &mut options.domain,
                "--input" => &mut options.input,
                _ => {
                    options.inputs.push(word.clone());
                    continue;
                }
            };
            let value = inline.or_else(|| words.next().cloned());
            *option = Some(value.ok_or_else(|| format!("`{name}` needs a value"))?);
        }
        Ok(options)
    }

    fn into_input(self, operation: &Operation) -> Result<Option<Vec<u8>>, String> {
        let whole = self.input.as_deref().map(load).transpose()?;
        let Some(schema) = operation.input else {
            let given = whole.is_some() || !self.inputs.is_empty();
            return if given {
                Err(format!("operation `{}` takes no input", operation.name))
            } else {
                Ok(None)
            };
        };
        let schema = match schema() {
            Some(schema) => schema,
            None if self.inputs.is_empty() => return Ok(whole),
            None => {
                return Err("its input is bytes: give them with `--input @FILE`".to_owned());
            }
        };
        let Some(parts) = parse(&schema, &self.inputs)? else { return Ok(whole) };
        merged(&schema, whole, parts).map(Some)
    }
}

/// The parts of the input; none if there are none and the input is no object.
fn parse(schema: &Value, words: &[String]) -> Result<Option<Value>, String> {
    if words.is_empty() && schema.get("type").and_then(Value::as_str) != Some("object") {
        return Ok(None);
    }
    rework_arguments::parse(schema, words).map(Some).map_err(|error| error.to_string())
}

fn merged(schema: &Value, whole: Option<Vec<u8>>, parts: Value) -> Result<Vec<u8>, String> {
    let Value::Object(parts) = parts else { return Err("an input without parts".to_owned()) };
    let mut input = match whole {
        Some(whole) if parts.is_empty() => return Ok(whole),
        Some(whole) => match serde_json::from_slice(&whole) {
            Ok(Value::Object(whole)) => whole,
            Ok(_) => return Err("`--input` is no object, so nothing can be set in it".to_owned()),
            Err(error) => return Err(format!("`--input` is no JSON: {error}")),
        },
        None => serde_json::Map::new(),
    };
    input.extend(parts);
    let arguments = rework_arguments::describe(schema);
    let missing = arguments.iter().filter(|a| a.required && !input.contains_key(&a.name));
    let missing: Vec<_> = missing.map(|a| format!("`{} {}`", a.flag(), a.type_name)).collect();
    if !missing.is_empty() {
        return Err(format!("its input needs {}", missing.join(", ")));
    }
    Ok(Value::Object(input).to_string().into_bytes())
}

/// `JSON`, `@FILE` or `-`.
fn load(input: &str) -> Result<Vec<u8>, String> {
    if input == "-" {
        let mut bytes = Vec::new();
        return match std::io::stdin().read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(format!("stdin cannot be read: {error}")),
        };
    }
    match input.strip_prefix('@') {
        Some(path) => std::fs::read(path).map_err(|error| format!("cannot read `{path}`: {error}")),
        None => Ok(input.as_bytes().to_vec()),
    }
}
