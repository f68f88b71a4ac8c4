//! Judges a history from the write logs of the sides, never from what the worker says of itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Field, Native, Natives, Value};
use crate::reconcile::Conflicts;
use crate::translate::Reading;

use super::profile::Pairing;
use super::side::{Actor, is_closed};
use super::world::World;

/// What a history broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

/// Everything that a finished history broke.
pub fn judge(world: &World) -> Vec<Violation> {
    let mut found = Vec::new();
    if world.pending() > 0 {
        found.push(Violation(format!("{} intents are left after the rest", world.pending())));
    }
    if world.dead() > 0 {
        found.push(Violation(format!("{} intents were given up", world.dead())));
    }
    for side in &world.sides {
        let copies = side.records.keys().filter(|id| world.clones.contains(*id)).count();
        let main = side.records.len() - side.alerts.len() - copies;
        let unopened = |incident: &usize| side.name == world.sides[1].name && is_unopened(world, *incident);
        let incidents = world.pairs.len() - (0..world.pairs.len()).filter(unopened).count();
        if main != incidents {
            found.push(Violation(format!("{} has {main} records for {incidents} incidents", side.name)));
        }
    }
    clones(world, &mut found);
    alerts(world, &mut found);
    for incident in 0..world.pairs.len() {
        if world.is_merged(incident) {
            merged(world, incident, &mut found);
            continue;
        }
        if is_unopened(world, incident) {
            continue;
        }
        agreement(world, incident, &mut found);
        last_word(world, incident, &mut found);
        comments(world, incident, &mut found);
        writes(world, incident, &mut found);
    }
    found
}

/// Whether an incident was closed before its other record was created, and so has none.
fn is_unopened(world: &World, incident: usize) -> bool {
    let creates = matches!(world.profile.pairing, Pairing::Created | Pairing::Tickets);
    let [incident, other] = [0, 1].map(|side| world.sides[side].current(&world.pairs[incident][side]));
    creates && other.is_none() && incident.is_some_and(|version| is_closed(&version.native))
}

/// A copied ticket is not ours.
fn clones(world: &World, found: &mut Vec<Violation>) {
    for entry in &world.sides[1].log {
        if entry.actor == Actor::Worker && world.clones.contains(&entry.record) {
            found.push(Violation(format!("a write to the copied ticket {}: {entry:?}", entry.record)));
        }
    }
}

/// Alerts follow their incident by themselves, whichever that is by now.
fn alerts(world: &World, found: &mut Vec<Violation>) {
    for side in &world.sides {
        for entry in
            side.log.iter().filter(|e| e.actor == Actor::Worker && side.alerts.contains_key(&e.record))
        {
            found.push(Violation(format!("a write to alert {}: {:?}", entry.record, entry.fields)));
        }
    }
}

/// The record that is left over from a merged incident is closed; the merged incident itself says `redirected`.
fn merged(world: &World, incident: usize, found: &mut Vec<Violation>) {
    let [gone, left] = [0, 1].map(|side| world.sides[side].current(&world.pairs[incident][side]));
    // Where the later word wins, a person who set the status at the same time has it.
    let edits = world.human.iter().filter(|e| e.incident == incident && e.side == 1);
    let last = edits.filter_map(|edit| edit.fields.get(&Field::Status)).next_back();
    let later = world.profile.conflicts == Conflicts::Latest
        && last.is_some_and(|said| left.and_then(|v| v.native.get(&Field::Status)) == Some(said));
    if !later && left.is_none_or(|version| !is_closed(&version.native)) {
        found.push(Violation(format!("incident {incident} was merged, and its other record was left open")));
    }
    let status = gone.and_then(|version| version.native.get(&Field::Status));
    // Defender takes writes without condition, so a stale read before one is as good as none.
    if world.profile.stale == 0.0 && status != Some(&Native::Text("redirected".to_owned())) {
        found
            .push(Violation(format!("incident {incident} was merged, and then given the status {status:?}")));
    }
}

/// After the rest both sides say the same.
fn agreement(world: &World, incident: usize, found: &mut Vec<Violation>) {
    let ids = &world.pairs[incident];
    let [Some(a), Some(b)] = [0, 1].map(|side| world.sides[side].current(&ids[side])) else {
        found.push(Violation(format!("incident {incident} lacks a record")));
        return;
    };
    for field in Field::ALL {
        if is_untouched(world, field, &b.native) {
            continue;
        }
        let verdict_hidden = field == Field::Verdict && !is_closed(&b.native);
        let [Some(left), Some(right)] = [a.native.get(&field), b.native.get(&field)] else { continue };
        if !verdict_hidden && !same_meaning(world, field, left, right) {
            found.push(Violation(format!("incident {incident}: {field} is {left} here and {right} there")));
        }
    }
}

/// Where only one side edited a field nothing was concurrent, so its last edit stands there.
fn last_word(world: &World, incident: usize, found: &mut Vec<Violation>) {
    for field in Field::ALL.into_iter().filter(|field| *field != Field::Verdict) {
        let mut edits =
            world.human.iter().filter(|e| e.incident == incident && e.fields.contains_key(&field));
        let sides: BTreeSet<usize> = edits.clone().map(|edit| edit.side).collect();
        let Some(last) = edits.next_back().filter(|_| sides.len() == 1) else { continue };
        let current = world.sides[last.side].current(&world.pairs[incident][last.side]);
        let (said, stands) = (&last.fields[&field], current.and_then(|version| version.native.get(&field)));
        if stands != Some(said) {
            found.push(Violation(format!(
                "incident {incident}: {field} was last set to {said}, and is {stands:?}"
            )));
        }
    }
}

/// A closed ticket is not touched for anything but its status and verdict.
fn is_untouched(world: &World, field: Field, ticket: &Natives) -> bool {
    let closed = world.profile.pairing == Pairing::Tickets && is_closed(ticket);
    closed && !matches!(field, Field::Status | Field::Verdict)
}

fn same_meaning(world: &World, field: Field, left: &Native, right: &Native) -> bool {
    let read = |side: usize, native| match world.tables[side].read(world.main_kind(side), field, native) {
        Reading::Known(value) => Some(value),
        Reading::Unknown(_) => None,
    };
    match (read(0, left), read(1, right)) {
        // Sentinel knows no determinations, so only the classification can agree.
        (Some(Value::Verdict(l)), Some(Value::Verdict(r))) => l.classification() == r.classification(),
        (l, r) => l == r,
    }
}

/// Each comment of a person is on the other side exactly once, and on its own side once.
fn comments(world: &World, incident: usize, found: &mut Vec<Violation>) {
    if world.profile.pairing == Pairing::NativeSync {
        return;
    }
    for edit in world.human.iter().filter(|e| e.incident == incident) {
        let Some(text) = &edit.comment else { continue };
        for side in 0..2 {
            let current = world.sides[side].current(&world.pairs[incident][side]);
            let count = current.map_or(0, |v| v.comments.iter().filter(|c| c.text.contains(text)).count());
            if count != 1 {
                found.push(Violation(format!("comment `{text}` is {count} times on side {side}")));
            }
        }
    }
}

/// No write without a cause, and not more writes than edits.
fn writes(world: &World, incident: usize, found: &mut Vec<Violation>) {
    let edits = |side: usize| {
        world.human.iter().filter(move |e| e.incident == incident && e.side == side && e.comment.is_none())
    };
    for side in 0..2 {
        let id = &world.pairs[incident][side];
        let log = world.sides[side].log.iter().filter(|e| e.record == *id && e.actor == Actor::Worker);
        let steps = world.half_way.get(id).copied().unwrap_or(0);
        let written: Vec<_> = log.filter(|e| !e.fields.is_empty()).skip(steps).collect();
        let created = world.sides[side].log.iter().filter(|e| e.record == *id && e.created).count();
        if created != 1 {
            found.push(Violation(format!("record {id} was created {created} times")));
        }
        if world.profile.pairing == Pairing::NativeSync && !written.is_empty() {
            found.push(Violation(format!(
                "{} writes to {id} although native sync carries them",
                written.len()
            )));
        }
        let most = edits(0).count() + edits(1).count() + world.unknowns;
        let limit = if world.profile.sequential { needed(world, incident, side) } else { most };
        if written.len() > limit {
            found.push(Violation(format!("{} effective writes to {id}, {limit} at most", written.len())));
        }
        if world.profile.sequential && world.profile.pairing != Pairing::NativeSync && written.len() < limit {
            found.push(Violation(format!(
                "{} effective writes to {id}, {limit} edits needed one",
                written.len()
            )));
        }
    }
}

/// How many edits of the other side needed a write here, played through one after the other.
fn needed(world: &World, incident: usize, side: usize) -> usize {
    let mut fields: [BTreeMap<Field, Native>; 2] = [0, 1].map(|s| {
        world.sides[s].records[&world.pairs[incident][s]]
            .first()
            .map(|v| v.native.clone())
            .unwrap_or_default()
    });
    let mut count = 0;
    for edit in world.human.iter().filter(|e| e.incident == incident && e.comment.is_none()) {
        let other = 1 - edit.side;
        let was_closed = is_closed(&fields[edit.side]);
        fields[edit.side].extend(edit.fields.clone());
        if edit.side == 1 && was_closed && !is_closed(&fields[1]) {
            count += usize::from(catch_up(world, &mut fields, &edit.fields) && side == 1);
        }
        let mut lacking = Vec::new();
        for (field, native) in &edit.fields {
            let Reading::Known(value) =
                world.tables[edit.side].read(world.main_kind(edit.side), *field, native)
            else {
                continue;
            };
            let there = fields[other].get(field).cloned().unwrap_or(Native::Empty);
            if !world.tables[other].satisfies(world.main_kind(other), &there, &value) {
                lacking.push((*field, value));
            }
        }
        let closing = lacking.iter().any(|(_, v)| v.is_closed());
        let open = !is_closed(&fields[other]) && !closing;
        lacking.retain(|(field, _)| !(other == 1 && *field == Field::Verdict && open));
        let reopens = lacking.iter().any(|(field, value)| *field == Field::Status && !value.is_closed());
        if other == 1 && !reopens {
            lacking.retain(|(field, _)| !is_untouched(world, *field, &fields[1]));
        }
        if lacking.is_empty() {
            continue;
        }
        if other == 1 && reopens && world.profile.pairing == Pairing::Tickets {
            // What the closed ticket was spared comes with the reopening.
            lacking = fields[0]
                .iter()
                .filter(|(f, _)| **f != Field::Verdict)
                .filter_map(|(f, n)| match world.tables[0].read(world.main_kind(0), *f, n) {
                    Reading::Known(value) => Some((*f, value)),
                    Reading::Unknown(_) => None,
                })
                .collect();
        }
        for (field, value) in lacking {
            let native = world.tables[other].write(world.main_kind(other), &value).unwrap_or(Native::Empty);
            fields[other].insert(field, native);
        }
        if closing && other == 1 {
            let verdict = fields[0].get(&Field::Verdict).and_then(|native| carried(world, native));
            fields[1].insert(Field::Verdict, verdict.unwrap_or(Native::Empty));
        }
        count += usize::from(other == side);
    }
    count
}

/// Somebody reopened a ticket: what it was spared while it was closed comes to it now. Returns whether there was any.
fn catch_up(world: &World, fields: &mut [Natives; 2], edited: &Natives) -> bool {
    let mut any = false;
    let [incident, ticket] = fields;
    let spared =
        incident.iter().filter(|(field, _)| **field != Field::Verdict && !edited.contains_key(field));
    for (field, native) in spared {
        let Reading::Known(value) = world.tables[0].read(world.main_kind(0), *field, native) else {
            continue;
        };
        let there = ticket.get(field).cloned().unwrap_or(Native::Empty);
        if field == &Field::Status || world.tables[1].satisfies(world.main_kind(1), &there, &value) {
            continue;
        }
        let written = world.tables[1].write(world.main_kind(1), &value).unwrap_or(Native::Empty);
        ticket.insert(*field, written);
        any = true;
    }
    any
}

/// What a Defender verdict becomes in Sentinel.
fn carried(world: &World, native: &Native) -> Option<Native> {
    match world.tables[0].read(world.main_kind(0), Field::Verdict, native) {
        Reading::Known(value) => world.tables[1].write(world.main_kind(1), &value),
        Reading::Unknown(_) => None,
    }
}
