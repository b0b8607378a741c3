//! Checks names: no crate defines a type name twice, and no identifier contains a retired word.
//!
//! `docs/glossary.md` and `CONTRIBUTING.md` have the rules that this enforces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use syn::visit::{self, Visit};

use crate::support::repository::{
    assert_no_violations, display_path, files, has_extension, read, root,
};
use crate::support::source_text::identifiers;

/// Type names that a crate may define more than once, with the reason.
const REPEATED: [(&str, &str); 1] = [("Args", "each command of clap has its own arguments")];

/// Words that once had several meanings here, or a meaning that only this project knew. Each is
/// followed by the words to use instead.
const RETIRED: [(&str, &str); 38] = [
    ("asked", "requested"),
    ("begun", "started"),
    ("born", "started"),
    ("crowd", "concurrent runs, clients"),
    ("deserted", "monitor gone"),
    ("doom", "failure"),
    ("ears", "listener"),
    ("errand", "job"),
    ("fate", "outcome"),
    ("floor", "baseline, scan position"),
    ("front", "first, head"),
    ("glance", "poll"),
    ("hand", "dispatch, queue"),
    ("heard", "received"),
    ("held", "claimed, kept, validated"),
    ("keeper", "client"),
    ("look", "poll, scan, check"),
    ("looks", "polls, scans"),
    ("mark", "boundary, process tag"),
    ("mend", "repair"),
    ("misfit", "violation"),
    ("newborn", "starting"),
    ("noted", "recorded"),
    ("nursery", "launcher, spawner"),
    ("outbox", "send buffer"),
    ("pace", "batch size, interval"),
    ("said", "message, reply"),
    ("seat", "registration"),
    ("seen", "observed, known"),
    ("sentence", "reason"),
    ("stray", "late claim"),
    ("strike", "kill"),
    ("telling", "description"),
    ("tick", "firing, poll"),
    ("turn", "exchange, iteration"),
    ("unbegun", "not started"),
    ("unborn", "not started"),
    ("verdict", "result, outcome"),
];

/// Identifiers with a retired word that are right, because a library or the language defines them.
const FOREIGN: [&str; 9] = [
    "MissedTickBehavior",
    "floor",
    "front",
    "front_mut",
    "mark",
    "pop_front",
    "push_front",
    "set_missed_tick_behavior",
    "tick",
];

#[test]
fn no_crate_defines_a_type_name_twice() {
    let mut faults = Vec::new();
    for (name, sources) in crates() {
        let mut types = BTreeMap::<String, BTreeSet<String>>::new();
        for path in sources {
            let file = syn::parse_file(&read(&path)).unwrap();
            let mut found = Types::default();
            found.visit_file(&file);
            for defined in found.0 {
                types.entry(defined).or_default().insert(display_path(&path));
            }
        }
        for (defined, paths) in types {
            if paths.len() > 1 && !REPEATED.iter().any(|(allowed, _)| *allowed == defined) {
                let paths = paths.into_iter().collect::<Vec<_>>().join(", ");
                faults.push(format!("{name} defines `{defined}` in {paths}"));
            }
        }
    }
    assert_no_violations(&faults);
}

/// The names of the types of a file, without those in `mod tests`.
#[derive(Default)]
struct Types(Vec<String>);

impl<'ast> Visit<'ast> for Types {
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.0.push(item.ident.to_string());
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }
}

/// The source files of each crate that users or developers read.
fn crates() -> BTreeMap<String, Vec<PathBuf>> {
    let mut crates = BTreeMap::<String, Vec<PathBuf>>::new();
    for path in files(&["crates", "bench"]) {
        let Some((folder, inside)) = display_path(&path).split_once("/src/").map(owned) else {
            continue;
        };
        let is_test = inside.ends_with("tests.rs") || inside.contains("tests/");
        if has_extension(&path, "rs") && !is_test {
            crates.entry(folder).or_default().push(path);
        }
    }
    crates
}

fn owned((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

#[test]
fn no_identifier_contains_a_retired_word() {
    let mut faults = Vec::new();
    for path in files(&["crates", "src", "bench", "tests", "examples", "migrations", "python"]) {
        for name in identifiers(&path) {
            if FOREIGN.contains(&name.as_str()) {
                continue;
            }
            for part in parts(&name) {
                if let Some((word, instead)) = RETIRED.iter().find(|(word, _)| *word == part) {
                    let path = display_path(&path);
                    faults.push(format!("{path}: `{name}`: instead of `{word}` use: {instead}"));
                }
            }
        }
    }
    assert_no_violations(&faults);
}

/// The words of an identifier, in small letters: `snake_case`, `CamelCase` or `UPPER_CASE`.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = '_';
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && before.is_lowercase()) {
            parts.push(String::new());
        }
        if c != '_' {
            parts.last_mut().unwrap().extend(c.to_lowercase());
        }
        before = c;
    }
    parts
}

#[test]
fn an_identifier_has_words() {
    assert_eq!(parts("handOver_MARK"), ["hand", "over", "mark"]);
}

#[test]
fn no_retired_word_is_in_the_glossary() {
    let glossary = read(&root().join("docs/glossary.md"));
    for (word, _) in RETIRED {
        assert!(!glossary.contains(&format!("| **{word}** |")), "the glossary defines `{word}`");
    }
}
