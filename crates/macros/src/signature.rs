//! Reads the signature of an operation's function: what it takes and what it returns. A macro sees only the text of a
//! type, so whether the type has the necessary traits is checked by the compiler, in the generated code.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, FnArg, GenericParam, ItemFn, Lit, Meta, ReturnType, Type, parse_quote};

use crate::role::Role;

/// The parts of a function that decide how it is called.
pub(crate) struct Signature {
    /// Whether the function is `async`.
    pub(crate) is_async: bool,
    /// Whether the first parameter is the task.
    pub(crate) takes_task: bool,
    /// The type that the input is read as. `None` if the function takes no input.
    pub(crate) input: Option<Type>,
    /// Whether the function takes the input by reference.
    pub(crate) borrows_input: bool,
    /// The return type.
    pub(crate) output: Type,
    /// The first line of the doc comment. Empty if there is none.
    pub(crate) about: String,
}

impl Signature {
    /// Reads the signature of a function. `Err` if the function cannot be an operation.
    pub(crate) fn parse(role: Role, function: &ItemFn) -> syn::Result<Signature> {
        let signature = &function.sig;
        if let Some(token) = &signature.unsafety {
            return Err(refused(role, token, "cannot be `unsafe`"));
        }
        if let Some(generic) =
            signature.generics.params.iter().find(|p| !matches!(p, GenericParam::Lifetime(_)))
        {
            return Err(refused(role, generic, "cannot have generic parameters"));
        }
        let parameters: Vec<&Type> = signature
            .inputs
            .iter()
            .map(|parameter| parameter_type(role, parameter))
            .collect::<syn::Result<_>>()?;
        let (takes_task, input) = match parameters[..] {
            [] => (false, None),
            [input @ Type::Reference(reference)] if role.borrows_only_parameter(reference) => {
                (false, Some(input))
            }
            // A single reference is the task: an input can be borrowed only after the task.
            [Type::Reference(_)] => (true, None),
            [input] => (false, Some(input)),
            [Type::Reference(_), input] => (true, Some(input)),
            _ => {
                let expected =
                    format!("takes `{}`, only one of the two, or nothing", role.parameters());
                return Err(refused(role, &signature.inputs, &expected));
            }
        };
        Ok(Signature {
            is_async: signature.asyncness.is_some(),
            takes_task,
            input: input.map(owned),
            borrows_input: matches!(input, Some(Type::Reference(_))),
            output: output_type(role, &signature.output)?,
            about: about(function),
        })
    }

    /// Returns where the compiler shows an error about the type of the input.
    pub(crate) fn input_span(&self) -> Span {
        self.input.as_ref().map_or_else(Span::call_site, Spanned::span)
    }
}

/// Returns the owned type that an input is read as before it is borrowed: `String` for `&str`, `Vec<T>` for `&[T]`.
fn owned(parameter: &Type) -> Type {
    let Type::Reference(reference) = parameter else { return parameter.clone() };
    match &*reference.elem {
        Type::Path(path) if path.path.is_ident("str") => parse_quote!(::std::string::String),
        Type::Slice(slice) => {
            let item = &slice.elem;
            parse_quote!(::std::vec::Vec<#item>)
        }
        borrowed => borrowed.clone(),
    }
}

/// Makes the error for a function that cannot have its role. `problem` follows the name of the role.
fn refused(role: Role, tokens: &impl Spanned, problem: &str) -> syn::Error {
    syn::Error::new(tokens.span(), format!("{} {problem}", role.with_article()))
}

fn parameter_type(role: Role, parameter: &FnArg) -> syn::Result<&Type> {
    let typed = match parameter {
        FnArg::Typed(typed) => &*typed.ty,
        FnArg::Receiver(receiver) => return Err(refused(role, receiver, "cannot be a method")),
    };
    match typed {
        Type::Reference(reference) if reference.mutability.is_some() => {
            Err(syn::Error::new(reference.span(), "the task must be taken as `&Task`"))
        }
        Type::ImplTrait(unnamed) => {
            Err(refused(role, unnamed, "must name the type of its input, not `impl Trait`"))
        }
        _ => Ok(typed),
    }
}

fn output_type(role: Role, output: &ReturnType) -> syn::Result<Type> {
    match output {
        ReturnType::Default => Ok(parse_quote!(())),
        ReturnType::Type(_, named) if matches!(**named, Type::ImplTrait(_)) => {
            Err(refused(role, named, "must name the type that it returns, not `impl Trait`"))
        }
        ReturnType::Type(_, named) => Ok((**named).clone()),
    }
}

/// Returns the first line of the doc comment that is not empty. The compiler turns each line into `#[doc = "…"]`.
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

    fn parse(text: &str) -> Result<Signature, String> {
        parse_of(Role::Operation, text)
    }

    fn parse_of(role: Role, text: &str) -> Result<Signature, String> {
        Signature::parse(role, &syn::parse_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn task_and_input_are_both_optional() {
        for (text, takes_task, takes_input) in [
            ("fn f() {}", false, false),
            ("async fn f(task: &Task) {}", true, false),
            ("fn f(input: Resize) {}", false, true),
            ("fn f<'a>(task: &'a Task, Pair(a, b): Pair) -> u8 { 1 }", true, true),
        ] {
            let signature = parse(text).unwrap();
            assert_eq!(signature.takes_task, takes_task, "{text}");
            assert_eq!(signature.input.is_some(), takes_input, "{text}");
            assert_eq!(signature.is_async, text.starts_with("async"), "{text}");
        }
    }

    #[test]
    fn an_input_may_be_borrowed_after_the_task() {
        for (parameter, expected) in [
            ("&str", ":: std :: string :: String"),
            ("&[u8]", ":: std :: vec :: Vec < u8 >"),
            ("&Resize", "Resize"),
        ] {
            let signature = parse(&format!("fn f(task: &Task, input: {parameter}) {{}}")).unwrap();
            assert!(signature.borrows_input, "{parameter}");
            let input = signature.input.unwrap();
            assert_eq!(quote::quote!(#input).to_string(), expected);
        }
    }

    #[test]
    fn an_operation_of_a_flow_may_borrow_its_only_parameter() {
        for (role, text, borrows_input) in [
            (Role::Controller, "fn f(history: &rework::History) -> Decision {}", true),
            (Role::Revert, "fn f(undo: &Undo<Size, Vm>) {}", true),
            (Role::Controller, "fn f(task: &rework::Task) -> Decision {}", false),
            (Role::Step, "fn f(input: &Size) {}", true),
            (Role::Operation, "fn f(task: &Job) {}", false),
        ] {
            let signature = parse_of(role, text).unwrap();
            assert_eq!(signature.borrows_input, borrows_input, "{text}");
            assert_eq!(signature.takes_task, !borrows_input, "{text}");
        }
    }

    #[test]
    fn other_signatures_are_refused() {
        for (text, expected) in [
            ("fn f(a: A, b: B) {}", "an operation takes"),
            ("fn f(task: &Task, a: A, b: B) {}", "an operation takes"),
            ("fn f(task: &mut Task) {}", "the task must be taken as `&Task`"),
            ("fn f<T>(input: T) {}", "cannot have generic parameters"),
            ("fn f(input: impl Read) {}", "must name the type of its input"),
            ("fn f() -> impl Display { 1 }", "must name the type that it returns"),
            ("unsafe fn f() {}", "cannot be `unsafe`"),
            ("fn f(&self) {}", "cannot be a method"),
        ] {
            let error = parse(text).err().unwrap();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = parse_of(Role::Revert, "fn f(a: A, b: B) {}").err().unwrap();
        assert!(error.starts_with("a revert takes `(task: &Task, undo: Undo<I, R>)`"), "{error}");
    }

    #[test]
    fn about_is_the_first_line_of_the_documentation() {
        let text = "/// Makes it smaller.\n/// Much.\nfn f() {}";
        assert_eq!(parse(text).unwrap().about, "Makes it smaller.");
    }
}
