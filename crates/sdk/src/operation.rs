//! The operations of this program: what `#[operation]` and the attributes of flows record of each, and the table of all
//! of them.

use std::collections::HashMap;
use std::pin::Pin;

use rework_wire::operation::{Definition, Form, Limits};
use rework_wire::retry_policy::RetryPolicy;
use serde_json::Value;

use crate::available::Check;
use crate::output::Outcome;
use crate::{Error, Task};

/// One operation, as `#[operation]` or an attribute of flows records it.
#[derive(Debug)]
pub struct Operation {
    /// The domain of the operation.
    pub domain: &'static str,
    /// The name of the operation, unique in its domain.
    pub name: &'static str,
    /// The first line of the function's doc comment. Empty if there is none.
    pub about: &'static str,
    /// The source location of the function, such as `src/main.rs:12`.
    pub location: &'static str,
    /// The limits of a run, without the retry policy.
    pub limits: Limits,
    /// A function that returns the retry policy. `None` if the operation declares none.
    pub retry: Option<fn() -> RetryPolicy>,
    /// A function that returns the JSON Schema of the input, or `None` for raw bytes. `None` if the operation takes no
    /// input.
    pub input: Option<fn() -> Option<Value>>,
    /// A function that returns the form of the output and its JSON Schema, or `None` for raw bytes
    /// and for null.
    pub output: fn() -> (Form, Option<Value>),
    /// The function to call for a run.
    pub call: Call,
    /// The check that answers whether this host can run the operation now. `None` if it always can.
    pub available: Option<Check>,
    /// The operations of which a task follows each task of this one that is done.
    pub run_after: &'static [&'static str],
    /// The operations of which a task is scheduled with each task of this one, which waits for their ends.
    pub run_before: &'static [&'static str],
    /// The operations of which a task follows each task of this one that failed or was lost.
    pub on_failure: &'static [&'static str],
    /// Whether the function returns the plan of a flow.
    pub is_flow: bool,
}

inventory::collect!(Operation);

/// The function of an operation, and how it is called.
pub enum Call {
    /// A plain function, called on the executing thread.
    Plain(fn(&Task) -> Outcome),
    /// An `async` function. Its future is polled on the executing thread only, so it need not be `Send`.
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
    /// Returns whether the input is raw bytes, not JSON.
    pub(crate) fn takes_bytes(&self) -> bool {
        self.input.is_some_and(|schema| schema().is_none())
    }

    /// Returns the definition with which the operation is registered.
    pub(crate) fn definition(&self) -> Definition {
        let (output_form, output) = (self.output)();
        let owned = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        Definition {
            domain: self.domain.to_owned(),
            name: self.name.to_owned(),
            input: self.input.and_then(|schema| schema()),
            output,
            output_form,
            limits: Limits { retry: self.retry.map(|policy| policy()), ..self.limits.clone() },
            available: self.available.as_ref().map(|check| check.name.to_owned()),
            run_after: owned(self.run_after),
            run_before: owned(self.run_before),
            on_failure: owned(self.on_failure),
            is_flow: self.is_flow,
        }
    }
}

/// All operations of this program, ordered by domain and name.
#[derive(Debug)]
pub(crate) struct Operations {
    sorted: Vec<&'static Operation>,
    by_name: HashMap<(&'static str, &'static str), &'static Operation>,
}

impl Operations {
    /// Collects the operations of this program. `Err` with a message if two of one domain have the same name.
    pub(crate) fn of_this_program() -> Result<Operations, String> {
        Operations::new(inventory::iter::<Operation>)
    }

    fn new(all: impl IntoIterator<Item = &'static Operation>) -> Result<Operations, String> {
        let mut sorted: Vec<_> = all.into_iter().collect();
        // Also by location, so that the message below is the same each time.
        sorted.sort_by_key(|operation| (operation.domain, operation.name, operation.location));
        for pair in sorted.windows(2) {
            if let [a, b] = pair
                && (a.domain, a.name) == (b.domain, b.name)
            {
                return Err(format!(
                    "two operations of this program are called `{}` in domain `{}`: {} and {}",
                    a.name, a.domain, a.location, b.location
                ));
            }
        }
        let by_name = sorted.iter().map(|o| ((o.domain, o.name), *o)).collect();
        Ok(Operations { sorted, by_name })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Operation> {
        self.sorted.iter().copied()
    }

    /// Returns the operation that a run names. `Err` with kind `load` if this program does not have it, for example
    /// because it was built anew since the operation was registered.
    pub(crate) fn find(&self, domain: &str, name: &str) -> Result<&'static Operation, Error> {
        self.by_name.get(&(domain, name)).copied().ok_or_else(|| {
            let message =
                format!("this program has no operation `{name}` in domain `{domain}` any more");
            Error::with_kind(rework_wire::runner::Failure::LOAD.into(), message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn operation(
        domain: &'static str,
        name: &'static str,
        location: &'static str,
    ) -> Operation {
        Operation {
            domain,
            name,
            about: "",
            location,
            limits: Limits {
                timeout_ms: None,
                memory_bytes: None,
                attempts: 1,
                grace_ms: Limits::DEFAULT_GRACE_MS,
                retry_lost: false,
                priority: 0,
                concurrency: 1,
                retry: None,
            },
            retry: None,
            input: None,
            output: || (Form::Json, None),
            call: Call::Plain(|_| Ok(None)),
            available: None,
            run_after: &[],
            run_before: &[],
            on_failure: &[],
            is_flow: false,
        }
    }

    static RESIZE: Operation = operation("images", "resize", "src/a.rs:1");
    static OTHER_DOMAIN: Operation = operation("videos", "resize", "src/a.rs:2");
    static DUPLICATE: Operation = operation("images", "resize", "src/b.rs:3");

    #[test]
    fn a_name_is_unique_in_its_domain() {
        assert_eq!(Operations::new([&RESIZE, &OTHER_DOMAIN]).unwrap().iter().count(), 2);
        let error = Operations::new([&DUPLICATE, &OTHER_DOMAIN, &RESIZE]).unwrap_err();
        let expected = "two operations of this program are called `resize` in domain `images`: \
                        src/a.rs:1 and src/b.rs:3";
        assert_eq!(error, expected);
    }

    #[test]
    fn an_unknown_operation_cannot_be_loaded() {
        let error = Operations::new([&RESIZE]).unwrap().find("videos", "resize").unwrap_err();
        assert_eq!(error.kind(), "load");
    }
}
