//! The path of a function, which some keys of `#[operation(…)]` have as their value.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Expr, Meta};

use super::{error_at, value};

/// The path of a function. The compiler shows an error about it where it is written.
#[derive(Debug)]
pub(crate) struct FunctionPath(TokenStream);

impl FunctionPath {
    /// Parses the value of this key. `example` is the name of a function, for the error.
    pub(super) fn parse(meta: &Meta, key: &str, example: &str) -> syn::Result<FunctionPath> {
        if let Some(Expr::Path(path)) = value(meta)
            && path.attrs.is_empty()
            && path.qself.is_none()
        {
            return Ok(FunctionPath(path.path.to_token_stream()));
        }
        let message = format!("`{key}` must be the path of a function: `{key} = {example}`");
        Err(error_at(meta, message))
    }

    /// Returns the tokens of the path.
    pub(crate) fn tokens(&self) -> &TokenStream {
        &self.0
    }

    /// Returns the path as text, without spaces.
    pub(crate) fn text(&self) -> String {
        self.0.to_string().replace(' ', "")
    }

    /// Makes a path from its text.
    #[cfg(test)]
    pub(super) fn of(text: &str) -> FunctionPath {
        FunctionPath(text.parse().unwrap())
    }
}

impl PartialEq for FunctionPath {
    /// Compares the texts of the paths.
    fn eq(&self, other: &FunctionPath) -> bool {
        self.text() == other.text()
    }
}
