//! Checks that the modules of each crate do not import each other in a cycle.
//!
//! A module and the modules inside it may import each other. For sibling modules, the imports of all modules inside
//! them count. `imports/sources.rs` finds the files, `imports/paths.rs` reads the imports, and
//! `imports/cycles.rs` finds cycles in a graph.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cycles::Graph;
use paths::CratePaths;
use sources::Module;

mod cycles;
mod paths;
mod sources;

type Modules = BTreeMap<Module, CratePaths>;

/// A module, and a path in its code to an item of another module.
type Import = (Module, Vec<String>);

#[test]
fn modules_do_not_import_each_other_in_a_cycle() {
    let mut violations = Vec::new();
    for (name, root) in crates() {
        let imports = sibling_imports(&modules(&root));
        let mut graph = Graph::new();
        for (from, to) in imports.keys().cloned() {
            graph.entry(from).or_default().insert(to);
        }
        violations.extend(
            cycles::shortest_cycles(&graph).iter().map(|cycle| describe(&name, cycle, &imports)),
        );
    }
    assert!(
        violations.is_empty(),
        "{} import cycles\n\n{}\n",
        violations.len(),
        violations.join("\n")
    );
}

/// Returns the pairs of sibling modules of which the first imports from the second, with one example for each pair.
fn sibling_imports(modules: &Modules) -> BTreeMap<(Module, Module), Import> {
    let mut imports = BTreeMap::new();
    for (from, crate_paths) in modules {
        for path in &crate_paths.paths {
            let Some(pair) = defining_module(path, modules).and_then(|to| siblings(from, &to))
            else {
                continue;
            };
            imports.entry(pair).or_insert_with(|| (from.clone(), path.clone()));
        }
    }
    imports
}

/// Returns the two sibling modules that contain `from` and `to`: the modules directly inside the innermost module that
/// contains both. `None` if one of the two is inside the other.
fn siblings(from: &Module, to: &Module) -> Option<(Module, Module)> {
    let common = from.iter().zip(to).take_while(|(from, to)| from == to).count();
    Some((from.get(..=common)?.to_vec(), to.get(..=common)?.to_vec()))
}

fn modules(root: &Path) -> Modules {
    let files = sources::modules(root);
    files.iter().map(|(module, file)| (module.clone(), paths::read(module, file))).collect()
}

/// Returns the module that defines the item at a path, also if the path leads through a re-export. `None` if the path
/// leads to a module: only the longer paths to its items are imports.
fn defining_module(path: &[String], modules: &Modules) -> Option<Module> {
    let (module, crate_paths) =
        (0..=path.len()).rev().find_map(|length| modules.get_key_value(&path[..length]))?;
    let name = path.get(module.len())?;
    match crate_paths.names.get(name) {
        Some(exported) if !path.starts_with(exported) => {
            defining_module(&[exported, &path[module.len() + 1..]].concat(), modules)
        }
        _ => Some(module.clone()),
    }
}

/// Returns the name and the root file of each crate.
fn crates() -> Vec<(String, PathBuf)> {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let crates = top.join("crates").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut roots = Vec::new();
    for folder in crates.chain([top.join("bench"), top.join("bench/peers")]) {
        for root in ["src/lib.rs", "src/main.rs"].map(|root| folder.join(root)) {
            if root.exists() {
                roots.push((folder.strip_prefix(&top).unwrap().display().to_string(), root));
            }
        }
    }
    roots
}

/// Describes a cycle, with one line for each import.
fn describe(name: &str, cycle: &[Module], imports: &BTreeMap<(Module, Module), Import>) -> String {
    let mut text = format!("{name}: {}\n", cycle[0].join("::"));
    for (from, to) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
        let (module, path) = &imports[&(from.clone(), to.clone())];
        let (to, module, path) = (to.join("::"), module.join("::"), path.join("::"));
        writeln!(text, "  → {to}: `{module}` imports `{path}`").unwrap();
    }
    text
}

#[test]
fn siblings_are_directly_inside_the_innermost_common_module() {
    let path = |text: &str| -> Vec<String> { text.split("::").map(str::to_owned).collect() };
    let pair = |from, to| siblings(&path(from), &path(to));
    assert_eq!(pair("a::b", "a::c::d"), Some((path("a::b"), path("a::c"))));
    assert_eq!(pair("a::b", "c"), Some((path("a"), path("c"))));
    assert_eq!(pair("a::b", "a"), None);
    assert_eq!(pair("a", "a::b::c"), None);
    assert_eq!(siblings(&vec![], &path("a")), None, "the root contains all modules");
}

#[test]
fn the_defining_module_is_found_through_re_exports() {
    let path = |text: &str| -> Vec<String> { text.split("::").map(str::to_owned).collect() };
    let read = |module: Module, text: &str| {
        let crate_paths = paths::read(&module, &syn::parse_file(text).unwrap());
        (module, crate_paths)
    };
    let outer = read(path("a"), "pub mod b; pub use b::Item;");
    let modules = Modules::from([
        read(vec![], "pub mod a; pub use a::Item as Thing;"),
        outer,
        read(path("a::b"), ""),
    ]);
    assert_eq!(defining_module(&path("a::b::Item"), &modules), Some(path("a::b")));
    assert_eq!(defining_module(&path("a::Item::new"), &modules), Some(path("a::b")), "re-exported");
    assert_eq!(defining_module(&path("Thing"), &modules), Some(path("a::b")), "re-exported twice");
    assert_eq!(defining_module(&path("a::Other"), &modules), Some(path("a")));
    assert_eq!(defining_module(&path("Other"), &modules), Some(vec![]));
    assert_eq!(defining_module(&path("a::b"), &modules), None, "a module");
}
