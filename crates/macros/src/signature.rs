//! What an operation's function takes and returns, as far as its text tells.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, FnArg, GenericParam, ItemFn, Lit, Meta, ReturnType, Type, parse_quote};

/// The parts of a function that decide how it is called.
pub(crate) struct Signature {
    /// It has to be awaited.
    pub(crate) is_async: bool,
    /// Its first parameter is the task.
    pub(crate) takes_task: bool,
    /// The type that its input is read as, where it takes one.
    pub(crate) input: Option<Type>,
    /// The input is lent to it.
    pub(crate) borrows_input: bool,
    /// What it returns.
    pub(crate) output: Type,
    /// The first line of its documentation.
    pub(crate) about: String,
}

const SHAPES: &str =
    "an operation takes `(task: &Task, input: T)`, one of the two alone, or nothing";

impl Signature {
    /// Reads them from the function.
    pub(crate) fn of(function: &ItemFn) -> syn::Result<Signature> {
        let signature = &function.sig;
        if let Some(token) = &signature.unsafety {
            return Err(syn::Error::new(token.span(), "an operation is not `unsafe`"));
        }
        if let Some(generic) =
            signature.generics.params.iter().find(|p| !matches!(p, GenericParam::Lifetime(_)))
        {
            return Err(syn::Error::new(generic.span(), "an operation has no generic parameters"));
        }
        let parameters: Vec<&Type> =
            signature.inputs.iter().map(parameter_type).collect::<syn::Result<_>>()?;
        let (takes_task, input) = match parameters[..] {
            [] => (false, None),
            [Type::Reference(_)] => (true, None),
            [input] => (false, Some(input)),
            [Type::Reference(_), input] => (true, Some(input)),
            _ => return Err(syn::Error::new(signature.inputs.span(), SHAPES)),
        };
        Ok(Signature {
            is_async: signature.asyncness.is_some(),
            takes_task,
            input: input.map(owned),
            borrows_input: matches!(input, Some(Type::Reference(_))),
            output: output_type(&signature.output)?,
            about: about(function),
        })
    }

    /// Where a fault of the input's type is shown.
    pub(crate) fn input_span(&self) -> Span {
        self.input.as_ref().map_or_else(Span::call_site, Spanned::span)
    }
}

/// What an input is read as before it is lent: a `String` for a `&str`.
fn owned(taken: &Type) -> Type {
    let Type::Reference(reference) = taken else { return taken.clone() };
    match &*reference.elem {
        Type::Path(path) if path.path.is_ident("str") => parse_quote!(::std::string::String),
        Type::Slice(slice) => {
            let item = &slice.elem;
            parse_quote!(::std::vec::Vec<#item>)
        }
        lent => lent.clone(),
    }
}

fn parameter_type(parameter: &FnArg) -> syn::Result<&Type> {
    let typed = match parameter {
        FnArg::Typed(typed) => &*typed.ty,
        FnArg::Receiver(receiver) => {
            return Err(syn::Error::new(receiver.span(), "an operation is not a method"));
        }
    };
    match typed {
        Type::Reference(reference) if reference.mutability.is_some() => {
            Err(syn::Error::new(reference.span(), "a task is taken as `&Task`"))
        }
        Type::ImplTrait(unnamed) => {
            Err(syn::Error::new(unnamed.span(), "an operation names the type of its input"))
        }
        _ => Ok(typed),
    }
}

fn output_type(output: &ReturnType) -> syn::Result<Type> {
    match output {
        ReturnType::Default => Ok(parse_quote!(())),
        ReturnType::Type(_, named) if matches!(**named, Type::ImplTrait(_)) => {
            Err(syn::Error::new(named.span(), "an operation names the type that it returns"))
        }
        ReturnType::Type(_, named) => Ok((**named).clone()),
    }
}

fn about(function: &ItemFn) -> String {
    function
        .attrs
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
                _ => None,
            },
            _ => None,
        })
        .map(|line| line.trim().to_owned())
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Signature, String> {
        Signature::of(&syn::parse_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_four_shapes() {
        for (text, takes_task, takes_input) in [
            ("fn f() {}", false, false),
            ("async fn f(task: &Task) {}", true, false),
            ("fn f(input: Resize) {}", false, true),
            ("fn f<'a>(task: &'a Task, Pair(a, b): Pair) -> u8 { 1 }", true, true),
        ] {
            let signature = of(text).unwrap();
            assert_eq!(signature.takes_task, takes_task, "{text}");
            assert_eq!(signature.input.is_some(), takes_input, "{text}");
            assert_eq!(signature.is_async, text.starts_with("async"), "{text}");
        }
    }

    #[test]
    fn an_input_may_be_lent() {
        for (taken, read) in [
            ("&str", ":: std :: string :: String"),
            ("&[u8]", ":: std :: vec :: Vec < u8 >"),
            ("&Resize", "Resize"),
        ] {
            let signature = of(&format!("fn f(task: &Task, input: {taken}) {{}}")).unwrap();
            assert!(signature.borrows_input, "{taken}");
            let input = signature.input.unwrap();
            assert_eq!(quote::quote!(#input).to_string(), read);
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        for (text, said) in [
            ("fn f(a: A, b: B) {}", "an operation takes"),
            ("fn f(task: &Task, a: A, b: B) {}", "an operation takes"),
            ("fn f(task: &mut Task) {}", "a task is taken as `&Task`"),
            ("fn f<T>(input: T) {}", "no generic parameters"),
            ("fn f(input: impl Read) {}", "names the type of its input"),
            ("fn f() -> impl Display { 1 }", "names the type that it returns"),
            ("unsafe fn f() {}", "not `unsafe`"),
            ("fn f(&self) {}", "not a method"),
        ] {
            let error = of(text).err().unwrap();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn the_first_line_of_the_documentation() {
        let text = "/// Makes it smaller.\n/// Much.\nfn f() {}";
        assert_eq!(of(text).unwrap().about, "Makes it smaller.");
    }
}
