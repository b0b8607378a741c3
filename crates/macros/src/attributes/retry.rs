//! Parses the key `retry` of `#[operation(…)]`: `retry = "once"`, or `retry(attempts = 5, first = "10s")`.
//!
//! The keys and their limits are those of `rework_wire::retry_policy`. That crate is not used here, because it would be
//! compiled twice: for the compiler and for the program. A test of the crate `rework` compares both.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprArray, ExprLit, Lit, LitStr, Meta, Token};

use super::{attempts, error_at, flag, parsed, string, value};
use crate::quantity;

/// The longest pause, in milliseconds: 365 days.
const MAX_PAUSE_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// The most pauses of a list, and the most kinds of errors.
const MAX_ITEMS: usize = 100;

const KEYS: &str = "the keys of `retry` are `attempts`, `endless`, `backoff`, `first`, `factor`, \
                    `most`, `list`, `jitter`, `on` and `not_on`";

/// The keys that describe a pause without a list.
const PAUSE_KEYS: [&str; 4] = ["backoff", "first", "factor", "most"];

/// A retry policy. `None`, or false, for what is not given.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Retry {
    pub(crate) attempts: Option<i32>,
    pub(crate) endless: bool,
    pub(crate) is_fixed: bool,
    pub(crate) first_ms: Option<i64>,
    pub(crate) factor: Option<f64>,
    pub(crate) most_ms: Option<i64>,
    pub(crate) list: Option<Vec<i64>>,
    pub(crate) jitter: Option<f64>,
    pub(crate) on: Option<Vec<String>>,
    pub(crate) not_on: Option<Vec<String>>,
}

impl Retry {
    /// Parses the policy. An error points at the key or value that is wrong.
    pub(crate) fn parse(meta: &Meta) -> syn::Result<Retry> {
        let Meta::List(list) = meta else { return named(meta) };
        let mut retry = Retry::default();
        let mut given: Vec<String> = Vec::new();
        for meta in list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)? {
            let key = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
            if given.contains(&key) {
                return Err(error_at(&meta, format!("`{key}` is given twice")));
            }
            retry.set(&key, &meta)?;
            given.push(key);
        }
        match contradiction(&given, retry.is_fixed) {
            Some(message) => Err(error_at(meta, message)),
            None => Ok(retry),
        }
    }

    fn set(&mut self, key: &str, meta: &Meta) -> syn::Result<()> {
        match key {
            "attempts" => self.attempts = Some(attempts(meta)?),
            "endless" => self.endless = flag(meta, key)?,
            "backoff" => self.is_fixed = is_fixed(meta)?,
            "first" => self.first_ms = Some(pause(meta, key)?),
            "factor" => self.factor = Some(number(meta, key, 1.0, 1_000.0)?),
            "most" => self.most_ms = Some(pause(meta, key)?),
            "list" => self.list = Some(pauses(meta, key)?),
            "jitter" => self.jitter = Some(number(meta, key, 0.0, 1.0)?),
            "on" => self.on = Some(kinds(meta, key)?),
            "not_on" => self.not_on = Some(kinds(meta, key)?),
            _ => return Err(error_at(meta.path(), format!("unknown key: {KEYS}"))),
        }
        Ok(())
    }
}

impl ToTokens for Retry {
    /// Generates the expression of the policy.
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let attempts = if let Some(attempts) = self.attempts {
            quote!(::core::option::Option::Some(#attempts))
        } else {
            quote!(::core::option::Option::None)
        };
        let endless = self.endless;
        let first_ms = self.first_ms.unwrap_or(1_000);
        let pause = match &self.list {
            Some(list) => quote!(List(::std::vec![#(#list),*])),
            None if self.is_fixed => quote!(Fixed { first_ms: #first_ms }),
            None => {
                let (factor, most_ms) =
                    (self.factor.unwrap_or(2.0), self.most_ms.unwrap_or(3_600_000));
                quote!(Exponential { first_ms: #first_ms, factor: #factor, most_ms: #most_ms })
            }
        };
        let jitter = if let Some(jitter) = self.jitter {
            quote!(#jitter)
        } else {
            quote!(::rework::__private::retry_policy::DEFAULT_JITTER)
        };
        let kinds = match (&self.on, &self.not_on) {
            (Some(on), _) => quote!(On(::std::vec![#(#on.to_owned()),*])),
            (None, Some(not_on)) => quote!(NotOn(::std::vec![#(#not_on.to_owned()),*])),
            (None, None) => quote!(All),
        };
        tokens.extend(quote! {
            ::rework::__private::retry_policy::RetryPolicy {
                attempts: #attempts,
                endless: #endless,
                pause: ::rework::__private::retry_policy::Pause::#pause,
                jitter: #jitter,
                kinds: ::rework::__private::retry_policy::Kinds::#kinds,
            }
        });
    }
}

/// Parses a policy that has a name.
fn named(meta: &Meta) -> syn::Result<Retry> {
    let literal = string(meta, "retry", "once")?;
    let (attempts, endless) = match literal.value().as_str() {
        "never" => (1, false),
        "once" => (2, false),
        "always" => (2, true),
        _ => {
            return Err(error_at(
                &literal,
                "`retry` is `never`, `once` or `always`, or has keys: `retry(first = \"10s\")`",
            ));
        }
    };
    Ok(Retry { attempts: Some(attempts), endless, ..Retry::default() })
}

/// Returns why these keys cannot be given together. `None` if they can.
fn contradiction(given: &[String], is_fixed: bool) -> Option<String> {
    let is_given = |key: &str| given.iter().any(|given| given == key);
    if is_given("on") && is_given("not_on") {
        return Some("`retry` has both `on` and `not_on`".to_owned());
    }
    let other = PAUSE_KEYS.into_iter().find(|key| is_given(key));
    if let (true, Some(other)) = (is_given("list"), other) {
        return Some(format!("`retry` has both `list` and `{other}`"));
    }
    let unused = ["factor", "most"].into_iter().find(|key| is_given(key));
    unused
        .filter(|_| is_fixed)
        .map(|key| format!("`retry` has `{key}`, which a fixed pause does not use"))
}

fn is_fixed(meta: &Meta) -> syn::Result<bool> {
    let literal = string(meta, "backoff", "fixed")?;
    match literal.value().as_str() {
        "fixed" => Ok(true),
        "exponential" => Ok(false),
        _ => Err(error_at(&literal, "`backoff` must be `exponential` or `fixed`")),
    }
}

/// Parses the pause between two attempts.
fn pause(meta: &Meta, key: &str) -> syn::Result<i64> {
    let (milliseconds, literal) = parsed(meta, key, quantity::milliseconds)?;
    if milliseconds > MAX_PAUSE_MS {
        return Err(error_at(&literal, format!("`{key}` is longer than 365 days")));
    }
    Ok(milliseconds)
}

fn pauses(meta: &Meta, key: &str) -> syn::Result<Vec<i64>> {
    let literals = strings(meta, key, "\"1s\", \"1m\"")?;
    let pause = |literal: &LitStr| match quantity::milliseconds(&literal.value()) {
        Ok(milliseconds) if milliseconds <= MAX_PAUSE_MS => Ok(milliseconds),
        Ok(_) => Err(error_at(literal, format!("`{key}`: a pause is longer than 365 days"))),
        Err(problem) => Err(error_at(literal, format!("`{key}`: {problem}"))),
    };
    literals.iter().map(pause).collect()
}

fn kinds(meta: &Meta, key: &str) -> syn::Result<Vec<String>> {
    let literals = strings(meta, key, "\"io\"")?;
    let kind = |literal: &LitStr| {
        let kind = literal.value();
        if kind.is_empty() || kind.len() > 256 || kind.contains('\0') {
            return Err(error_at(literal, format!("`{key}`: a kind has 1 to 256 bytes")));
        }
        Ok(kind)
    };
    literals.iter().map(kind).collect()
}

/// Parses a number between two limits, with or without a decimal point.
fn number(meta: &Meta, key: &str, least: f64, most: f64) -> syn::Result<f64> {
    let number: Option<f64> = match value(meta) {
        Some(Expr::Lit(ExprLit { lit: Lit::Int(literal), .. })) => literal.base10_parse().ok(),
        Some(Expr::Lit(ExprLit { lit: Lit::Float(literal), .. })) => literal.base10_parse().ok(),
        _ => None,
    };
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| error_at(meta, format!("`{key}` must be a number from {least} to {most}")))
}

/// Parses an array of 1 to [`MAX_ITEMS`] strings.
fn strings(meta: &Meta, key: &str, example: &str) -> syn::Result<Vec<LitStr>> {
    let literal = |item: &Expr| match item {
        Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => Some(literal.clone()),
        _ => None,
    };
    let literals = match value(meta) {
        Some(Expr::Array(ExprArray { elems, .. })) => {
            elems.iter().map(literal).collect::<Option<Vec<LitStr>>>()
        }
        _ => None,
    };
    literals.filter(|literals| (1..=MAX_ITEMS).contains(&literals.len())).ok_or_else(|| {
        error_at(meta, format!("`{key}` must be 1 to {MAX_ITEMS} strings: `{key} = [{example}]`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Retry, String> {
        let meta: Meta = syn::parse_str(text).unwrap();
        Retry::parse(&meta).map_err(|error| error.to_string())
    }

    #[test]
    fn a_policy_has_a_name_or_keys() {
        assert_eq!(
            parse(r#"retry = "always""#),
            Ok(Retry { attempts: Some(2), endless: true, ..Retry::default() })
        );
        let keys = r#"retry(attempts = 5, first = "1s", factor = 1.5, most = "PT1M", jitter = 0,
            on = ["Timeout"])"#;
        let expected = Retry {
            attempts: Some(5),
            first_ms: Some(1_000),
            factor: Some(1.5),
            most_ms: Some(60_000),
            jitter: Some(0.0),
            on: Some(vec!["Timeout".into()]),
            ..Retry::default()
        };
        assert_eq!(parse(keys), Ok(expected));
        let list = parse(r#"retry(list = ["1s", "1m"], endless)"#).unwrap();
        assert_eq!((list.list, list.endless), (Some(vec![1_000, 60_000]), true));
    }

    #[test]
    fn an_error_names_the_key_and_what_is_expected() {
        for (text, expected) in [
            (r#"retry = "twice""#, "`retry` is `never`, `once` or `always`"),
            ("retry = 3", "`retry` must be a string"),
            (r#"retry(frist = "1s")"#, "unknown key: the keys of `retry` are"),
            ("retry(attempts = 0)", "`attempts` must be a whole number from 1"),
            ("retry(factor = 0.5)", "`factor` must be a number from 1 to 1000"),
            ("retry(jitter = 2)", "`jitter` must be a number from 0 to 1"),
            (r#"retry(first = "366d")"#, "`first` is longer than 365 days"),
            (r#"retry(backoff = "linear")"#, "`backoff` must be `exponential` or `fixed`"),
            ("retry(list = [])", "`list` must be 1 to 100 strings"),
            (r#"retry(list = ["soon"])"#, "`list`: `soon` is not a duration"),
            (r#"retry(on = [""])"#, "`on`: a kind has 1 to 256 bytes"),
            (r#"retry(list = ["1s"], most = "1m")"#, "has both `list` and `most`"),
            (r#"retry(on = ["a"], not_on = ["b"])"#, "has both `on` and `not_on`"),
            (r#"retry(backoff = "fixed", factor = 2)"#, "has `factor`, which a fixed pause"),
            ("retry(jitter = 0, jitter = 0)", "`jitter` is given twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_policy_becomes_an_expression() {
        let policy = parse(r#"retry(backoff = "fixed", first = "5s", not_on = ["io"])"#).unwrap();
        let text = policy.to_token_stream().to_string();
        assert!(text.contains("Pause :: Fixed { first_ms : 5000i64 }"), "{text}");
        assert!(text.contains("Kinds :: NotOn (:: std :: vec ! [\"io\" . to_owned ()])"), "{text}");
    }
}
