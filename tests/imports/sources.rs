//! Finds the source files of a crate by following its `mod` declarations.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The path of a module, relative to the root of its crate. The root has the empty path.
pub(crate) type Module = Vec<String>;

/// Parses every module that has its own file, except modules under `#[cfg(test)]`. `root` is the root file of the
/// crate.
pub(crate) fn modules(root: &Path) -> BTreeMap<Module, syn::File> {
    let mut modules = BTreeMap::new();
    let mut next = vec![(Vec::new(), root.to_owned())];
    while let Some((module, path)) = next.pop() {
        let text = fs::read_to_string(&path).unwrap();
        let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for name in declared(&file) {
            let file = module_file(&submodule_folder(&path), &name);
            next.push((joined(&module, name), file));
        }
        modules.insert(module, file);
    }
    modules
}

/// Returns the path of the module `name` inside `module`.
pub(crate) fn joined(module: &Module, name: String) -> Module {
    let mut inner = module.clone();
    inner.push(name);
    inner
}

/// Returns the names of the modules that a file declares with `mod name;`, without those under `#[cfg(test)]`.
pub(crate) fn declared(file: &syn::File) -> Vec<String> {
    let names = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() && !for_tests(&module.attrs) => {
            Some(module.ident.to_string())
        }
        _ => None,
    });
    names.collect()
}

/// Returns whether one of the attributes is `#[cfg(test)]`.
pub(crate) fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

/// Returns the folder that has the files of the modules that a file declares.
fn submodule_folder(path: &Path) -> PathBuf {
    let is_folder = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| path.ends_with(name));
    if is_folder { path.parent().unwrap().to_owned() } else { path.with_extension("") }
}

/// Returns `folder/name.rs`, or `folder/name/mod.rs` if the former does not exist.
fn module_file(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name).with_extension("rs");
    if file.exists() { file } else { folder.join(name).join("mod.rs") }
}
