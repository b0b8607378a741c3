//! The help texts of a program of operations: the list of all, and the arguments of one.

use std::fmt::{self, Write};

use rework_arguments::{Argument, describe, type_name};
use serde_json::Value;

use crate::operation::{Operation, Operations};

/// Returns the list of all operations, one in each line: domain, name, input, first line of the documentation.
pub(super) fn list(all: &Operations, program: &str) -> String {
    to_string(|text| write_list(text, all, program))
}

/// Returns the help of one operation: its documentation, usage and arguments.
pub(super) fn operation_help(operation: &Operation, program: &str) -> String {
    to_string(|text| write_operation(text, operation, program))
}

fn to_string(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text);
    text
}

fn write_list(text: &mut String, all: &Operations, program: &str) -> fmt::Result {
    let mut rows = vec![["DOMAIN", "NAME", "INPUT", ""].map(str::to_owned)];
    rows.extend(all.iter().map(|operation| {
        let about = operation.about.to_owned();
        [operation.domain.to_owned(), operation.name.to_owned(), short_input(operation), about]
    }));
    let [a, b, c] = [0, 1, 2].map(|column| widest(rows.iter().map(|row| &row[column])));
    for [domain, name, input, about] in &rows {
        let line = format!("{domain:a$}  {name:b$}  {input:c$}  {about}");
        writeln!(text, "{}", line.trim_end())?;
    }
    writeln!(
        text,
        "\nusage: {program} NAME [--INPUT VALUE]...  runs an operation, without a database"
    )?;
    writeln!(text, "       {program} NAME --help             shows the input of an operation")
}

fn write_operation(text: &mut String, operation: &Operation, program: &str) -> fmt::Result {
    if !operation.about.is_empty() {
        writeln!(text, "{}\n", operation.about)?;
    }
    write!(text, "usage: {program} {}", operation.name)?;
    let arguments = arguments(operation);
    let mut lines = Vec::new();
    for argument in &arguments {
        let flag = format!("{} {}", argument.flag(), argument.type_name);
        let [open, close] = if argument.required { ["", ""] } else { ["[", "]"] };
        write!(text, " {open}{flag}{close}")?;
        lines.push((flag, explanation(argument)));
    }
    if operation.input.is_some() {
        if arguments.is_empty() {
            write!(text, " --input INPUT")?;
        }
        let type_name =
            if arguments.is_empty() { short_input(operation) } else { "JSON".to_owned() };
        let whole = format!("the whole input: {type_name}, @FILE, or - for stdin");
        lines.push(("--input INPUT".to_owned(), whole));
    }
    lines.push((
        "--domain DOMAIN".to_owned(),
        format!("the domain of the operation: `{}`", operation.domain),
    ));
    writeln!(text, "\n")?;
    let width = widest(lines.iter().map(|(flag, _)| flag));
    for (flag, explanation) in &lines {
        writeln!(text, "{}", format!("  {flag:width$}  {explanation}").trim_end())?;
    }
    Ok(())
}

/// Returns the input in short form: `width: integer, note: string?`, or its type if it is not an object.
fn short_input(operation: &Operation) -> String {
    let Some(schema) = operation.input else { return "none".to_owned() };
    let Some(schema) = schema() else { return "bytes".to_owned() };
    let parts: Vec<String> = describe(&schema)
        .iter()
        .map(|a| format!("{}: {}{}", a.name, a.type_name, if a.required { "" } else { "?" }))
        .collect();
    if parts.is_empty() { type_name(&schema) } else { parts.join(", ") }
}

fn arguments(operation: &Operation) -> Vec<Argument> {
    let schema = operation.input.and_then(|schema| schema());
    schema.as_ref().map(describe).unwrap_or_default()
}

fn explanation(argument: &Argument) -> String {
    let description = argument.description.as_deref().unwrap_or_default().replace('\n', " ");
    match argument.default.as_ref().filter(|default| **default != Value::Null) {
        Some(default) => format!("{description} (default: {default})").trim_start().to_owned(),
        None => description,
    }
}

fn widest<'a>(texts: impl Iterator<Item = &'a String>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or_default()
}
