//! Generates the companion of a function: a type with the same name, which a flow uses to name the operation.
//!
//! Types and functions may have the same name in Rust. So `create_vm::step("vm")` is a step that runs the function
//! `create_vm`. The type has no values.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, ItemFn};

use crate::attributes::Attributes;
use crate::role::Role;

/// The domain of operations that name none: `rework_wire::operation::DEFAULT_DOMAIN`. A test of the crate `rework`
/// compares both.
const DEFAULT_DOMAIN: &str = "default";

/// Returns the companion of a function. Empty if the role has none.
pub(crate) fn companion(role: Role, attributes: &Attributes, function: &ItemFn) -> TokenStream {
    if role == Role::Operation {
        return TokenStream::new();
    }
    let visibility = generated(&function.vis);
    let name = generated(&function.sig.ident);
    let attribute = role.attribute();
    let about = format!(
        "Names the operation of the function with the same name, which has `#[{attribute}]`."
    );
    let domain = attributes.domain.as_deref().unwrap_or(DEFAULT_DOMAIN);
    let qualified = format!("{domain}/{}", operation_name(attributes, &function.sig.ident));
    let constructor = constructor(role, attributes, &visibility);
    let reverts = (role == Role::Revert).then(|| reverts(&name));
    quote! {
        #[doc = #about]
        #visibility enum #name {}

        impl #name {
            /// The domain and the name of the operation.
            #visibility const NAME: &'static str = #qualified;

            #constructor
        }

        #reverts
    }
}

/// Returns the tokens as if the macro had made them. The compiler does not lint an item of such tokens: the companion is
/// not in camel case, has no variants, and may be unused.
fn generated(tokens: &impl ToTokens) -> TokenStream {
    let respanned = |mut token: TokenTree| {
        token.set_span(Span::call_site());
        token
    };
    tokens.to_token_stream().into_iter().map(respanned).collect()
}

/// Returns the name of the operation: by default that of the function, without the prefix of a raw identifier.
pub(crate) fn operation_name(attributes: &Attributes, function: &Ident) -> String {
    let of_function = || function.to_string().trim_start_matches("r#").to_owned();
    attributes.name.clone().unwrap_or_else(of_function)
}

/// Returns the function that makes a part of a flow. Empty if the role has none.
fn constructor(role: Role, attributes: &Attributes, visibility: &TokenStream) -> TokenStream {
    match role {
        Role::Step => {
            let revert = attributes.revert.as_ref().map(|path| {
                let path = path.tokens();
                quote_spanned!(path.span()=>
                    .revert(<#path as ::rework::__private::Reverts>::NAME))
            });
            quote! {
                /// Makes a step of this name, which runs the operation.
                #visibility fn step(name: &str) -> ::rework::Step {
                    ::rework::Step::operation(Self::NAME).named(name) #revert
                }
            }
        }
        Role::Controller => quote! {
            /// Makes a controller that runs the operation.
            #visibility fn controller() -> ::rework::Controller {
                ::rework::Controller::operation(Self::NAME)
            }
        },
        Role::Operation | Role::Flow | Role::Revert => TokenStream::new(),
    }
}

/// Returns the implementation that lets `#[step(revert = …)]` name the function.
fn reverts(name: &TokenStream) -> TokenStream {
    quote! {
        impl ::rework::__private::Reverts for #name {
            const NAME: &'static str = <#name>::NAME;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(role: Role, attributes: &str, function: &str) -> String {
        let attributes = Attributes::parse(role, attributes.parse().unwrap()).unwrap();
        companion(role, &attributes, &syn::parse_str(function).unwrap()).to_string()
    }

    #[test]
    fn a_plain_operation_has_no_companion() {
        assert_eq!(expanded(Role::Operation, "", "fn f() {}"), "");
    }

    #[test]
    fn the_companion_names_the_operation() {
        let text = expanded(Role::Flow, "domain = \"cloud\"", "pub(crate) fn r#move() {}");
        assert!(text.contains("pub (crate) enum r#move { }"), "{text}");
        assert!(text.contains("const NAME : & 'static str = \"cloud/move\""), "{text}");
        assert!(!text.contains("fn "), "{text}");
        let text = expanded(Role::Flow, "name = \"shift\"", "fn r#move() {}");
        assert!(text.contains("const NAME : & 'static str = \"default/shift\""), "{text}");
    }

    #[test]
    fn a_step_names_its_revert() {
        let text = expanded(Role::Step, "", "fn create() {}");
        assert!(text.contains("operation (Self :: NAME) . named (name) }"), "{text}");
        let text = expanded(Role::Step, "revert = vm::delete", "fn create() {}");
        let revert = ". revert (< vm :: delete as :: rework :: __private :: Reverts > :: NAME)";
        assert!(text.contains(revert), "{text}");
    }

    #[test]
    fn reverts_and_controllers_are_recognised_by_their_types() {
        let text = expanded(Role::Revert, "", "fn delete() {}");
        assert!(text.contains("impl :: rework :: __private :: Reverts for delete"), "{text}");
        let text = expanded(Role::Controller, "", "fn pick() {}");
        assert!(text.contains("fn controller () -> :: rework :: Controller"), "{text}");
    }
}
