//! The source files of a crate, found by its declarations of modules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a module from the root of its crate, which is the empty path.
pub(crate) type Module = Vec<String>;

/// Every module that has a file of its own, without those that are compiled for tests only.
pub(crate) fn modules(root: &Path) -> BTreeMap<Module, syn::File> {
    let mut modules = BTreeMap::new();
    let mut next = vec![(Vec::new(), root.to_owned())];
    while let Some((module, path)) = next.pop() {
        let text = fs::read_to_string(&path).unwrap();
        let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for name in declared(&file) {
            let file = file_of(&inside(&path), &name);
            next.push((joined(&module, name), file));
        }
        modules.insert(module, file);
    }
    modules
}

/// A module inside another.
pub(crate) fn joined(module: &Module, name: String) -> Module {
    let mut inner = module.clone();
    inner.push(name);
    inner
}

/// The names of the modules that a file declares and does not contain.
pub(crate) fn declared(file: &syn::File) -> Vec<String> {
    let names = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() && !for_tests(&module.attrs) => {
            Some(module.ident.to_string())
        }
        _ => None,
    });
    names.collect()
}

/// `#[cfg(test)]`.
pub(crate) fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

/// The folder with the modules inside a file's module.
fn inside(path: &Path) -> PathBuf {
    let is_folder = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| path.ends_with(name));
    if is_folder { path.parent().unwrap().to_owned() } else { path.with_extension("") }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name).with_extension("rs");
    if file.exists() { file } else { folder.join(name).join("mod.rs") }
}
