//! Generates the code of `#[operation]`: the unchanged function, and its entry in the table of operations.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ItemFn;
use syn::spanned::Spanned;

use crate::attributes::Attributes;
use crate::signature::Signature;

/// Returns the function and its entry. If the attribute or the function is wrong, returns the function and compile
/// errors.
pub(crate) fn operation(attributes: TokenStream, function: TokenStream) -> TokenStream {
    let Ok(parsed) = syn::parse2::<ItemFn>(function) else {
        let error =
            syn::Error::new(Span::call_site(), "`#[operation]` can only be put on a function");
        return error.to_compile_error();
    };
    // The function is kept even after an error. Otherwise its callers would cause errors about a missing function.
    let entry = match (Attributes::parse(attributes), Signature::parse(&parsed)) {
        (Ok(attributes), Ok(signature)) => entry(&attributes, &signature, &parsed),
        (attributes, signature) => attributes
            .err()
            .into_iter()
            .chain(signature.err())
            .map(|error| error.to_compile_error())
            .collect(),
    };
    quote! { #parsed #entry }
}

fn entry(attributes: &Attributes, signature: &Signature, function: &ItemFn) -> TokenStream {
    let function_name = &function.sig.ident;
    let name =
        attributes.name.clone().unwrap_or_else(|| without_raw_prefix(&function_name.to_string()));
    let domain = attributes
        .domain
        .as_ref()
        .map_or_else(|| quote!(::rework::__private::DEFAULT_DOMAIN), |domain| quote!(#domain));
    let about = &signature.about;
    let limits = limits(attributes);
    // A policy has lists, which a table of constants cannot contain. So the table has a function that makes it.
    let retry = option(attributes.retry.as_ref().map(|retry| quote!(|| #retry)));
    let (input, output) = schemas(signature);
    let call = call(signature, function_name);
    let available = option(attributes.available.as_deref().map(check));
    let Attributes { run_after, run_before, on_failure, .. } = attributes;
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
                }
            }
        };
    }
}

/// Removes the prefix of a raw identifier: `r#move` becomes `move`.
fn without_raw_prefix(identifier: &str) -> String {
    identifier.trim_start_matches("r#").to_owned()
}

fn limits(attributes: &Attributes) -> TokenStream {
    let timeout_ms = option(attributes.timeout_ms);
    let memory_bytes = option(attributes.memory_bytes);
    let attempts = attributes.attempts.unwrap_or(1);
    let grace_ms = attributes.grace_ms.map_or_else(
        || quote!(::rework::__private::Limits::DEFAULT_GRACE_MS),
        |grace| quote!(#grace),
    );
    let retry_lost = attributes.retry_lost;
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
fn schemas(signature: &Signature) -> (TokenStream, TokenStream) {
    let input = option(signature.input.as_ref().map(|input_type| {
        quote_spanned!(signature.input_span()=>
            <#input_type as ::rework::__private::FromInput>::schema)
    }));
    let output_type = &signature.output;
    let output = quote_spanned!(output_type.span()=> || Returned::<#output_type>::describe());
    (input, output)
}

/// Returns the expression of type `Call`: a closure that reads the input, calls the function, and converts its return
/// value.
fn call(signature: &Signature, name: &syn::Ident) -> TokenStream {
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
    let output_type = &signature.output;
    let outcome = quote_spanned!(output_type.span()=> Returned::<#output_type>::outcome);
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
fn check(path: &str) -> TokenStream {
    // The path was parsed from tokens, so it can be parsed again.
    let function: TokenStream = path.parse().unwrap_or_default();
    quote! {
        ::rework::__private::Check {
            name: #path,
            call: || ::rework::__private::IntoReason::into_reason(#function()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(attributes: &str, function: &str) -> String {
        operation(attributes.parse().unwrap(), function.parse().unwrap()).to_string()
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
