//! What the services do: execute a request, and answer it.

use super::checker::Broken;
use super::faults::Planted;
use super::messages::{Body, Write};
use super::properties;
use super::protocol::{Protocol, State};
use super::world::{Flavour, Item, Version, What};

impl Protocol {
    /// Whether the answer to a write is a read of its own, which may be late or early.
    pub(crate) fn reads_after(&self, write: &Write) -> bool {
        self.scenario.flavours[write.side] == Flavour::Ticket && matches!(write.body, Body::Fields(_))
    }

    /// Which versions an answer may state.
    pub(crate) fn answers(&self, state: &State, write: &Write, landed: Option<i8>) -> Vec<Option<i8>> {
        let Some(landed) = landed else { return vec![None] };
        match (self.scenario.flavours[write.side], write.body) {
            (Flavour::Sentinel | Flavour::Ticket, Body::Comment(_)) => vec![None],
            _ if self.reads_after(write) => {
                let record = &state.records[write.side];
                (record.settled.max(0)..=record.newest()).map(Some).collect()
            }
            _ => vec![Some(landed)],
        }
    }

    /// The service executes a request: the state after it, the version it led to (none for a conflict).
    pub(crate) fn land(&mut self, from: &State, write: &Write) -> (State, Option<i8>, Option<Broken>) {
        let (mut state, flavour) = (from.clone(), self.scenario.flavours[write.side]);
        let (side, newest) = (write.side, from.records[write.side].newest());
        let guarded = flavour == Flavour::Sentinel && !self.plants(Planted::NoGuard);
        if guarded && matches!(write.body, Body::Fields(_)) && write.guard != newest {
            return (state, None, None);
        }
        let before = state.records[side].now();
        let mut after = before.unwrap_or_default();
        let mut broken = None;
        match write.body {
            Body::Fields(said) => write_fields(&mut after, said),
            Body::Create(said) if before.is_none() => write_fields(&mut after, said),
            Body::Create(_) if flavour == Flavour::Ticket => broken = Some(properties::second_record()),
            Body::Create(_) => {}
            Body::Comment(item) if after.notes & (1 << (8 + item)) != 0 => {
                broken = (flavour != Flavour::Sentinel).then(|| properties::second_copy(item));
            }
            Body::Comment(item) => after.notes |= 1 << (8 + item),
        }
        if before != Some(after) {
            let (menu, guarded) = (&self.scenario.menu, flavour == Flavour::Sentinel);
            let change = (before.unwrap_or_default(), after);
            let judged = state.ghost.wrote(menu, side, change, guarded, &mut self.windows);
            state.records[side].versions.push(after);
            broken = broken.or(judged.err());
        }
        let place = state.records[side].newest();
        (state, Some(place), broken)
    }
}

fn write_fields(version: &mut Version, said: [Option<u8>; 2]) {
    for (value, said) in version.values.iter_mut().zip(said) {
        *value = said.unwrap_or(*value);
    }
}

/// The record after a person's edit, if that changes anything.
pub(crate) fn edited(now: Version, at: usize, item: Item) -> Option<Version> {
    let mut after = now;
    match item.what {
        What::Set(field, to) => after.values[field] = to,
        What::Comment => after.notes |= 1 << at,
    }
    (after != now).then_some(after)
}
