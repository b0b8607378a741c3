//! What the documents say agrees with the files and the schema, and they can be read in a terminal.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::database::Database;
use crate::support::repository::{assert_none, files, has_extension, read, root, shown};

/// The longest line outside of tables and blocks of code, in characters.
const WIDTH: usize = 125;

/// Documents whose paths are of this repository.
const OF_THE_CODE: [&str; 3] = ["ARCHITECTURE.md", "CONTRIBUTING.md", "bench/README.md"];

#[test]
fn lines_fit_into_a_terminal() {
    let mut faults = Vec::new();
    for path in documents() {
        for (number, line) in prose(&read(&path)) {
            let width = line.chars().count();
            if width > WIDTH && !line.starts_with('|') && !is_one_piece(line) {
                faults.push(format!("{}:{number} has {width} characters", shown(&path)));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn code_and_strong_words_end_in_the_paragraph_in_which_they_begin() {
    let mut faults = Vec::new();
    for path in documents() {
        for (number, paragraph) in paragraphs(&read(&path)) {
            let outside: Vec<&str> = paragraph.split('`').step_by(2).collect();
            let outside = outside.join(" ");
            if paragraph.matches('`').count() % 2 == 1 || outside.matches("**").count() % 2 == 1 {
                faults.push(format!("{}:{number}: a marker has no partner", shown(&path)));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn paths_in_documents_exist() {
    let known = ends_of_paths();
    let mut faults = Vec::new();
    for path in OF_THE_CODE.map(|name| root().join(name)) {
        for (number, paragraph) in paragraphs(&read(&path)) {
            let quoted = paragraph.split('`').skip(1).step_by(2);
            for named in quoted.filter(|text| is_path(text)) {
                if !known.contains(named.trim_end_matches('/')) {
                    faults.push(format!("{}:{number}: there is no `{named}`", shown(&path)));
                }
            }
        }
    }
    assert_none(&faults);
}

/// `docs/sql.md` has a table of the parameters of a function below its name.
#[test]
fn parameters_of_functions_are_those_of_the_schema() {
    let database = Database::new();
    let text = read(&root().join("docs/sql.md"));
    let mut faults = Vec::new();
    let sections = text.split("\n## rework.").skip(1).filter_map(|part| part.split_once('\n'));
    for (function, section) in sections {
        let sql = "select pg_get_function_arguments(($1::text)::regproc)";
        let arguments: String =
            database.session().one(sql, &[&format!("rework.{function}").as_str()]);
        let real: Vec<String> = arguments.split(", ").map(parameter_of_schema).collect();
        let rows = section.lines().take_while(|line| !line.starts_with("## "));
        for (place, told) in rows.filter_map(parameter_of_table).enumerate() {
            let real = real.get(place).map_or("nothing", |real| real);
            if told != real {
                faults.push(format!("docs/sql.md: {function} has `{real}`, not `{told}`"));
            }
        }
    }
    assert_none(&faults);
}

/// "priority integer default null" of `priority integer DEFAULT NULL::integer`.
fn parameter_of_schema(argument: &str) -> String {
    let (declared, default) = argument.split_once(" DEFAULT ").unwrap_or((argument, "–"));
    let declared = declared.replace("timestamp with time zone", "timestamptz");
    let value = default.split("::").next().unwrap_or_default().replace("NULL", "null");
    format!("{declared} default {value}")
}

/// The same of a row of a table: name, type, default; `None` if a line is none.
fn parameter_of_table(line: &str) -> Option<String> {
    let cells: Vec<&str> = line.strip_prefix("| `")?.split('|').collect();
    let [name, kind, default, ..] = cells[..] else { return None };
    let plain = |cell: &str| cell.replace('`', "").trim().to_owned();
    Some(format!("{} {} default {}", plain(name), plain(kind), plain(default)))
}

/// A piece of code that fills a line of its own cannot be divided.
fn is_one_piece(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('`') && line.ends_with('`') && line.matches('`').count() == 2
}

fn documents() -> Vec<PathBuf> {
    let top = root().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let below = files(&["bench", "crates", "docs", "examples", "python/rework", "scripts"]);
    let found = top.chain(below).chain([root().join("python/README.md")]);
    found.filter(|path| has_extension(path, "md")).collect()
}

/// The lines outside of blocks of code, with their numbers.
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

/// The paragraphs outside of blocks of code, with the numbers of their first lines. Each item of a list
/// and each row of a table is one.
fn paragraphs(text: &str) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let mut goes_on_at = 0;
    for (number, line) in prose(text) {
        let line = line.trim();
        let starts = ["|", "- ", "#"].iter().any(|mark| line.starts_with(mark));
        match paragraphs.last_mut() {
            _ if line.is_empty() => continue,
            Some((_, paragraph)) if number == goes_on_at && !starts => {
                paragraph.push('\n');
                paragraph.push_str(line);
            }
            _ => paragraphs.push((number, line.to_owned())),
        }
        goes_on_at = number + 1;
    }
    paragraphs
}

/// `x/y.rs`, `x/`, `y.rs`: what a path of the repository looks like.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    let file = ["rs", "sql", "py", "md"].iter().any(|end| text.ends_with(&format!(".{end}")));
    let folder = text.contains('/') && !text.starts_with('/');
    let is_built = text.starts_with("target/");
    text.chars().all(plain) && (file || folder) && !is_built
}

/// Every path of the repository, and what is left of it without its first folders.
fn ends_of_paths() -> BTreeSet<String> {
    let mut ends = BTreeSet::new();
    let folders = ["crates", "src", "migrations", "tests", "examples", "bench", "scripts", "docs"];
    for path in files(&[&folders[..], &["python", ".ci"]].concat()) {
        let shown = shown(path);
        let parts: Vec<&str> = shown.split('/').collect();
        for first in 0..parts.len() {
            ends.extend((first..parts.len()).map(|last| parts[first..=last].join("/")));
        }
    }
    ends
}

#[test]
fn a_paragraph_ends_at_a_blank_line_or_an_item() {
    let text = "# a\nb\nc\n\nd `x\ny`\n- e\n  f\n```\n`\n```\ng";
    let found = paragraphs(text);
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["# a\nb\nc", "d `x\ny`", "- e\nf", "g"]);
}
