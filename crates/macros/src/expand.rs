//! Generates the code of `#[operation]` and of the attributes of flows: the unchanged function, its entry in the table
//! of operations, and its companion.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemFn, Type};

use crate::attributes::{Attributes, FunctionPath};
use crate::companion::{companion, operation_name};
use crate::role::Role;
use crate::signature::Signature;

/// Returns the function, its entry and its companion. If the attribute or the function is wrong, returns compile errors
/// instead of the entry.
pub(crate) fn operation(role: Role, attributes: TokenStream, function: TokenStream) -> TokenStream {
    let Ok(parsed) = syn::parse2::<ItemFn>(function) else {
        let message = format!("`#[{}]` can only be put on a function", role.attribute());
        return syn::Error::new(Span::call_site(), message).to_compile_error();
    };
    let (attributes, attributes_error) = separated(Attributes::parse(role, attributes));
    let (signature, signature_error) = separated(Signature::parse(role, &parsed));
    let entry = match (&attributes, &signature) {
        (Some(attributes), Some(signature)) => entry(role, attributes, signature, &parsed),
        _ => [attributes_error, signature_error].into_iter().flatten().collect(),
    };
    // Function and companion are kept even after an error. Otherwise their users would cause errors about what is
    // missing.
    let companion = companion(role, &attributes.unwrap_or_default(), &parsed);
    quote! { #parsed #companion #entry }
}

/// Returns the parsed value, and the error as code that lets the compiler report it.
fn separated<T>(parsed: syn::Result<T>) -> (Option<T>, Option<TokenStream>) {
    match parsed {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error.to_compile_error())),
    }
}

fn entry(
    role: Role,
    attributes: &Attributes,
    signature: &Signature,
    function: &ItemFn,
) -> TokenStream {
    let function_name = &function.sig.ident;
    let name = operation_name(attributes, function_name);
    let domain = attributes
        .domain
        .as_ref()
        .map_or_else(|| quote!(::rework::__private::DEFAULT_DOMAIN), |domain| quote!(#domain));
    let about = &signature.about;
    let limits = limits(role, attributes);
    // A policy has lists, which a table of constants cannot contain. So the table has a function that makes it.
    let retry = option(attributes.retry.as_ref().map(|retry| quote!(|| #retry)));
    let (input, output) = schemas(role, signature);
    let call = call(role, signature, function_name);
    let available = option(attributes.available.as_ref().map(check));
    let Attributes { run_after, run_before, on_failure, .. } = attributes;
    let is_flow = role == Role::Flow;
    quote! {
        const _: () = {
            use ::rework::__private::{PlainReturn as _, Returned};

            ::rework::__private::inventory::submit! {
                ::rework::__private::Operation {
                    domain: #domain,
                    name: #name,
                    about: #about,
                    location: ::core::concat!(::core::file!(), ":", ::core::line!()),
                    limits: #limits,
                    retry: #retry,
                    input: #input,
                    output: #output,
                    call: #call,
                    available: #available,
                    run_after: &[#(#run_after),*],
                    run_before: &[#(#run_before),*],
                    on_failure: &[#(#on_failure),*],
                    is_flow: #is_flow,
                }
            }
        };
    }
}

fn limits(role: Role, attributes: &Attributes) -> TokenStream {
    let timeout_ms = option(attributes.timeout_ms);
    let memory_bytes = option(attributes.memory_bytes);
    let attempts = attributes.attempts.unwrap_or(1);
    let grace_ms = attributes.grace_ms.map_or_else(
        || quote!(::rework::__private::Limits::DEFAULT_GRACE_MS),
        |grace| quote!(#grace),
    );
    let retry_lost = attributes.retry_lost.unwrap_or(role.retries_lost());
    let priority = attributes.priority.unwrap_or(0);
    quote! {
        ::rework::__private::Limits {
            timeout_ms: #timeout_ms,
            memory_bytes: #memory_bytes,
            attempts: #attempts,
            grace_ms: #grace_ms,
            retry_lost: #retry_lost,
            priority: #priority,
            concurrency: 1,
            retry: ::core::option::Option::None,
        }
    }
}

fn option(value: Option<impl ToTokens>) -> TokenStream {
    value.map_or_else(
        || quote!(::core::option::Option::None),
        |value| quote!(::core::option::Option::Some(#value)),
    )
}

/// Returns the expressions for the schema of the input (an `Option`) and of the output.
fn schemas(role: Role, signature: &Signature) -> (TokenStream, TokenStream) {
    let input = option(signature.input.as_ref().map(|input_type| {
        quote_spanned!(signature.input_span()=>
            <#input_type as ::rework::__private::FromInput>::schema)
    }));
    let returned = returned(role, &signature.output);
    (input, quote!(|| #returned::describe()))
}

/// Returns the type that has the functions `describe` and `outcome` for what the function returns. The compiler reports
/// here if the function of a flow or a controller returns something else.
fn returned(role: Role, output_type: &Type) -> TokenStream {
    match role {
        Role::Flow => quote_spanned!(output_type.span()=>
            <#output_type as ::rework::__private::FlowReturn>),
        Role::Controller => quote_spanned!(output_type.span()=>
            <#output_type as ::rework::__private::ControllerReturn>),
        Role::Operation | Role::Step | Role::Revert => {
            quote_spanned!(output_type.span()=> Returned::<#output_type>)
        }
    }
}

/// Returns the expression of type `Call`: a closure that reads the input, calls the function, and converts its return
/// value.
fn call(role: Role, signature: &Signature, name: &syn::Ident) -> TokenStream {
    let read_input = signature.input.as_ref().map(|input_type| {
        let read = quote_spanned!(signature.input_span()=>
            <#input_type as ::rework::__private::FromInput>::from_task(task));
        quote! {
            let input = match #read {
                ::core::result::Result::Ok(input) => input,
                ::core::result::Result::Err(error) => return ::core::result::Result::Err(error),
            };
        }
    });
    let task = signature.takes_task.then(|| quote!(task,));
    let borrow = signature.borrows_input.then(|| quote!(&));
    let input = signature.input.is_some().then(|| quote!(#borrow input));
    let returned = returned(role, &signature.output);
    let outcome = quote!(#returned::outcome);
    if signature.is_async {
        quote! {
            ::rework::__private::Call::Async(|task| ::std::boxed::Box::pin(async move {
                let _ = task;
                #read_input
                #outcome(#name(#task #input).await)
            }))
        }
    } else {
        quote! {
            ::rework::__private::Call::Plain(|task| {
                let _ = task;
                #read_input
                #outcome(#name(#task #input))
            })
        }
    }
}

/// Returns the expression of type `Check` for the function with this path.
fn check(path: &FunctionPath) -> TokenStream {
    let (name, function) = (path.text(), path.tokens());
    quote! {
        ::rework::__private::Check {
            name: #name,
            call: || ::rework::__private::IntoReason::into_reason(#function()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(attributes: &str, function: &str) -> String {
        expanded_as(Role::Operation, attributes, function)
    }

    fn expanded_as(role: Role, attributes: &str, function: &str) -> String {
        operation(role, attributes.parse().unwrap(), function.parse().unwrap()).to_string()
    }

    #[test]
    fn the_function_is_kept_after_an_error() {
        let text = expanded("timeout = \"soon\"", "fn f(a: A, b: B) { body() }");
        assert!(text.starts_with("fn f (a : A , b : B) { body () }"), "{text}");
        assert_eq!(text.matches("compile_error").count(), 2, "{text}");
        assert!(text.contains("`soon` is not a duration"), "{text}");
    }

    #[test]
    fn only_a_function_is_accepted() {
        assert!(expanded("", "struct S;").contains("`#[operation]` can only be put on a function"));
        let text = expanded_as(Role::Step, "", "struct S;");
        assert!(text.contains("`#[step]` can only be put on a function"), "{text}");
    }

    #[test]
    fn only_an_operation_of_a_flow_is_queued_again_by_default() {
        assert!(expanded("", "fn f() {}").contains("retry_lost : false"));
        assert!(expanded("retry_lost", "fn f() {}").contains("retry_lost : true"));
        for role in [Role::Flow, Role::Step, Role::Revert, Role::Controller] {
            assert!(expanded_as(role, "", "fn f() {}").contains("retry_lost : true"));
            let text = expanded_as(role, "retry_lost = false", "fn f() {}");
            assert!(text.contains("retry_lost : false"), "{text}");
            assert_eq!(text.contains("is_flow : true"), role == Role::Flow, "{text}");
        }
    }

    #[test]
    fn a_flow_and_a_controller_return_types_of_their_own() {
        let text = expanded_as(Role::Flow, "", "fn f() -> Flow {}");
        assert!(text.contains("< Flow as :: rework :: __private :: FlowReturn > :: outcome"));
        let text = expanded_as(Role::Controller, "", "fn f(history: &History) -> Decision {}");
        let trait_name = ":: rework :: __private :: ControllerReturn";
        assert!(text.contains(&format!("< Decision as {trait_name} > :: describe ()")), "{text}");
        assert!(text.contains("outcome (f (& input))"), "{text}");
    }

    #[test]
    fn the_companion_is_kept_after_an_error() {
        let text = expanded_as(Role::Step, "timeout = \"soon\"", "fn create() {}");
        assert!(text.contains("enum create { }") && text.contains("compile_error"), "{text}");
    }

    #[test]
    fn name_and_domain_have_defaults() {
        let text = expanded("", "fn r#move() {}");
        assert!(text.contains("name : \"move\""), "{text}");
        assert!(text.contains("domain : :: rework :: __private :: DEFAULT_DOMAIN"), "{text}");
        let text = expanded("available = gpu::is_free", "fn f() {}");
        assert!(text.contains("name : \"gpu::is_free\""), "{text}");
        assert!(text.contains("into_reason (gpu :: is_free ())"), "{text}");
        assert!(text.contains("run_after : & []"), "{text}");
        let text = expanded("run_after = [\"publish\", \"tell\"]", "fn f() {}");
        assert!(text.contains("run_after : & [\"publish\" , \"tell\"]"), "{text}");
        let text = expanded("name = \"shrink\", domain = \"images\"", "fn f() {}");
        assert!(text.contains("domain : \"images\" , name : \"shrink\""), "{text}");
    }
}
