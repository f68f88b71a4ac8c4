//! Adoption: which mapping a record belongs to, and whether a new one begins with it.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::model::{
    Field, Lifecycle, MappingId, RecordId, RecordKind, RecordRef, Snapshot, SystemName, TICKET_KEY, Value,
};
use crate::translate::Reading;

use super::policy::Policy;

/// Namespace of the ids that we derive for records to be created.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c6f_636b_7374_6570_0000_0000_0000_0001);

/// Where an observed record belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To this mapping, which exists.
    Known(MappingId),
    /// A mapping begins.
    New(MappingId),
    /// To none, and why.
    Ignored(&'static str),
}

/// The name under which a missing record of a mapping is created: a client-chosen GUID (`sentinel.md` 1.4), or the key
/// inside a ticket. Derived, so that a rebuilt store finds the record instead of creating another. `generation` counts
/// the tickets that this one follows. A ticket's key also holds the bridge's scope, so that two tenants with equal
/// configurations can share one ticket system (`ticketing.md` F22).
pub fn derived_record(
    mapping: MappingId,
    system: &SystemName,
    generation: usize,
    policy: &Policy,
) -> RecordRef {
    let ticket = policy.main_kind(system) == RecordKind::Ticket;
    let mut name = format!("{mapping}/{system}");
    if ticket {
        name = format!("{name}/{generation}/{}", policy.scope);
    }
    let id = Uuid::new_v5(&NAMESPACE, name.as_bytes());
    let id = if ticket { format!("{TICKET_KEY}{}", id.simple()) } else { id.to_string() };
    // Neither is ever blank.
    let id = RecordId::new(&id).unwrap_or_else(|_| unreachable!("a UUID is not blank"));
    RecordRef {
        system: system.clone(),
        kind: if ticket { RecordKind::Ticket } else { RecordKind::Incident },
        id,
    }
}

/// Finds the mapping of a record. `find` looks a record up in the store's index, for this bridge.
pub fn route<E>(
    policy: &Policy,
    snapshot: &Snapshot,
    mut find: impl FnMut(&RecordRef) -> Result<Option<MappingId>, E>,
) -> Result<Route, E> {
    if let Some(id) = find(&snapshot.record)? {
        return Ok(Route::Known(id));
    }
    if snapshot.record.kind == RecordKind::Ticket {
        let planned = snapshot.planned_as.as_ref().map(&mut find).transpose()?.flatten();
        return Ok(planned.map_or(Route::Ignored("lockstep did not open this ticket"), Route::Known));
    }
    if snapshot.record.kind == RecordKind::Alert {
        let parent = snapshot.parent.as_ref().map(&mut find).transpose()?.flatten();
        return Ok(parent.map_or(Route::Ignored("its incident is not mapped"), Route::Known));
    }
    for link in &snapshot.links {
        if let Some(id) = find(link)? {
            return Ok(Route::Known(id));
        }
    }
    let id = MappingId::derive(&policy.bridge, root(snapshot));
    // After a lost store, the record that we once created may be met first.
    for system in &policy.create_in {
        if let Some(id) = find(&derived_record(id, system, 0, policy))? {
            return Ok(Route::Known(id));
        }
    }
    Ok(refusal(policy, snapshot).map_or(Route::New(id), Route::Ignored))
}

/// The record that names a mapping: whichever of a linked pair is met first, the name is the same.
fn root(snapshot: &Snapshot) -> &RecordRef {
    snapshot.links.iter().find(|link| link.kind == RecordKind::Incident).unwrap_or(&snapshot.record)
}

/// Why a bridge does not take a record up, if so.
fn refusal(policy: &Policy, snapshot: &Snapshot) -> Option<&'static str> {
    if snapshot.lifecycle != Lifecycle::Present {
        return Some("it was merged away or is gone");
    }
    if snapshot.modified < policy.since {
        return Some("it was last changed before the bridge's `since`");
    }
    if policy
        .filter
        .severity_at_least
        .is_some_and(|least| severity(policy, snapshot).is_some_and(|s| s < least))
    {
        return Some("its severity is below the bridge's filter");
    }
    let wanted = &policy.filter.products;
    let products: BTreeSet<String> = snapshot.facts.products.iter().map(|p| p.to_lowercase()).collect();
    // A record that names no product cannot be judged by it.
    let matches = wanted.is_empty()
        || products.is_empty()
        || wanted.iter().any(|p| products.contains(&p.to_lowercase()));
    (!matches).then_some("none of its products passes the bridge's filter")
}

fn severity(policy: &Policy, snapshot: &Snapshot) -> Option<crate::model::Severity> {
    let native = snapshot.native.get(&Field::Severity)?;
    match policy.translation(&snapshot.record.system)?.read(snapshot.record.kind, Field::Severity, native) {
        Reading::Known(Value::Severity(severity)) => Some(severity),
        _ => None,
    }
}
