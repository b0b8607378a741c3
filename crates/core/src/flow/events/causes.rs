//! Puts events in order: each after its causes, and otherwise by time.

use std::{cmp::Reverse, collections::BinaryHeap};

use chrono::{DateTime, Utc};

use super::FlowEvent;

/// Events with their causes.
#[derive(Debug, Default)]
pub(super) struct Causes {
    events: Vec<CausedEvent>,
}

/// An event, its time if one is recorded, and the indexes of the events that follow from it.
#[derive(Debug)]
struct CausedEvent {
    event: FlowEvent,
    at: DateTime<Utc>,
    effects: Vec<usize>,
}

impl Causes {
    /// Adds an event and returns its index. An event without a time comes right after its last cause.
    pub(super) fn add(
        &mut self,
        name: &str,
        state: &'static str,
        at: Option<DateTime<Utc>>,
    ) -> usize {
        let event = FlowEvent { name: name.to_owned(), state };
        let at = at.unwrap_or(DateTime::<Utc>::MIN_UTC);
        self.events.push(CausedEvent { event, at, effects: Vec::new() });
        self.events.len() - 1
    }

    /// Records that one event is a cause of another one.
    pub(super) fn connect(&mut self, cause: usize, effect: usize) {
        if let Some(event) = self.events.get_mut(cause).filter(|_| cause != effect) {
            event.effects.push(effect);
        }
    }

    /// Returns the events in their order. If causes are in a circle, because the rows were read while they changed, the
    /// events of the circle come last.
    pub(super) fn in_order(self) -> Vec<FlowEvent> {
        let mut causes_left = vec![0_usize; self.events.len()];
        for effect in self.events.iter().flat_map(|event| &event.effects) {
            if let Some(count) = causes_left.get_mut(*effect) {
                *count += 1;
            }
        }
        let mut times: Vec<DateTime<Utc>> = self.events.iter().map(|event| event.at).collect();
        let mut ready: BinaryHeap<Reverse<(DateTime<Utc>, usize)>> = BinaryHeap::new();
        let free = causes_left.iter().enumerate().filter(|(_, count)| **count == 0);
        ready.extend(free.map(|(index, _)| Reverse((times[index], index))));
        let mut order = Vec::with_capacity(self.events.len());
        while let Some(Reverse((at, index))) = ready.pop() {
            order.push(index);
            for &effect in &self.events[index].effects {
                times[effect] = times[effect].max(at);
                causes_left[effect] -= 1;
                if causes_left[effect] == 0 {
                    ready.push(Reverse((times[effect], effect)));
                }
            }
        }
        order.extend((0..self.events.len()).filter(|index| causes_left[*index] > 0));
        let mut events: Vec<Option<FlowEvent>> =
            self.events.into_iter().map(|event| Some(event.event)).collect();
        order.into_iter().filter_map(|index| events.get_mut(index)?.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_comes_before_its_effect_whatever_their_times() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        let mut causes = Causes::default();
        let late = causes.add("late", "RUNNING", at(9));
        let early = causes.add("early", "RUNNING", at(1));
        let timeless = causes.add("timeless", "PENDING", None);
        let between = causes.add("between", "RUNNING", at(5));
        causes.connect(late, timeless);
        causes.connect(between, early);
        let order: Vec<String> = causes.in_order().into_iter().map(|event| event.name).collect();
        assert_eq!(order, ["between", "early", "late", "timeless"]);
    }

    #[test]
    fn a_circle_loses_no_event() {
        let mut causes = Causes::default();
        let [a, b] = ["a", "b"].map(|name| causes.add(name, "RUNNING", None));
        causes.connect(a, b);
        causes.connect(b, a);
        assert_eq!(causes.in_order().len(), 2);
    }
}
