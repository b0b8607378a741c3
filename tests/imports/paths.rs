//! Reads the paths in a source file that lead to items of the same crate.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use super::sources::{Module, declared, for_tests, joined};

/// The paths of a file, relative to the root of the crate: `crate::a::B` is `a`, `B`.
#[derive(Default)]
pub(crate) struct CratePaths {
    /// Every path. The last part is `*` for a glob import.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// The path of each imported name and of each module that the file declares.
    pub(crate) names: BTreeMap<String, Vec<String>>,
}

/// Reads the paths of a file that is the module `module`. Comments and code under `#[cfg(test)]` are ignored.
pub(crate) fn read(module: &Module, file: &syn::File) -> CratePaths {
    let inner = declared(file).into_iter().map(|name| (name.clone(), joined(module, name)));
    let result = CratePaths { names: inner.collect(), ..CratePaths::default() };
    let mut reader = Reader { module: module.clone(), result, reads_imports: true };
    reader.visit_file(file);
    reader.reads_imports = false;
    reader.visit_file(file);
    reader.result
}

struct Reader {
    /// The module that is being read.
    module: Module,
    result: CratePaths,
    /// Whether imports are read now, and not the other code. The file is read twice, first its imports, because an
    /// import may be below the code that uses its name.
    reads_imports: bool,
}

impl Reader {
    fn add_path(&mut self, path: &[String]) {
        let absolute = self.relative_to_root(path);
        self.result.paths.extend(absolute);
    }

    /// Converts a path to a path relative to the root of the crate. `None` if it leads to another crate or to an item
    /// of the file itself.
    fn relative_to_root(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, tail) = path.split_first()?;
        let levels_up = tail.iter().take_while(|part| *part == "super").count();
        let ancestor =
            |levels: usize| self.module[..self.module.len().saturating_sub(levels)].to_vec();
        let (start, tail) = match first.as_str() {
            "crate" => (Vec::new(), tail),
            "self" => (ancestor(levels_up), &tail[levels_up..]),
            "super" => (ancestor(levels_up + 1), &tail[levels_up..]),
            name => (self.result.names.get(name)?.clone(), tail),
        };
        Some([&start[..], tail].concat())
    }

    /// Adds every path of the tree of a `use` item, with the name that the file gives to it. `prefix` is the path
    /// before the tree.
    fn add_use_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.add_use_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.add_use_tree(prefix, item));
            }
            syn::UseTree::Glob(_) => self.add_path(&[prefix, &["*".to_owned()]].concat()),
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.add_import(prefix, prefix.last());
            }
            syn::UseTree::Name(name) => {
                self.add_import(&with(&name.ident), Some(&name.ident.to_string()));
            }
            syn::UseTree::Rename(rename) if rename.ident == "self" => {
                self.add_import(prefix, Some(&rename.rename.to_string()));
            }
            syn::UseTree::Rename(rename) => {
                self.add_import(&with(&rename.ident), Some(&rename.rename.to_string()));
            }
        }
    }

    fn add_import(&mut self, path: &[String], name: Option<&String>) {
        let Some(absolute) = self.relative_to_root(path) else { return };
        self.result.names.extend(name.map(|name| (name.clone(), absolute.clone())));
        self.result.paths.insert(absolute);
    }

    /// Adds the paths in the arguments of a macro. They are not parsed as code, so every sequence of names with `::`
    /// counts as a path.
    fn add_tokens(&mut self, tokens: &str) {
        let joined = tokens.replace(" :: ", "::");
        let separated = joined.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        for text in separated.filter(|text| text.contains("::") && !text.starts_with(':')) {
            let path: Vec<String> = text.split("::").map(str::to_owned).collect();
            self.add_path(&path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if self.reads_imports {
            self.add_use_tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if !self.reads_imports && path.leading_colon.is_none() {
            let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            self.add_path(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if !self.reads_imports {
            self.add_tokens(&call.tokens.to_string());
        }
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let (false, syn::Meta::List(list)) = (self.reads_imports, &attribute.meta) {
            self.add_tokens(&list.tokens.to_string());
        }
    }

    /// Does nothing: the path in `pub(in crate::a)` is not an import.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    /// Returns the paths in a file that is the module `room::door`.
    fn paths(text: &str) -> Vec<String> {
        let module = ["room", "door"].map(str::to_owned).to_vec();
        let file = syn::parse_file(text).unwrap();
        read(&module, &file).paths.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn each_item_of_a_use_tree_is_a_path() {
        assert_eq!(paths("use crate::{a::{b, C as D}, e};"), ["a::C", "a::b", "e"]);
        assert_eq!(paths("use crate::a::{self, B};"), ["a", "a::B"]);
        assert_eq!(paths("use crate::a::*;"), ["a::*"]);
    }

    #[test]
    fn relative_imports_are_converted_to_paths_from_the_root() {
        assert_eq!(paths("use super::window::Pane;"), ["room::window::Pane"]);
        assert_eq!(paths("use super::super::a::B;"), ["a::B"]);
        assert_eq!(paths("use super::Wall;"), ["room::Wall"]);
        assert_eq!(paths("use self::lock::Key;"), ["room::door::lock::Key"]);
        assert_eq!(paths("mod lock; pub use lock::Key;"), ["room::door::lock::Key"]);
        assert_eq!(paths("mod lock { use super::Handle; }"), ["room::door::Handle"]);
    }

    #[test]
    fn paths_to_other_crates_are_ignored() {
        assert_eq!(paths("use std::fmt::Write; fn f() { serde_json::json!(1); }"), [""; 0]);
    }

    #[test]
    fn paths_in_code_macros_and_attributes_are_read() {
        assert_eq!(paths("fn f() -> crate::a::B { crate::c::d() }"), ["a::B", "c::d"]);
        assert_eq!(paths("fn f() { e::g(); } use crate::e;"), ["e", "e::g"]);
        assert_eq!(paths("fn f() { println!(\"{}\", crate::a::b(1)); }"), ["a::b"]);
        assert_eq!(paths("#[arg(parser = crate::a::b)] struct S;"), ["a::b"]);
        assert_eq!(paths("pub(in crate::room) fn f() {}"), [""; 0]);
    }

    #[test]
    fn tests_and_comments_are_ignored() {
        assert_eq!(paths("#[cfg(test)] mod tests { use crate::a::B; }"), [""; 0]);
        assert_eq!(paths("#[cfg(test)] mod tests;"), [""; 0]);
        assert_eq!(paths("/// As [`crate::a::B`]. crate::c::D\nfn f() {} // crate::e"), [""; 0]);
    }
}
