//! Checks the Markdown documents: line width, paired markers, paths that exist, and parameters as in the schema.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::database::Database;
use crate::support::repository::{
    assert_no_violations, display_path, files, has_extension, read, root,
};

/// The maximum length of a line outside of tables and code blocks, in characters. Such a line fits into a terminal.
const WIDTH: usize = 125;

/// Documents in which every path is a path of this repository. Other documents have paths of users' files.
const DOCUMENTS_WITH_PATHS: [&str; 3] = ["ARCHITECTURE.md", "CONTRIBUTING.md", "bench/README.md"];

#[test]
fn lines_fit_into_a_terminal() {
    let mut violations = Vec::new();
    for path in documents() {
        for (number, line) in prose(&read(&path)) {
            let width = line.chars().count();
            if width > WIDTH && !line.starts_with('|') && !is_single_code(line) {
                violations.push(format!("{}:{number} has {width} characters", display_path(&path)));
            }
        }
    }
    assert_no_violations(&violations);
}

#[test]
fn markers_of_code_and_strong_text_are_paired_in_each_paragraph() {
    let mut violations = Vec::new();
    for path in documents() {
        for (number, paragraph) in paragraphs(&read(&path)) {
            let outside: Vec<&str> = paragraph.split('`').step_by(2).collect();
            let outside = outside.join(" ");
            if paragraph.matches('`').count() % 2 == 1 || outside.matches("**").count() % 2 == 1 {
                violations.push(format!(
                    "{}:{number}: a backquote or `**` is not closed",
                    display_path(&path)
                ));
            }
        }
    }
    assert_no_violations(&violations);
}

#[test]
fn paths_in_documents_exist() {
    let known = path_parts();
    let mut violations = Vec::new();
    for path in DOCUMENTS_WITH_PATHS.map(|name| root().join(name)) {
        for (number, paragraph) in paragraphs(&read(&path)) {
            let quoted = paragraph.split('`').skip(1).step_by(2);
            for mentioned in quoted.filter(|text| is_path(text)) {
                if !known.contains(mentioned.trim_end_matches('/')) {
                    violations.push(format!(
                        "{}:{number}: `{mentioned}` does not exist",
                        display_path(&path)
                    ));
                }
            }
        }
    }
    assert_no_violations(&violations);
}

/// Compares the parameters of each function in `docs/sql.md`, which has a table of them below the name, with the
/// schema.
#[test]
fn documented_parameters_of_functions_are_those_of_the_schema() {
    let database = Database::new();
    let text = read(&root().join("docs/sql.md"));
    let mut violations = Vec::new();
    let sections = text.split("\n## rework.").skip(1).filter_map(|part| part.split_once('\n'));
    for (function, section) in sections {
        let sql = "select pg_get_function_arguments(($1::text)::regproc)";
        let arguments: String =
            database.session().query_value(sql, &[&format!("rework.{function}").as_str()]);
        let in_schema: Vec<String> = arguments.split(", ").map(parameter_of_schema).collect();
        let rows = section.lines().take_while(|line| !line.starts_with("## "));
        for (position, documented) in rows.filter_map(parameter_of_table).enumerate() {
            let actual = in_schema.get(position).map_or("nothing", |parameter| parameter);
            if documented != actual {
                violations
                    .push(format!("docs/sql.md: {function} has `{actual}`, not `{documented}`"));
            }
        }
    }
    assert_no_violations(&violations);
}

/// Converts `priority integer DEFAULT NULL::integer` to `priority integer default null`.
fn parameter_of_schema(argument: &str) -> String {
    let (declared, default) = argument.split_once(" DEFAULT ").unwrap_or((argument, "–"));
    let declared = declared.replace("timestamp with time zone", "timestamptz");
    let value = default.split("::").next().unwrap_or_default().replace("NULL", "null");
    format!("{declared} default {value}")
}

/// Converts a row of a table with name, type and default to the same form. `None` if the line is not such a row.
fn parameter_of_table(line: &str) -> Option<String> {
    let cells: Vec<&str> = line.strip_prefix("| `")?.split('|').collect();
    let [name, kind, default, ..] = cells[..] else { return None };
    let plain = |cell: &str| cell.replace('`', "").trim().to_owned();
    Some(format!("{} {} default {}", plain(name), plain(kind), plain(default)))
}

/// Whether a line has only one piece of code in backquotes, which cannot be split into two lines.
fn is_single_code(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('`') && line.ends_with('`') && line.matches('`').count() == 2
}

fn documents() -> Vec<PathBuf> {
    let top = root().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let below = files(&["bench", "crates", "docs", "examples", "python/rework", "scripts"]);
    let paths = top.chain(below).chain([root().join("python/README.md")]);
    paths.filter(|path| has_extension(path, "md")).collect()
}

/// Returns the lines outside of code blocks, with their line numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        if !is_fence && !in_code {
            lines.push((number, line));
        }
    }
    lines
}

/// Returns the paragraphs outside of code blocks, with the numbers of their first lines. Each item of a list, each row
/// of a table and each heading is a paragraph.
fn paragraphs(text: &str) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let mut next_line = 0;
    for (number, line) in prose(text) {
        let line = line.trim();
        let starts = ["|", "- ", "#"].iter().any(|prefix| line.starts_with(prefix));
        match paragraphs.last_mut() {
            _ if line.is_empty() => continue,
            Some((_, paragraph)) if number == next_line && !starts => {
                paragraph.push('\n');
                paragraph.push_str(line);
            }
            _ => paragraphs.push((number, line.to_owned())),
        }
        next_line = number + 1;
    }
    paragraphs
}

/// Returns whether a text has the form of a path in this repository: `x/y.rs`, `x/` or `y.rs`.
fn is_path(text: &str) -> bool {
    let is_path_character = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    let is_file = ["rs", "sql", "py", "md"].iter().any(|end| text.ends_with(&format!(".{end}")));
    let has_folder = text.contains('/') && !text.starts_with('/');
    let is_built = text.starts_with("target/");
    text.chars().all(is_path_character) && (is_file || has_folder) && !is_built
}

/// Returns every path of the repository and every part of it: documents name `core/src/db` and `claim.rs` for short.
fn path_parts() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let folders = ["crates", "src", "migrations", "tests", "examples", "bench", "scripts", "docs"];
    for path in files(&[&folders[..], &["python", ".ci"]].concat()) {
        let path = display_path(path);
        let parts: Vec<&str> = path.split('/').collect();
        for first in 0..parts.len() {
            paths.extend((first..parts.len()).map(|last| parts[first..=last].join("/")));
        }
    }
    paths
}

#[test]
fn a_paragraph_ends_at_a_blank_line_or_an_item() {
    let text = "# a\nb\nc\n\nd `x\ny`\n- e\n  f\n```\n`\n```\ng";
    let result = paragraphs(text);
    let texts: Vec<&str> = result.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["# a\nb\nc", "d `x\ny`", "- e\nf", "g"]);
}
