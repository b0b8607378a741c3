//! Renders `rework schedule OPERATION --help`: the inputs of one operation, as `rework schedule` accepts them.

use anstyle::Style;
use rework_arguments::{Argument, describe};
use rework_core::values::quantity::{show_bytes, show_milliseconds};
use rework_wire::operation::{DEFAULT_DOMAIN, Definition};

const HEADING: Style = Style::new().bold().underline();
const NAME: Style = Style::new().bold();

/// Returns the help text. `own_options` are the names of the options of `rework schedule`; an input with such a name is
/// shown as `--input.NAME`.
pub(crate) fn render(operation: &Definition, own_options: &[String], colour: bool) -> String {
    let (heading, bold) = if colour { (HEADING, NAME) } else { (Style::new(), Style::new()) };
    let name = &operation.name;
    let domain = match operation.domain.as_str() {
        DEFAULT_DOMAIN => String::new(),
        domain => format!(" of domain `{domain}`"),
    };
    let arguments = operation.input.as_ref().map(describe).unwrap_or_default();
    let usage =
        if arguments.is_empty() { usage_without_names(operation) } else { " [--NAME VALUE …]" };
    let mut lines = vec![
        format!("Schedule operation `{name}`{domain}{}", limits(operation)),
        String::new(),
        format!("{heading}Usage:{heading:#} rework schedule {name}{usage} [OPTIONS]"),
    ];
    if !arguments.is_empty() {
        lines.extend([String::new(), format!("{heading}Inputs:{heading:#}")]);
        let options: Vec<String> =
            arguments.iter().map(|argument| option_text(argument, own_options)).collect();
        let width = options.iter().map(|text| text.chars().count()).max().unwrap_or(0);
        lines.extend(options.iter().zip(&arguments).map(|(option, argument)| {
            let line = format!("  {bold}{option:width$}{bold:#}  {}", describe_argument(argument));
            line.trim_end().to_owned()
        }));
    }
    let end = "For the options, type `rework schedule --help`.";
    lines.extend([String::new(), end.to_owned(), String::new()]);
    lines.join("\n")
}

/// Returns the usage of an operation whose input has no named parts.
fn usage_without_names(operation: &Definition) -> &'static str {
    if operation.input.is_some() { " --input JSON" } else { " [--input JSON | --raw @FILE]" }
}

/// Returns an input as an option: `--width INTEGER`, or `--input.host STRING` if `rework schedule` has an option with
/// that name.
fn option_text(argument: &Argument, own_options: &[String]) -> String {
    let flag = argument.flag();
    let name = flag.trim_start_matches("--");
    let collides = own_options.iter().any(|option| option == name);
    let flag = if collides { format!("--input.{name}") } else { flag.clone() };
    match argument.type_name.as_str() {
        "boolean" => flag,
        other if other.contains('|') => format!("{flag} {other}"),
        other => format!("{flag} {}", other.to_uppercase()),
    }
}

fn describe_argument(argument: &Argument) -> String {
    let default = argument.default.as_ref().map(|default| format!("[default: {default}]"));
    let required = (argument.required && default.is_none()).then(|| "[required]".to_owned());
    let description = argument.description.clone().map(|text| text.replace('\n', " "));
    [description, required, default].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Returns the limits, for example ` (timeout 5m, memory 2 GiB, 3 attempts)`. Empty if there are none.
fn limits(operation: &Definition) -> String {
    let limits = &operation.limits;
    let all: Vec<String> = [
        limits.timeout_ms.map(|ms| format!("timeout {}", show_milliseconds(ms))),
        limits.memory_bytes.map(|bytes| format!("memory {}", show_bytes(bytes))),
        (limits.attempts > 1).then(|| format!("{} attempts", limits.attempts)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

#[cfg(test)]
mod tests {
    use rework_wire::operation::{Form, Limits};
    use serde_json::{Value, json};

    use super::*;

    fn operation(input: Option<Value>, limits: Limits) -> Definition {
        Definition {
            domain: "images".into(),
            name: "resize".into(),
            input,
            output: None,
            output_form: Form::Json,
            limits,
            ..Definition::default()
        }
    }

    #[test]
    fn inputs_are_listed_with_type_description_and_default() {
        let schema = json!({
            "type": "object",
            "properties": {
                "width": { "type": "integer", "description": "In pixels." },
                "host": { "type": "string" },
                "crop": { "type": "boolean", "default": false },
            },
            "required": ["width"],
        });
        let limits = Limits { timeout_ms: Some(300_000), attempts: 3, ..Limits::default() };
        assert_eq!(
            render(&operation(Some(schema), limits), &["host".into()], false),
            "Schedule operation `resize` of domain `images` (timeout 5m, 3 attempts)\n\
             \n\
             Usage: rework schedule resize [--NAME VALUE …] [OPTIONS]\n\
             \n\
             Inputs:\n\
             \x20 --width INTEGER      In pixels. [required]\n\
             \x20 --crop               [default: false]\n\
             \x20 --input.host STRING\n\
             \n\
             For the options, type `rework schedule --help`.\n"
        );
    }

    #[test]
    fn an_input_without_named_parts_is_given_as_a_whole() {
        let free = render(&operation(None, Limits::default()), &[], false);
        assert!(free.contains("rework schedule resize [--input JSON | --raw @FILE] [OPTIONS]"));
        let number =
            render(&operation(Some(json!({ "type": "number" })), Limits::default()), &[], false);
        assert!(number.contains("rework schedule resize --input JSON [OPTIONS]"));
    }
}
