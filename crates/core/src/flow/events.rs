//! Tells what happened in a flow as a sequence of events, in the words and the order of `TaskFlow`, a library for
//! Python: `FLOW=RUNNING a=RUNNING a=SUCCESS … FLOW=SUCCESS`. Nothing stores this sequence: it follows from the rows of
//! the flow and the times of its tasks. `events/runs.rs` lists what steps did, `events/builder.rs` finds the causes of
//! each event, and `events/causes.rs` puts the events in order.

mod builder;
mod causes;
mod made;
mod runs;

use std::fmt;

use serde::Serialize;

use crate::flow::show::FlowPage;

/// A change of the state of the flow, of a step, or of a controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowEvent {
    /// `FLOW`, the name of a step, or the name of a pattern with `_retry` for its controller.
    pub name: String,
    /// The new state, such as `RUNNING`.
    pub state: &'static str,
}

impl fmt::Display for FlowEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.state)
    }
}

/// Returns the events of a flow. `page` has everything that belongs to it. Earlier plans of the same flow are left out.
pub fn events(page: &FlowPage) -> Vec<FlowEvent> {
    builder::causes(page).in_order()
}

#[cfg(test)]
mod tests;
