//! What a mapping's records still lack, and so what is to be done. Derived from the mapping alone, each time anew.

use minijinja::{Environment, context};

use crate::model::{
    Action, Field, Mapping, MappingState, Member, MemberState, Native, Patch, RecordKind, RecordRef,
    Snapshot, Value, Verdict,
};
use crate::translate::{Reading, Translation};

use super::decide::Rules;
use super::policy::Policy;

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// About which record.
    pub target: RecordRef,
    /// What.
    pub action: Action,
    /// What it would write, as far as the acknowledged values tell.
    pub patch: Patch,
    /// Which agreed values it carries, for the history.
    pub causes: Vec<String>,
}

/// All that is to be done.
pub(super) fn wishes(mapping: &Mapping, rules: &Rules) -> Vec<Wish> {
    if mapping.state != MappingState::Live {
        return Vec::new();
    }
    let members = 0..mapping.members.len();
    members.flat_map(|at| fetch(&mapping.members[at]).into_iter().chain(write(mapping, rules, at))).collect()
}

/// What is not known of a record is read, but never holds up a write: that one begins with a read of its own.
fn fetch(member: &Member) -> Option<Wish> {
    let missing = match member.state {
        MemberState::Awaited => true,
        MemberState::Linked | MemberState::Gone => member.unread,
        MemberState::Planned | MemberState::Redirected | MemberState::Superseded | MemberState::Detached => {
            false
        }
    };
    let target = member.record.clone();
    missing.then(|| Wish { target, action: Action::Fetch, patch: Patch::default(), causes: Vec::new() })
}

fn write(mapping: &Mapping, rules: &Rules, at: usize) -> Option<Wish> {
    let member = &mapping.members[at];
    let target = member.record.clone();
    match member.state {
        MemberState::Planned if mapping.is_closed() && !rules.policy.tickets.open_closed => None,
        MemberState::Planned => {
            let patch = creation(mapping, rules, member);
            Some(Wish {
                target,
                action: Action::Create,
                patch,
                causes: causes(mapping, Field::ALL.into_iter()),
            })
        }
        MemberState::Linked => update(mapping, rules, at),
        MemberState::Detached if planted!(DetachedWritten) => update(mapping, rules, at),
        MemberState::Awaited
        | MemberState::Redirected
        | MemberState::Gone
        | MemberState::Superseded
        | MemberState::Detached => None,
    }
}

fn update(mapping: &Mapping, rules: &Rules, at: usize) -> Option<Wish> {
    let target = mapping.members[at].record.clone();
    let split = split_needs(mapping, &rules.policy, at);
    if !split.ours.is_empty() {
        let patch = patch_of(mapping, &rules.policy, at, &split.ours);
        let closing = closes(mapping, &patch);
        let causes = causes(mapping, split.ours.iter().copied());
        return Some(Wish { target, action: Action::Update { closing }, patch, causes });
    }
    if !split.native.is_empty() {
        let patch = patch_of(mapping, &rules.policy, at, &split.native);
        let causes = causes(mapping, split.native.iter().copied());
        return Some(Wish { target, action: Action::Converge, patch, causes });
    }
    None
}

fn causes(mapping: &Mapping, fields: impl Iterator<Item = Field>) -> Vec<String> {
    fields
        .filter_map(|field| {
            mapping.agreed.get(&field).map(|a| format!("{field} {} from {}", a.value, a.from))
        })
        .collect()
}

fn closes(mapping: &Mapping, patch: &Patch) -> bool {
    patch.native.contains_key(&Field::Status) && mapping.is_closed()
}

/// What to write to a record that was just read: the changed fields, and what a close demands.
pub fn patch_for(mapping: &Mapping, rules: &Rules, snapshot: &Snapshot, late_native: bool) -> Patch {
    let Some(at) = mapping.members.iter().position(|m| m.record == snapshot.record) else {
        return Patch::default();
    };
    let split = split_needs(mapping, &rules.policy, at);
    let fields = if late_native { [split.ours, split.native].concat() } else { split.ours };
    let mut patch = patch_of(mapping, &rules.policy, at, &fields);
    let member = &mapping.members[at];
    let said = |text: &str| !text.trim().is_empty() && !member.wrote_note(text);
    let has_own = snapshot.closing_comment.as_deref().is_some_and(said);
    if closes(mapping, &patch) && !has_own {
        patch.closing_comment = closing_comment(mapping, &rules.policy);
    }
    patch
}

/// Fields in which a record lacks the agreed value: those we write, and those native sync will bring.
struct Split {
    ours: Vec<Field>,
    native: Vec<Field>,
}

fn split_needs(mapping: &Mapping, policy: &Policy, at: usize) -> Split {
    let needs = needs(mapping, policy, at);
    let Some(twin) = native_twin(mapping, policy, at) else {
        return Split { ours: needs, native: Vec::new() };
    };
    let is_writer =
        policy.native_sync.as_ref().is_some_and(|n| n.writer == mapping.members[at].record.system);
    let by_sync = |field: &Field| {
        // What one of the pair was told, and what the writer says already, Microsoft's sync brings to the other. What the
        // follower says may be old, and about to be replaced.
        mapping.agreed.get(field).is_some_and(|agreed| policy.is_natively_synced(&agreed.from))
            || !is_writer
                && states(&mapping.members[twin], *field)
                && satisfied(mapping, policy, &mapping.members[twin], *field)
    };
    let (native, rest): (Vec<Field>, Vec<Field>) = needs.into_iter().partition(by_sync);
    // What the follower lacks and the writer lacks too is written to the writer alone.
    Split { ours: if is_writer { rest } else { Vec::new() }, native }
}

/// The other record of a natively synced pair, where both are in agreement.
pub(super) fn native_twin(mapping: &Mapping, policy: &Policy, at: usize) -> Option<usize> {
    let pair = policy.native_sync.as_ref()?;
    let record = &mapping.members[at].record;
    let other = match &record.system {
        system if *system == pair.writer => &pair.follower,
        system if *system == pair.follower => &pair.writer,
        _ => return None,
    };
    mapping.members.iter().position(|m| {
        m.record.system == *other && m.record.kind == record.kind && m.state == MemberState::Linked
    })
}

/// The follower of a natively synced pair, where it lacks what its writer cannot take: the sync brings it nothing.
pub fn follower_that_lacks(
    mapping: &Mapping,
    policy: &Policy,
    writer: &RecordRef,
    field: Field,
) -> Option<RecordRef> {
    policy.native_sync.as_ref().filter(|pair| pair.writer == writer.system)?;
    let at = mapping.members.iter().position(|member| member.record == *writer)?;
    let follower = &mapping.members[native_twin(mapping, policy, at)?];
    needs_field(mapping, policy, follower, field).then(|| follower.record.clone())
}

fn needs(mapping: &Mapping, policy: &Policy, at: usize) -> Vec<Field> {
    let member = &mapping.members[at];
    let follows_incident =
        member.record.kind == RecordKind::Alert && mapping.has_main_record(&member.record.system);
    if follows_incident && !planted!(AlertsWritten) {
        return Vec::new(); // the service carries the incident's state to its alerts (`graph-security.md` 2.6)
    }
    if member.record.kind == RecordKind::Alert && !mapping.is_closed() {
        return Vec::new();
    }
    Field::ALL.into_iter().filter(|field| needs_field(mapping, policy, member, *field)).collect()
}

fn needs_field(mapping: &Mapping, policy: &Policy, member: &Member, field: Field) -> bool {
    if member.exempt.contains(&field)
        || member.unknown.contains_key(&field)
        || !policy.direction(field).reaches(&member.record.system) && !planted!(DirectionIgnored)
        || (member.record.kind == RecordKind::Alert && !is_outcome(field))
        || is_spared(mapping, policy, member, field)
    {
        return false;
    }
    // A field that is not stated cannot be compared; a verdict that shows only while closed goes with the close.
    member.native(field).is_some()
        && mapping.agreed(field).is_some()
        && !satisfied(mapping, policy, member, field)
}

/// How an incident ended: what alerts take from it, and what a closed ticket is still written to for.
pub(super) fn is_outcome(field: Field) -> bool {
    matches!(field, Field::Status | Field::Verdict)
}

/// Whether a field of a record is left as it is because the ticket is closed: a write would restart the clock after which
/// it is archived, or even reopen it (`ticketing.md` F27). Comments are added all the same.
pub(super) fn is_spared(mapping: &Mapping, policy: &Policy, member: &Member, field: Field) -> bool {
    !is_outcome(field) && is_closed_ticket(mapping, policy, member) && !planted!(ClosedTicketWritten)
}

/// Whether somebody who edits a field of a record now edits a closed ticket, which was spared what was agreed since it was
/// closed. That the incident may have been reopened meanwhile makes no difference to it.
pub(super) fn was_spared(policy: &Policy, member: &Member, field: Field) -> bool {
    !is_outcome(field) && is_ticket_that_says_closed(policy, member)
}

/// Whether a ticket is closed, as is agreed.
pub(super) fn is_closed_ticket(mapping: &Mapping, policy: &Policy, member: &Member) -> bool {
    mapping.is_closed() && is_ticket_that_says_closed(policy, member)
}

/// Whether a record is a ticket that says it is closed, whatever is agreed.
pub(super) fn is_ticket_that_says_closed(policy: &Policy, member: &Member) -> bool {
    let table = policy.translation(&member.record.system);
    member.record.kind == RecordKind::Ticket && table.is_some_and(|table| states_closed(table, member))
}

/// Whether a record states a field at all: an open Sentinel incident has no verdict to bring anywhere.
fn states(member: &Member, field: Field) -> bool {
    member.native(field).is_some()
}

/// Whether a record states the agreed value of a field, or there is none.
pub(super) fn satisfied(mapping: &Mapping, policy: &Policy, member: &Member, field: Field) -> bool {
    let (Some(agreed), Some(native)) = (mapping.agreed(field), member.native(field)) else { return true };
    policy
        .translation(&member.record.system)
        .is_none_or(|table| table.satisfies(member.record.kind, native, agreed))
}

fn patch_of(mapping: &Mapping, policy: &Policy, at: usize, fields: &[Field]) -> Patch {
    let member = &mapping.members[at];
    let Some(table) = policy.translation(&member.record.system) else { return Patch::default() };
    let mut patch = Patch::default();
    for field in fields {
        let native = mapping.agreed(*field).and_then(|value| table.write(member.record.kind, value));
        if let Some(native) = native {
            patch.native.insert(*field, native);
        }
    }
    let reopens = patch.native.contains_key(&Field::Status) && !mapping.is_closed();
    if table.verdict_only_when_closed() && closes(mapping, &patch) {
        patch.native.insert(Field::Verdict, closing_verdict(mapping, table, member.record.kind));
    } else if table.verdict_only_when_closed() && (reopens || !states_closed(table, member)) {
        patch.native.remove(&Field::Verdict);
    }
    patch
}

fn states_closed(table: &Translation, member: &Member) -> bool {
    let Some(native) = member.native(Field::Status) else { return false };
    matches!(table.read(member.record.kind, Field::Status, native), Reading::Known(value) if value.is_closed())
}

/// The verdict that a close must carry (`sentinel.md` 1.5).
fn closing_verdict(mapping: &Mapping, table: &Translation, kind: RecordKind) -> Native {
    let undetermined = Value::Verdict(Verdict::UNDETERMINED);
    let value = mapping.agreed(Field::Verdict).unwrap_or(&undetermined);
    table.write(kind, value).unwrap_or(Native::Empty)
}

/// What a record is created with: every agreed value it can carry while open.
pub(super) fn creation(mapping: &Mapping, rules: &Rules, member: &Member) -> Patch {
    let mut patch = Patch::default();
    let Some(table) = rules.policy.translation(&member.record.system) else { return patch };
    let is_ticket = member.record.kind == RecordKind::Ticket;
    for field in Field::ALL {
        // A ticket begins as its system begins it.
        let hidden = field == Field::Verdict && table.verdict_only_when_closed();
        if hidden || (is_ticket && is_outcome(field)) {
            continue;
        }
        let native = mapping.agreed(field).and_then(|value| table.write(member.record.kind, value));
        if let Some(native) = native.filter(|native| *native != Native::Empty) {
            patch.native.insert(field, native);
        }
    }
    let closes = closes(mapping, &patch) && !planted!(CreatedWithoutVerdict);
    if !is_ticket && table.verdict_only_when_closed() && closes {
        patch.native.insert(Field::Verdict, closing_verdict(mapping, table, member.record.kind));
    }
    patch
}

/// The bridge's closing comment, filled in. The template was checked when the configuration was loaded.
fn closing_comment(mapping: &Mapping, policy: &Policy) -> Option<String> {
    let closing = mapping.closing.as_ref()?;
    let mut environment = Environment::new();
    environment.set_fuel(Some(50_000));
    // What is not known is empty: the engine would spell a missing value out.
    let origin = context! {
        system => closing.system.as_str(),
        actor => closing.actor.as_deref().unwrap_or_default(),
        comment => closing.comment.as_deref().unwrap_or_default(),
    };
    let text = environment.render_str(&policy.closing.comment, context! { origin }).ok()?;
    (!text.trim().is_empty()).then_some(text)
}
