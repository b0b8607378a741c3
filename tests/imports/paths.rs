//! The paths in the code of a file that lead to something in the same crate.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use super::sources::{Module, declared, for_tests, joined};

/// The paths of a file as seen from the root of the crate: `crate::a::B` is `a`, `B`.
#[derive(Default)]
pub(crate) struct Named {
    /// Every path. A `*` stands for all that a module holds.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// The path that each imported name stands for.
    pub(crate) names: BTreeMap<String, Vec<String>>,
}

/// Code for tests, and comments, do not count.
pub(crate) fn read(module: &Module, file: &syn::File) -> Named {
    let inner = declared(file).into_iter().map(|name| (name.clone(), joined(module, name)));
    let named = Named { names: inner.collect(), ..Named::default() };
    let mut reader = Reader { here: module.clone(), named, uses: true };
    reader.visit_file(file);
    reader.uses = false;
    reader.visit_file(file);
    reader.named
}

struct Reader {
    /// The module that is being read.
    here: Module,
    named: Named,
    /// The file is read twice: imports come first, because they may stand below the code that needs them.
    uses: bool,
}

impl Reader {
    fn path(&mut self, path: &[String]) {
        let found = self.seen_from_root(path);
        self.named.paths.extend(found);
    }

    /// `None` if the path leads to another crate or to something of the file itself.
    fn seen_from_root(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let outer = rest.iter().take_while(|word| *word == "super").count();
        let up = |levels: usize| self.here[..self.here.len().saturating_sub(levels)].to_vec();
        let (start, rest) = match first.as_str() {
            "crate" => (Vec::new(), rest),
            "self" => (up(outer), &rest[outer..]),
            "super" => (up(outer + 1), &rest[outer..]),
            name => (self.named.names.get(name)?.clone(), rest),
        };
        Some([&start[..], rest].concat())
    }

    /// Every leaf of a tree of imports, with the name that it gets.
    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.tree(before, item));
            }
            syn::UseTree::Glob(_) => self.path(&[before, &["*".to_owned()]].concat()),
            syn::UseTree::Name(name) if name.ident == "self" => self.leaf(before, before.last()),
            syn::UseTree::Name(name) => {
                self.leaf(&with(&name.ident), Some(&name.ident.to_string()));
            }
            syn::UseTree::Rename(rename) if rename.ident == "self" => {
                self.leaf(before, Some(&rename.rename.to_string()));
            }
            syn::UseTree::Rename(rename) => {
                self.leaf(&with(&rename.ident), Some(&rename.rename.to_string()));
            }
        }
    }

    fn leaf(&mut self, path: &[String], name: Option<&String>) {
        let Some(found) = self.seen_from_root(path) else { return };
        self.named.names.extend(name.map(|name| (name.clone(), found.clone())));
        self.named.paths.insert(found);
    }

    /// What is handed to a macro is no code yet: every row of words between `::` is a path.
    fn tokens(&mut self, tokens: &str) {
        let joined = tokens.replace(" :: ", "::");
        let separated = joined.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        for text in separated.filter(|text| text.contains("::") && !text.starts_with(':')) {
            let path: Vec<String> = text.split("::").map(str::to_owned).collect();
            self.path(&path);
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
        self.here.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.here.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if self.uses {
            self.tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if !self.uses && path.leading_colon.is_none() {
            let names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            self.path(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if !self.uses {
            self.tokens(&call.tokens.to_string());
        }
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let (false, syn::Meta::List(list)) = (self.uses, &attribute.meta) {
            self.tokens(&list.tokens.to_string());
        }
    }

    /// `pub(in crate::a)` imports nothing.
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

    /// Of the module `room::door`.
    fn found(text: &str) -> Vec<String> {
        let module = ["room", "door"].map(str::to_owned).to_vec();
        let file = syn::parse_file(text).unwrap();
        read(&module, &file).paths.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn trees_of_imports() {
        assert_eq!(found("use crate::{a::{b, C as D}, e};"), ["a::C", "a::b", "e"]);
        assert_eq!(found("use crate::a::{self, B};"), ["a", "a::B"]);
        assert_eq!(found("use crate::a::*;"), ["a::*"]);
    }

    #[test]
    fn relative_imports() {
        assert_eq!(found("use super::window::Pane;"), ["room::window::Pane"]);
        assert_eq!(found("use super::super::a::B;"), ["a::B"]);
        assert_eq!(found("use super::Wall;"), ["room::Wall"]);
        assert_eq!(found("use self::lock::Key;"), ["room::door::lock::Key"]);
        assert_eq!(found("mod lock; pub use lock::Key;"), ["room::door::lock::Key"]);
        assert_eq!(found("mod lock { use super::Handle; }"), ["room::door::Handle"]);
    }

    #[test]
    fn other_crates() {
        assert_eq!(found("use std::fmt::Write; fn f() { serde_json::json!(1); }"), [""; 0]);
    }

    #[test]
    fn paths_in_code() {
        assert_eq!(found("fn f() -> crate::a::B { crate::c::d() }"), ["a::B", "c::d"]);
        assert_eq!(found("fn f() { e::g(); } use crate::e;"), ["e", "e::g"]);
        assert_eq!(found("fn f() { println!(\"{}\", crate::a::b(1)); }"), ["a::b"]);
        assert_eq!(found("#[arg(parser = crate::a::b)] struct S;"), ["a::b"]);
        assert_eq!(found("pub(in crate::room) fn f() {}"), [""; 0]);
    }

    #[test]
    fn tests_and_comments() {
        assert_eq!(found("#[cfg(test)] mod tests { use crate::a::B; }"), [""; 0]);
        assert_eq!(found("#[cfg(test)] mod tests;"), [""; 0]);
        assert_eq!(found("/// As [`crate::a::B`]. crate::c::D\nfn f() {} // crate::e"), [""; 0]);
    }
}
