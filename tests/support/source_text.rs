//! Reads source files in Rust, SQL and Python as text: their identifiers and their quoted texts.
//! Comments count as neither.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use super::repository::{display_path, read};

/// A comment or a quoted text, by how it begins and ends.
struct Quote {
    start: &'static str,
    end: &'static str,
    is_text: bool,
}

const fn comment(start: &'static str, end: &'static str) -> Quote {
    Quote { start, end, is_text: false }
}

const fn text(quote: &'static str) -> Quote {
    Quote { start: quote, end: quote, is_text: true }
}

/// Of two that begin at the same place, the first one counts. Docstrings count as comments.
const PYTHON: [Quote; 5] =
    [comment("#", "\n"), comment("\"\"\"", "\"\"\""), comment("'''", "'''"), text("\""), text("'")];
const SQL: [Quote; 2] = [comment("--", "\n"), text("'")];

/// The identifiers of a source file. Empty for a file in another language.
pub(crate) fn identifiers(path: &Path) -> BTreeSet<String> {
    match extension(path) {
        "rs" => {
            let mut names = BTreeSet::new();
            walk(tokens(path), &mut |token| {
                if let TokenTree::Ident(name) = token {
                    names.insert(name.to_string());
                }
            });
            names
        }
        "sql" => words(&split(&read(path), &SQL).0),
        "py" => words(&split(&read(path), &PYTHON).0),
        _ => BTreeSet::new(),
    }
}

/// The quoted texts of a source file, in order. Empty for a file in another language.
pub(crate) fn texts(path: &Path) -> Vec<String> {
    match extension(path) {
        "rs" => {
            let mut texts = Vec::new();
            walk(tokens(path), &mut |token| {
                if let TokenTree::Literal(literal) = token
                    && let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                {
                    texts.push(text.value());
                }
            });
            texts
        }
        "sql" => split(&read(path), &SQL).1,
        "py" => split(&read(path), &PYTHON).1,
        _ => Vec::new(),
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn tokens(path: &Path) -> TokenStream {
    read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", display_path(path)))
}

/// Calls a function for each token, without those of doc comments, which are attributes, and of
/// `mod tests { … }`.
fn walk(tokens: TokenStream, each: &mut impl FnMut(&TokenTree)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.to_string() == text);
    let mut at = 0;
    while at < tokens.len() {
        // `#[…]`, or `#![…]` for the file.
        let bracket = at + 1 + usize::from(is(at + 1, "!"));
        if is(at, "#")
            && let Some(TokenTree::Group(attribute)) = tokens.get(bracket)
        {
            if !attribute.stream().to_string().starts_with("doc") {
                walk(attribute.stream(), each);
            }
            at = bracket + 1;
        } else if is(at, "mod") && is(at + 1, "tests") {
            at += 3;
        } else {
            match &tokens[at] {
                TokenTree::Group(group) => walk(group.stream(), each),
                token => each(token),
            }
            at += 1;
        }
    }
}

/// The code of a file without comments and texts, and its texts. Two texts with nothing but white
/// space between them are one, as Python reads them.
fn split(source: &str, quotes: &[Quote]) -> (String, Vec<String>) {
    let mut code = String::new();
    let mut texts: Vec<String> = Vec::new();
    let mut goes_on = false;
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        if let Some(quote) = quotes.iter().find(|quote| rest.starts_with(quote.start)) {
            let inside = &rest[quote.start.len()..];
            let end = end_of(inside, quote.end);
            if quote.is_text {
                let text = &inside[..end];
                match texts.last_mut() {
                    Some(before) if goes_on => before.push_str(text),
                    _ => texts.push(text.to_owned()),
                }
                goes_on = true;
            }
            rest = inside.get(end + quote.end.len()..).unwrap_or_default();
            code.push(' ');
        } else {
            // The letters before a quote of Python (`f'…'`, `rb'…'`) do not part two texts.
            let is_prefix = "fFrRbB".contains(next) && rest[1..].starts_with(['\'', '"']);
            goes_on &= next.is_whitespace() || is_prefix;
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    (code, texts)
}

/// The number of bytes before `end`, which does not count behind a backslash.
fn end_of(text: &str, end: &str) -> usize {
    let mut at = 0;
    while at < text.len() && !text[at..].starts_with(end) {
        let characters = 1 + usize::from(text[at..].starts_with('\\'));
        at += text[at..].chars().take(characters).map(char::len_utf8).sum::<usize>();
    }
    at
}

fn words(code: &str) -> BTreeSet<String> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
}

#[test]
fn identifiers_and_texts_are_found_in_each_language() {
    let folder = tempfile::tempdir().unwrap();
    let found = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (identifiers(&path), texts(&path))
    };
    let rust = "//! seven eight\n/// one two\nfn a(x: &'static str) { b!(\"three \\\n  four {}\", c) }\n\
                #[cfg(test)]\nmod tests { fn d() { e(\"five six\") } }";
    let (names, texts) = found("a.rs", rust);
    assert!(["a", "x", "b", "c"].iter().all(|name| names.contains(*name)), "{names:?}");
    assert!(!names.contains("one") && !names.contains("d"), "{names:?}");
    assert_eq!(texts, ["three four {}"]);
    let (names, texts) = found("a.sql", "-- it's one\nselect 'two three' as a from b");
    assert!(names.contains("a") && names.contains("b") && !names.contains("two"), "{names:?}");
    assert_eq!(texts, ["two three"]);
    let python = "\"\"\"it's one\"\"\"\na = 'it\\'s two'  # three\nb(f'four {c}'\n  ' five')";
    let (names, texts) = found("a.py", python);
    assert!(names.contains("a") && names.contains("b") && !names.contains("one"), "{names:?}");
    assert_eq!(texts, ["it\\'s two", "four {c} five"]);
}
