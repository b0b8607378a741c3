//! Why a flow has no plan.

/// The most steps of a flow. A nested pattern counts as two, because its plan has a gate at each end.
pub(crate) const MAX_STEPS: usize = 20_000;

/// The most edges of a flow: pairs of steps of which the second waits for the first.
pub(crate) const MAX_EDGES: usize = 200_000;

/// The most levels of patterns. A flow without nested patterns has one.
pub(crate) const MAX_LEVELS: usize = 16;

/// The most sources of all arguments and conditions of a flow.
pub(crate) const MAX_SOURCES: usize = 1_000_000;

/// The most bytes of a description, in MiB.
pub(crate) const MAX_DESCRIPTION_MIB: usize = 64;

/// The most names of a circle that its message lists.
const MAX_LISTED: usize = 10;

/// Why a flow has no plan. Each text is one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The output of the flow's code is JSON, but no description.
    #[error("the flow's code returned {what}, not a flow")]
    NotAFlow {
        /// The kind of the thing, with its article.
        what: &'static str,
    },
    /// The output of the flow's code is no JSON.
    #[error("the flow's code returned text that is no JSON: {0}")]
    NotJson(String),
    /// The description lacks a key, has an unknown one, or has a value of the wrong type.
    #[error("the description of the flow is wrong: {0}")]
    Malformed(String),
    /// The description is too large.
    #[error(
        "the description of a flow has at most {} MiB, this one has {mib}",
        MAX_DESCRIPTION_MIB
    )]
    TooLarge {
        /// Its size in MiB, rounded up.
        mib: usize,
    },
    /// The flow has too many steps.
    #[error("at most {} steps, this flow has {}", grouped(MAX_STEPS), grouped(*.count))]
    TooManySteps {
        /// The number of steps, where a nested pattern counts as two.
        count: usize,
    },
    /// The flow has too many edges.
    #[error("at most {} edges between steps, this flow has more", grouped(MAX_EDGES))]
    TooManyEdges,
    /// The flow has too many levels of patterns.
    #[error(
        "at most {} levels of patterns, this flow has {}",
        MAX_LEVELS,
        .levels.map_or("more".to_owned(), grouped)
    )]
    TooManyLevels {
        /// The number of levels. `None` if it is so large that they were not counted.
        levels: Option<usize>,
    },
    /// The arguments have too many sources.
    #[error(
        "at most {} sources of arguments, this flow has more: \
         too many steps provide values of the same name",
        grouped(MAX_SOURCES)
    )]
    TooManySources,
    /// A text cannot be a name.
    #[error("`{name}` cannot be {what}: {reason}")]
    Name {
        /// The kind of thing that it should be the name of.
        what: &'static str,
        /// The text, shortened.
        name: String,
        /// Why it cannot be a name.
        reason: &'static str,
    },
    /// Two steps have the same name.
    #[error("two steps are called `{name}`")]
    StepTwice {
        /// The name.
        name: String,
    },
    /// Two items of one pattern have the same name.
    #[error("two items of `{pattern}` are called `{name}`")]
    ItemTwice {
        /// The name of the pattern.
        pattern: String,
        /// The name of the items.
        name: String,
    },
    /// A pattern that is no graph has links.
    #[error("`{pattern}` has links, and only a graph can have them")]
    LinksOutsideGraph {
        /// The name of the pattern.
        pattern: String,
    },
    /// A step of a pattern that is no graph has `after`.
    #[error("step `{step}` has `after`, which is only possible in a graph")]
    AfterOutsideGraph {
        /// The name of the step.
        step: String,
    },
    /// A link or `after` names an item that the pattern does not have.
    #[error("`{pattern}` has no step or flow `{name}` to follow or to be followed{suggestion}")]
    NoItem {
        /// The name of the pattern.
        pattern: String,
        /// The name that no item has.
        name: String,
        /// The suggestion that ends the message. Empty if there is none.
        suggestion: String,
    },
    /// An item has more than one condition.
    #[error(
        "`{item}` has two conditions, and can have only one: \
         that of the step or that of one link to it"
    )]
    TwoConditions {
        /// The name of the item.
        item: String,
    },
    /// The number of attempts of a controller is out of range.
    #[error("the controller of `{pattern}` has {attempts} attempts: it needs 1 to 999,999,999")]
    Attempts {
        /// The name of the pattern.
        pattern: String,
        /// The number.
        attempts: u32,
    },
    /// An operation is not registered.
    #[error("{user} `{operation}`, which is not registered{suggestion}")]
    Unregistered {
        /// The part of the flow that needs the operation, with the verb: ``step `tell` runs``.
        user: String,
        /// The operation, as the description names it.
        operation: String,
        /// The suggestion that ends the message. Empty if there is none.
        suggestion: String,
    },
    /// Several domains have an operation, and the flow's own domain has not.
    #[error("{user} `{operation}`, which several domains have: write {choices}")]
    SeveralDomains {
        /// The part of the flow that needs the operation, with the verb.
        user: String,
        /// The operation, as the description names it.
        operation: String,
        /// The names with their domains.
        choices: String,
    },
    /// An operation is a flow.
    #[error("{user} `{operation}`, which is a flow: flows within flows are not possible yet")]
    Nested {
        /// The part of the flow that needs the operation, with the verb.
        user: String,
        /// The operation, as the description names it.
        operation: String,
    },
    /// A step takes its whole input from one value, and has single arguments, too.
    #[error(
        "step `{step}` has `whole`, and single arguments (`requires`, `rebind`, `inject`), too: \
         leave one of them out"
    )]
    WholeAndArguments {
        /// The name of the step.
        step: String,
    },
    /// A step sets an argument that the input of its operation does not have.
    #[error(
        "step `{step}` sets the argument `{name}`, which `{operation}` does not have{suggestion}"
    )]
    UnknownArgument {
        /// The name of the step.
        step: String,
        /// The name of the argument.
        name: String,
        /// The operation, as the step names it.
        operation: String,
        /// The suggestion that ends the message. Empty if there is none.
        suggestion: String,
    },
    /// Nothing provides a value that is required.
    #[error("{user} requires `{name}`, which nothing before it provides{suggestion}")]
    Missing {
        /// The part of the flow that requires the value: ``step `attach` ``.
        user: String,
        /// The name of the value.
        name: String,
        /// The suggestion that ends the message. Empty if there is none.
        suggestion: String,
    },
    /// Nothing provides a value that the flow returns.
    #[error("the flow returns `{name}`, which nothing in it provides{suggestion}")]
    NotProvided {
        /// The name of the value.
        name: String,
        /// The suggestion that ends the message. Empty if there is none.
        suggestion: String,
    },
    /// Two items of which neither is before the other provide a value that is required.
    #[error("both {first} and {second} provide `{name}`, which {user}: rebind one")]
    Ambiguous {
        /// One of the items.
        first: String,
        /// Another of the items.
        second: String,
        /// The name of the value.
        name: String,
        /// The part of the flow that requires the value, with the verb: `` `need` requires``.
        user: String,
    },
    /// Some items wait for each other in a circle.
    #[error("in a circle: {}", circle(.0))]
    Circle(Vec<String>),
}

/// Writes the names of a circle. The first one ends it.
fn circle(names: &[String]) -> String {
    let mut listed: Vec<String> =
        names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    if names.len() > MAX_LISTED {
        listed.push("…".to_owned());
    }
    listed.extend(listed.first().cloned());
    listed.join(" → ")
}

/// Writes a number with commas: `20,000`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.char_indices() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_have_commas() {
        assert_eq!(
            [0, 999, 1_000, 20_000, 1_234_567].map(grouped).join(" "),
            "0 999 1,000 20,000 1,234,567"
        );
    }

    #[test]
    fn each_fault_is_a_sentence() {
        for (fault, expected) in [
            (Fault::NotAFlow { what: "a list" }, "the flow's code returned a list, not a flow"),
            (Fault::TooManySteps { count: 31_204 }, "at most 20,000 steps, this flow has 31,204"),
            (Fault::TooManyEdges, "at most 200,000 edges between steps, this flow has more"),
            (
                Fault::TooManyLevels { levels: Some(17) },
                "at most 16 levels of patterns, this flow has 17",
            ),
            (
                Fault::TooManyLevels { levels: None },
                "at most 16 levels of patterns, this flow has more",
            ),
            (Fault::StepTwice { name: "a".to_owned() }, "two steps are called `a`"),
            (Fault::Circle(vec!["p".to_owned(), "q".to_owned()]), "in a circle: `p` → `q` → `p`"),
        ] {
            assert_eq!(fault.to_string(), expected);
        }
    }

    #[test]
    fn a_large_circle_is_shortened() {
        let names: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        let text = Fault::Circle(names).to_string();
        assert!(text.starts_with("in a circle: `0` → `1` → "), "{text}");
        assert!(text.ends_with("`9` → … → `0`"), "{text}");
    }
}
