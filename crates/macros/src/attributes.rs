//! What stands between the brackets of `#[operation(…)]`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, LitStr, Meta, Token, parse::Parser};

use crate::quantity;

/// The keys, checked. What was left out is none, or false.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Attributes {
    pub(crate) name: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) timeout_ms: Option<i64>,
    pub(crate) memory_bytes: Option<i64>,
    pub(crate) attempts: Option<i32>,
    pub(crate) grace_ms: Option<i64>,
    pub(crate) retry_lost: bool,
    pub(crate) priority: Option<i16>,
}

const KEYS: &str = "`domain`, `name`, `timeout`, `memory`, `attempts`, `grace`, `retry_lost` and `priority` are known";

impl Attributes {
    /// Reads `domain = "images", attempts = 3, retry_lost`. Every fault points at its own place.
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Attributes> {
        let mut attributes = Attributes::default();
        let mut seen = Vec::new();
        for meta in Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens)? {
            let key = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
            if seen.contains(&key) {
                return Err(fault(&meta, format!("`{key}` is given twice")));
            }
            attributes.set(&key, &meta)?;
            seen.push(key);
        }
        Ok(attributes)
    }

    fn set(&mut self, key: &str, meta: &Meta) -> syn::Result<()> {
        match key {
            "name" => self.name = Some(word(meta, key)?),
            "domain" => self.domain = Some(word(meta, key)?),
            "timeout" => self.timeout_ms = Some(positive(meta, key, quantity::milliseconds)?),
            "memory" => self.memory_bytes = Some(positive(meta, key, quantity::bytes)?),
            "attempts" => self.attempts = Some(attempts(meta)?),
            "grace" => self.grace_ms = Some(parsed(meta, key, quantity::milliseconds)?.0),
            "retry_lost" => self.retry_lost = flag(meta, key)?,
            "priority" => self.priority = Some(priority(meta)?),
            _ => return Err(fault(meta.path(), format!("an unknown key: {KEYS}"))),
        }
        Ok(())
    }
}

fn word(meta: &Meta, key: &str) -> syn::Result<String> {
    let literal = string(meta, key, "a name")?;
    let text = literal.value();
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(fault(&literal, format!("`{key}` is a word without spaces")));
    }
    Ok(text)
}

fn positive(meta: &Meta, key: &str, parse: fn(&str) -> Result<i64, String>) -> syn::Result<i64> {
    let (value, literal) = parsed(meta, key, parse)?;
    if value == 0 {
        return Err(fault(&literal, format!("`{key}` of nothing: leave it out for no limit")));
    }
    Ok(value)
}

fn parsed(
    meta: &Meta,
    key: &str,
    parse: fn(&str) -> Result<i64, String>,
) -> syn::Result<(i64, LitStr)> {
    let example = if key == "memory" { "2GiB" } else { "5m" };
    let literal = string(meta, key, example)?;
    let value =
        parse(&literal.value()).map_err(|why| fault(&literal, format!("`{key}`: {why}")))?;
    Ok((value, literal))
}

fn attempts(meta: &Meta) -> syn::Result<i32> {
    if let Some(Expr::Lit(ExprLit { lit: Lit::Int(literal), .. })) = value(meta)
        && let Ok(attempts @ 1..) = literal.base10_parse::<i32>()
    {
        return Ok(attempts);
    }
    Err(fault(meta, "`attempts` is a whole number from 1: `attempts = 3`"))
}

fn priority(meta: &Meta) -> syn::Result<i16> {
    let written = value(meta).map(|given| given.to_token_stream().to_string().replace(' ', ""));
    written.and_then(|number| number.parse().ok()).ok_or_else(|| {
        fault(meta, "`priority` is a whole number from -32768 to 32767: `priority = -1`")
    })
}

fn flag(meta: &Meta, key: &str) -> syn::Result<bool> {
    match (meta, value(meta)) {
        (Meta::Path(_), _) => Ok(true),
        (_, Some(Expr::Lit(ExprLit { lit: Lit::Bool(literal), .. }))) => Ok(literal.value),
        _ => Err(fault(meta, format!("`{key}` stands alone, or is `true` or `false`"))),
    }
}

fn string(meta: &Meta, key: &str, example: &str) -> syn::Result<LitStr> {
    match value(meta) {
        Some(Expr::Lit(ExprLit { lit: Lit::Str(literal), .. })) => Ok(literal.clone()),
        _ => Err(fault(meta, format!("`{key}` is a string: `{key} = \"{example}\"`"))),
    }
}

fn value(meta: &Meta) -> Option<&Expr> {
    meta.require_name_value().ok().map(|pair| &pair.value)
}

fn fault(at: &impl Spanned, message: impl std::fmt::Display) -> syn::Error {
    syn::Error::new(at.span(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Attributes, String> {
        Attributes::parse(text.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key() {
        let all = r#"domain = "images", name = "shrink", timeout = "5m", memory = "2GiB",
            attempts = 3, grace = "1500ms", retry_lost, priority = -1"#;
        let expected = Attributes {
            name: Some("shrink".into()),
            domain: Some("images".into()),
            timeout_ms: Some(300_000),
            memory_bytes: Some(2 << 30),
            attempts: Some(3),
            grace_ms: Some(1_500),
            retry_lost: true,
            priority: Some(-1),
        };
        assert_eq!(parse(all), Ok(expected));
        assert_eq!(parse(""), Ok(Attributes::default()));
        assert_eq!(parse("retry_lost = false, "), Ok(Attributes::default()));
        assert_eq!(parse(r#"grace = "0s""#).unwrap().grace_ms, Some(0));
    }

    #[test]
    fn a_fault_is_named() {
        for (text, said) in [
            (r#"timeout = "5 parsecs""#, "`timeout`: `5 parsecs` is not a duration"),
            (r#"timeout = "0s""#, "`timeout` of nothing"),
            ("timeout = 5", "`timeout` is a string: `timeout = \"5m\"`"),
            (r#"memory = "2048""#, "`memory`: `2048` is not a size with its unit"),
            (r#"grace = "soon""#, "`grace`: `soon` is not a duration"),
            ("priority = 99999", "`priority` is a whole number from -32768 to 32767"),
            ("attempts = 0", "`attempts` is a whole number from 1"),
            (r#"attempts = "3""#, "`attempts` is a whole number from 1"),
            (r#"retry_lost = "yes""#, "`retry_lost` stands alone"),
            (r#"name = "two words""#, "`name` is a word without spaces"),
            (r#"domain = """#, "`domain` is a word without spaces"),
            ("domain", "`domain` is a string"),
            (r#"timeot = "5m""#, "an unknown key"),
            ("attempts = 1, attempts = 2", "`attempts` is given twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
