//! The operations of this program: what `#[operation]` notes of each, and the table of all.

use std::collections::HashMap;
use std::pin::Pin;

use rework_wire::operation::{Definition, Form, Limits};
use serde_json::Value;

use crate::output::Outcome;
use crate::{Error, Task};

/// One operation, as `#[operation]` notes it.
#[derive(Debug)]
pub struct Operation {
    /// Its domain.
    pub domain: &'static str,
    /// Its name, unique in the domain.
    pub name: &'static str,
    /// The first line of its documentation.
    pub about: &'static str,
    /// Where it is written: file and line.
    pub place: &'static str,
    /// Its limits.
    pub limits: Limits,
    /// The schema of its input, where it takes one.
    pub input: Option<fn() -> Option<Value>>,
    /// What its output is, and its schema.
    pub output: fn() -> (Form, Option<Value>),
    /// Its function.
    pub call: Call,
}

inventory::collect!(Operation);

/// How an operation is called: on this thread, or by a runtime.
pub enum Call {
    /// A plain function.
    Plain(fn(&Task) -> Outcome),
    /// An `async` one. Its future stays on the thread that awaits it.
    Async(for<'a> fn(&'a Task) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>),
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Call::Plain(_) => "Plain",
            Call::Async(_) => "Async",
        })
    }
}

impl Operation {
    /// Its input is bytes of no known form.
    pub(crate) fn takes_bytes(&self) -> bool {
        self.input.is_some_and(|schema| schema().is_none())
    }

    /// As it is registered.
    pub(crate) fn definition(&self) -> Definition {
        let (output_form, output) = (self.output)();
        Definition {
            domain: self.domain.to_owned(),
            name: self.name.to_owned(),
            input: self.input.and_then(|schema| schema()),
            output,
            output_form,
            limits: self.limits.clone(),
        }
    }
}

/// All operations of this program, in the order of their domains and names.
#[derive(Debug)]
pub(crate) struct Operations {
    sorted: Vec<&'static Operation>,
    by_name: HashMap<(&'static str, &'static str), &'static Operation>,
}

impl Operations {
    /// Those of the program, or a sentence that names two of the same name.
    pub(crate) fn of_this_program() -> Result<Operations, String> {
        Operations::of(inventory::iter::<Operation>)
    }

    fn of(all: impl IntoIterator<Item = &'static Operation>) -> Result<Operations, String> {
        let mut sorted: Vec<_> = all.into_iter().collect();
        sorted.sort_by_key(|operation| (operation.domain, operation.name, operation.place));
        for pair in sorted.windows(2) {
            if let [a, b] = pair
                && (a.domain, a.name) == (b.domain, b.name)
            {
                return Err(format!(
                    "two operations of this program are called `{}` in domain `{}`: {} and {}",
                    a.name, a.domain, a.place, b.place
                ));
            }
        }
        let by_name = sorted.iter().map(|o| ((o.domain, o.name), *o)).collect();
        Ok(Operations { sorted, by_name })
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Operation> {
        self.sorted.iter().copied()
    }

    /// The one that a run names. The error's kind is `load`.
    pub(crate) fn find(&self, domain: &str, name: &str) -> Result<&'static Operation, Error> {
        self.by_name.get(&(domain, name)).copied().ok_or_else(|| {
            let message =
                format!("this program has no operation `{name}` in domain `{domain}` any more");
            Error::of(rework_wire::runner::Failure::LOAD.into(), message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn named(domain: &'static str, name: &'static str, place: &'static str) -> Operation {
        Operation {
            domain,
            name,
            about: "",
            place,
            limits: Limits {
                timeout_ms: None,
                memory_bytes: None,
                attempts: 1,
                grace_ms: Limits::GRACE_MS,
                retry_lost: false,
                priority: 0,
                concurrency: 1,
            },
            input: None,
            output: || (Form::Json, None),
            call: Call::Plain(|_| Ok(None)),
        }
    }

    static RESIZE: Operation = named("images", "resize", "src/a.rs:1");
    static OTHER_DOMAIN: Operation = named("videos", "resize", "src/a.rs:2");
    static AGAIN: Operation = named("images", "resize", "src/b.rs:3");

    #[test]
    fn a_name_is_unique_in_its_domain() {
        assert_eq!(Operations::of([&RESIZE, &OTHER_DOMAIN]).unwrap().iter().count(), 2);
        let error = Operations::of([&AGAIN, &OTHER_DOMAIN, &RESIZE]).unwrap_err();
        let said = "two operations of this program are called `resize` in domain `images`: \
                    src/a.rs:1 and src/b.rs:3";
        assert_eq!(error, said);
    }

    #[test]
    fn an_unknown_operation_cannot_be_loaded() {
        let error = Operations::of([&RESIZE]).unwrap().find("videos", "resize").unwrap_err();
        assert_eq!(error.kind(), "load");
    }
}
