//! Modules import each other in no circle, except a module and what is inside it. Where two modules
//! stand side by side, everything inside them counts as theirs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use circles::Graph;
use paths::Named;
use sources::Module;

mod circles;
mod paths;
mod sources;

type Modules = BTreeMap<Module, Named>;

/// A module and the path to something of another one that its code names.
type Import = (Module, Vec<String>);

#[test]
fn modules_import_each_other_in_no_circle() {
    let mut faults = Vec::new();
    for (name, root) in crates() {
        let imports = imports_of_neighbours(&modules(&root));
        let mut graph = Graph::new();
        for (from, to) in imports.keys().cloned() {
            graph.entry(from).or_default().insert(to);
        }
        faults.extend(circles::circles(&graph).iter().map(|circle| drawn(&name, circle, &imports)));
    }
    assert!(faults.is_empty(), "{} circles of imports\n\n{}\n", faults.len(), faults.join("\n"));
}

/// What modules side by side import from each other, with one example of each.
fn imports_of_neighbours(modules: &Modules) -> BTreeMap<(Module, Module), Import> {
    let mut imports = BTreeMap::new();
    for (from, named) in modules {
        for path in &named.paths {
            let Some(neighbours) = home(path, modules).and_then(|home| neighbours(from, &home))
            else {
                continue;
            };
            imports.entry(neighbours).or_insert_with(|| (from.clone(), path.clone()));
        }
    }
    imports
}

/// The two modules inside their innermost common one in which two others are; `None` if one of them
/// is inside the other.
fn neighbours(from: &Module, to: &Module) -> Option<(Module, Module)> {
    let common = from.iter().zip(to).take_while(|(from, to)| from == to).count();
    Some((from.get(..=common)?.to_vec(), to.get(..=common)?.to_vec()))
}

fn modules(root: &Path) -> Modules {
    let files = sources::modules(root);
    files.iter().map(|(module, file)| (module.clone(), paths::read(module, file))).collect()
}

/// The module in which the item at a path is defined, also where another module hands it on. A path
/// to a module is not an import yet: the paths that go on from it are.
fn home(path: &[String], modules: &Modules) -> Option<Module> {
    let (module, named) =
        (0..=path.len()).rev().find_map(|length| modules.get_key_value(&path[..length]))?;
    let name = path.get(module.len())?;
    match named.names.get(name) {
        Some(handed_on) if !path.starts_with(handed_on) => {
            home(&[handed_on, &path[module.len() + 1..]].concat(), modules)
        }
        _ => Some(module.clone()),
    }
}

/// The root file of each crate.
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

fn drawn(name: &str, circle: &[Module], imports: &BTreeMap<(Module, Module), Import>) -> String {
    let mut text = format!("{name}: {}\n", circle[0].join("::"));
    for (from, to) in circle.iter().zip(circle.iter().cycle().skip(1)) {
        let (module, path) = &imports[&(from.clone(), to.clone())];
        let (to, module, path) = (to.join("::"), module.join("::"), path.join("::"));
        writeln!(text, "  → {to}: `{module}` imports `{path}`").unwrap();
    }
    text
}

#[test]
fn what_is_inside_a_module_counts_as_its_own() {
    let path = |text: &str| -> Vec<String> { text.split("::").map(str::to_owned).collect() };
    let pair = |from, to| neighbours(&path(from), &path(to));
    assert_eq!(pair("a::b", "a::c::d"), Some((path("a::b"), path("a::c"))));
    assert_eq!(pair("a::b", "c"), Some((path("a"), path("c"))));
    assert_eq!(pair("a::b", "a"), None);
    assert_eq!(pair("a", "a::b::c"), None);
    assert_eq!(neighbours(&vec![], &path("a")), None, "the root");
}

#[test]
fn a_path_leads_to_the_module_that_defines_the_item() {
    let path = |text: &str| -> Vec<String> { text.split("::").map(str::to_owned).collect() };
    let read = |module: Module, text: &str| {
        let named = paths::read(&module, &syn::parse_file(text).unwrap());
        (module, named)
    };
    let outer = read(path("a"), "pub mod b; pub use b::Item;");
    let modules = Modules::from([
        read(vec![], "pub mod a; pub use a::Item as Thing;"),
        outer,
        read(path("a::b"), ""),
    ]);
    assert_eq!(home(&path("a::b::Item"), &modules), Some(path("a::b")));
    assert_eq!(home(&path("a::Item::new"), &modules), Some(path("a::b")), "handed on");
    assert_eq!(home(&path("Thing"), &modules), Some(path("a::b")), "handed on twice");
    assert_eq!(home(&path("a::Other"), &modules), Some(path("a")));
    assert_eq!(home(&path("Other"), &modules), Some(vec![]));
    assert_eq!(home(&path("a::b"), &modules), None, "a module");
}
