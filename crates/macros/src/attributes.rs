//! Parses the keys and values between the parentheses of `#[operation(…)]` and of the attributes of flows.
//! `attributes/retry.rs` parses the retry policy, `attributes/function_path.rs` the path of a function.

mod function_path;
mod retry;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, LitStr, Meta, Token, parse::Parser};

pub(crate) use self::function_path::FunctionPath;
use self::retry::Retry;
use crate::quantity;
use crate::role::Role;

/// The checked values of all keys. `None` for a key that is not given.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Attributes {
    pub(crate) name: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) timeout_ms: Option<i64>,
    pub(crate) memory_bytes: Option<i64>,
    pub(crate) attempts: Option<i32>,
    pub(crate) grace_ms: Option<i64>,
    pub(crate) retry_lost: Option<bool>,
    pub(crate) priority: Option<i16>,
    pub(crate) retry: Option<Retry>,
    /// The function that is the check.
    pub(crate) available: Option<FunctionPath>,
    pub(crate) run_after: Vec<String>,
    pub(crate) run_before: Vec<String>,
    pub(crate) on_failure: Vec<String>,
    /// The function that undoes a step.
    pub(crate) revert: Option<FunctionPath>,
}

const KEYS: &str = "the keys are `domain`, `name`, `timeout`, `memory`, `attempts`, `grace`, \
                    `retry_lost`, `priority`, `retry`, `available`, `run_after`, `run_before` and \
                    `on_failure`; in `#[step]` also `revert`";

impl Attributes {
    /// Parses `domain = "images", attempts = 3, retry_lost`. An error points at the key or value that is wrong.
    pub(crate) fn parse(role: Role, tokens: TokenStream) -> syn::Result<Attributes> {
        let mut attributes = Attributes::default();
        let mut given_keys = Vec::new();
        for meta in Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens)? {
            let key = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
            if given_keys.contains(&key) {
                return Err(error_at(&meta, format!("`{key}` is given twice")));
            }
            attributes.set(role, &key, &meta)?;
            given_keys.push(key);
            attributes.settle_attempts(&meta)?;
        }
        Ok(attributes)
    }

    fn set(&mut self, role: Role, key: &str, meta: &Meta) -> syn::Result<()> {
        match key {
            "name" => self.name = Some(name(meta, key)?),
            "domain" => self.domain = Some(name(meta, key)?),
            "timeout" => self.timeout_ms = Some(positive(meta, key, quantity::milliseconds)?),
            "memory" => self.memory_bytes = Some(positive(meta, key, quantity::bytes)?),
            "attempts" => self.attempts = Some(attempts(meta)?),
            "grace" => self.grace_ms = Some(parsed(meta, key, quantity::milliseconds)?.0),
            "retry_lost" => self.retry_lost = Some(flag(meta, key)?),
            "priority" => self.priority = Some(priority(meta)?),
            "retry" => self.retry = Some(Retry::parse(meta)?),
            "available" => self.available = Some(FunctionPath::parse(meta, key, "has_display")?),
            "run_after" => self.run_after = names(meta, key)?,
            "run_before" => self.run_before = names(meta, key)?,
            "on_failure" => self.on_failure = names(meta, key)?,
            "revert" if role == Role::Step => {
                self.revert = Some(FunctionPath::parse(meta, key, "delete_vm")?);
            }
            "revert" => {
                return Err(error_at(meta.path(), "only a step has `revert`: put it in `#[step]`"));
            }
            _ => return Err(error_at(meta.path(), format!("unknown key: {KEYS}"))),
        }
        Ok(())
    }

    /// Takes the number of attempts from the retry policy if only that has one. `Err` if both have one, and these
    /// differ.
    fn settle_attempts(&mut self, meta: &Meta) -> syn::Result<()> {
        let within = self.retry.as_ref().and_then(|retry| retry.attempts);
        match (self.attempts, within) {
            (Some(attempts), Some(within)) if attempts != within => {
                let message = format!(
                    "`attempts` is {attempts}, and `retry` allows {within}: leave one of them out"
                );
                Err(error_at(meta, message))
            }
            (attempts, within) => {
                self.attempts = attempts.or(within);
                Ok(())
            }
        }
    }
}

/// Parses the name of an operation or of a domain.
fn name(meta: &Meta, key: &str) -> syn::Result<String> {
    checked_name(&string(meta, key, "a name")?, key)
}

/// Parses one name of an operation, or a list of such names.
fn names(meta: &Meta, key: &str) -> syn::Result<Vec<String>> {
    let Some(Expr::Array(list)) = value(meta) else {
        return Ok(vec![name(meta, key)?]);
    };
    let element = |element: &Expr| match element {
        Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => checked_name(literal, key),
        other => Err(error_at(other, format!("`{key}` must be a list of strings"))),
    };
    list.elems.iter().map(element).collect()
}

fn checked_name(literal: &LitStr, key: &str) -> syn::Result<String> {
    let text = literal.value();
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(error_at(literal, format!("`{key}` must be a word without spaces")));
    }
    Ok(text)
}

/// Parses a duration or a size that must not be zero.
fn positive(meta: &Meta, key: &str, parse: fn(&str) -> Result<i64, String>) -> syn::Result<i64> {
    let (value, literal) = parsed(meta, key, parse)?;
    if value == 0 {
        return Err(error_at(
            &literal,
            format!("`{key}` cannot be zero: leave it out for no limit"),
        ));
    }
    Ok(value)
}

/// Parses a duration or a size.
fn parsed(
    meta: &Meta,
    key: &str,
    parse: fn(&str) -> Result<i64, String>,
) -> syn::Result<(i64, LitStr)> {
    let example = if key == "memory" { "2GiB" } else { "5m" };
    let literal = string(meta, key, example)?;
    let value = parse(&literal.value())
        .map_err(|problem| error_at(&literal, format!("`{key}`: {problem}")))?;
    Ok((value, literal))
}

fn attempts(meta: &Meta) -> syn::Result<i32> {
    if let Some(Expr::Lit(ExprLit { lit: Lit::Int(literal), .. })) = value(meta)
        && let Ok(attempts @ 1..) = literal.base10_parse::<i32>()
    {
        return Ok(attempts);
    }
    Err(error_at(meta, "`attempts` must be a whole number from 1: `attempts = 3`"))
}

fn priority(meta: &Meta) -> syn::Result<i16> {
    // A negative number is two tokens, a minus and a literal. As text they have a space between them.
    let text = value(meta).map(|value| value.to_token_stream().to_string().replace(' ', ""));
    text.and_then(|number| number.parse().ok()).ok_or_else(|| {
        error_at(meta, "`priority` must be a whole number from -32768 to 32767: `priority = -1`")
    })
}

fn flag(meta: &Meta, key: &str) -> syn::Result<bool> {
    match (meta, value(meta)) {
        (Meta::Path(_), _) => Ok(true),
        (_, Some(Expr::Lit(ExprLit { lit: Lit::Bool(literal), .. }))) => Ok(literal.value),
        _ => Err(error_at(meta, format!("`{key}` takes no value, or `true` or `false`"))),
    }
}

fn string(meta: &Meta, key: &str, example: &str) -> syn::Result<LitStr> {
    match value(meta) {
        Some(Expr::Lit(ExprLit { lit: Lit::Str(literal), .. })) => Ok(literal.clone()),
        _ => Err(error_at(meta, format!("`{key}` must be a string: `{key} = \"{example}\"`"))),
    }
}

fn value(meta: &Meta) -> Option<&Expr> {
    meta.require_name_value().ok().map(|pair| &pair.value)
}

fn error_at(tokens: &impl Spanned, message: impl std::fmt::Display) -> syn::Error {
    syn::Error::new(tokens.span(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Attributes, String> {
        parse_of(Role::Operation, text)
    }

    fn parse_of(role: Role, text: &str) -> Result<Attributes, String> {
        Attributes::parse(role, text.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_parsed() {
        let all = r#"domain = "images", name = "shrink", timeout = "5m", memory = "2GiB",
            attempts = 3, grace = "1500ms", retry_lost, priority = -1, retry(attempts = 3),
            available = gpu::is_free, run_after = "publish",
            run_before = ["fetch", "decode"], on_failure = []"#;
        let expected = Attributes {
            name: Some("shrink".into()),
            domain: Some("images".into()),
            timeout_ms: Some(300_000),
            memory_bytes: Some(2 << 30),
            attempts: Some(3),
            grace_ms: Some(1_500),
            retry_lost: Some(true),
            priority: Some(-1),
            retry: Some(Retry { attempts: Some(3), ..Retry::default() }),
            available: Some(FunctionPath::of("gpu::is_free")),
            run_after: vec!["publish".into()],
            run_before: vec!["fetch".into(), "decode".into()],
            on_failure: vec![],
            revert: None,
        };
        assert_eq!(parse(all), Ok(expected));
        assert_eq!(parse(r#"retry = "once""#).unwrap().attempts, Some(2));
        assert_eq!(parse(""), Ok(Attributes::default()));
        assert_eq!(parse("retry_lost = false, ").unwrap().retry_lost, Some(false));
        assert_eq!(parse(r#"grace = "0s""#).unwrap().grace_ms, Some(0));
    }

    #[test]
    fn only_a_step_names_its_revert() {
        let step = parse_of(Role::Step, "revert = vm::delete").unwrap();
        assert_eq!(step.revert, Some(FunctionPath::of("vm::delete")));
        let error = parse_of(Role::Step, r#"revert = "delete""#).unwrap_err();
        let expected = "`revert` must be the path of a function: `revert = delete_vm`";
        assert_eq!(error, expected);
        for role in [Role::Operation, Role::Flow, Role::Revert, Role::Controller] {
            let error = parse_of(role, "revert = vm::delete").unwrap_err();
            assert!(error.contains("only a step has `revert`"), "{error}");
        }
    }

    #[test]
    fn an_error_names_the_key_and_what_is_expected() {
        for (text, expected) in [
            (r#"timeout = "5 parsecs""#, "`timeout`: `5 parsecs` is not a duration"),
            (r#"timeout = "0s""#, "`timeout` cannot be zero"),
            ("timeout = 5", "`timeout` must be a string: `timeout = \"5m\"`"),
            (r#"memory = "2048""#, "`memory`: `2048` is not a size with a unit"),
            (r#"grace = "soon""#, "`grace`: `soon` is not a duration"),
            ("priority = 99999", "`priority` must be a whole number from -32768 to 32767"),
            ("attempts = 0", "`attempts` must be a whole number from 1"),
            (r#"attempts = "3""#, "`attempts` must be a whole number from 1"),
            (r#"retry_lost = "yes""#, "`retry_lost` takes no value"),
            (r#"available = "gpu""#, "`available` must be the path of a function"),
            (r#"name = "two words""#, "`name` must be a word without spaces"),
            (r#"domain = """#, "`domain` must be a word without spaces"),
            ("domain", "`domain` must be a string"),
            ("run_after = 3", "`run_after` must be a string"),
            ("run_after = [3]", "`run_after` must be a list of strings"),
            (r#"on_failure = ["two words"]"#, "`on_failure` must be a word without spaces"),
            (r#"timeot = "5m""#, "unknown key"),
            ("attempts = 1, attempts = 2", "`attempts` is given twice"),
            (r#"attempts = 3, retry = "once""#, "`attempts` is 3, and `retry` allows 2"),
            ("retry(attempts = 5), attempts = 3", "`attempts` is 3, and `retry` allows 5"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
