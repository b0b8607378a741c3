//! Collects every message that people can read into `tests/messages.txt`.
//!
//! A developer who changes a message reads it there, beside its neighbours. A message is a quoted text of
//! two words or more in the source of the command line, the crates, the schema or the Python
//! package.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::support::repository::{display_path, files, read, root};
use crate::support::source_text::texts;

#[test]
fn every_message_is_in_the_list() {
    let list = list();
    let kept = root().join("tests/messages.txt");
    if read(&kept) != list {
        let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages.txt");
        std::fs::write(&new, list).unwrap();
        panic!(
            "messages have changed. Read them: diff {kept} {new}\nThen keep them: cp {new} {kept}",
            kept = kept.display(),
            new = new.display()
        );
    }
}

fn list() -> String {
    let mut list = String::new();
    for path in files(&["crates", "migrations", "python/rework", "src"]) {
        let messages: Vec<String> = if is_source(&path) { texts(&path) } else { Vec::new() }
            .into_iter()
            .filter(|text| is_message(text))
            .collect();
        if !messages.is_empty() {
            writeln!(list, "{}", display_path(&path)).unwrap();
            for message in messages {
                let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
                writeln!(list, "    {line}").unwrap();
            }
        }
    }
    list
}

/// Whether a file is part of what users run, rather than a test.
fn is_source(path: &PathBuf) -> bool {
    let path = display_path(path);
    !path.contains("/tests/") && !path.ends_with("tests.rs") && !path.ends_with("scene.rs")
}

/// Whether a text has two words, rather than being a key, a path or a statement.
fn is_message(text: &str) -> bool {
    let is_word = |word: &&str| {
        let word = word.trim_end_matches([',', '.', ':', ';', '?']);
        word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase() || c == '\'')
    };
    text.split_whitespace().filter(is_word).count() >= 2
}

#[test]
fn a_message_has_two_words() {
    assert!(is_message("no database named `{name}`"));
    for other in ["name", "SELECT", "{name} {value}", "%Y-%m-%d %H:%M", "/var/lib"] {
        assert!(!is_message(other), "{other}");
    }
}
