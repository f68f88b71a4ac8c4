//! How records join a mapping: found, named by another one, met under a key, or opened by us.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{
    AuditKind, Field, MappingState, Member, MemberState, Native, Patch, RecordKind, RecordRef, Snapshot,
    SystemName, Value,
};
use crate::translate::Translation;

use super::decide::Work;
use super::policy::Reopen;

impl Work<'_> {
    /// The member that a snapshot is about, its place in the mapping. `None` for a ticket whose key is nobody's any more:
    /// a copy of one that another ticket followed.
    pub(super) fn member_for(&mut self, snapshot: &Snapshot) -> Option<usize> {
        if let Some(at) = self.mapping.members.iter().position(|m| m.record == snapshot.record) {
            return Some(at);
        }
        let planned = snapshot.planned_as.as_ref();
        if let Some(at) =
            self.mapping.members.iter().position(|m| m.key.as_ref().is_some_and(|k| Some(k) == planned))
        {
            return Some(self.met_under_key(at, snapshot));
        }
        if snapshot.record.kind == RecordKind::Ticket {
            return None;
        }
        self.mapping.members.push(Member::new(snapshot.record.clone(), MemberState::Awaited));
        Some(self.mapping.members.len() - 1)
    }

    /// A ticket turned up under a key. If another one has it, the older of the two stands for the incident, and the
    /// other is left alone: somebody copied the key, or two installations ran. Of two of the same second the known one
    /// stands.
    fn met_under_key(&mut self, at: usize, snapshot: &Snapshot) -> usize {
        let member = &mut self.mapping.members[at];
        if member.state == MemberState::Planned {
            member.record = snapshot.record.clone();
            return at;
        }
        let created = |at: Option<Timestamp>| at.unwrap_or(Timestamp::MAX);
        let present = created(member.base.as_ref().and_then(|base| base.created));
        let is_older =
            planted!(YoungerTicketTaken) || member.is_live() && created(snapshot.facts.created) < present;
        let (key, other) = (member.key.clone(), member.record.clone());
        let mut newcomer = Member::new(snapshot.record.clone(), MemberState::Awaited);
        if is_older {
            let reason =
                format!("{} bears the same key and is older; this one is left alone", snapshot.record);
            self.supersede(at, &reason);
            newcomer.key = key;
            self.mapping.members.push(newcomer);
            return self.mapping.members.len() - 1;
        }
        self.mapping.members.push(newcomer);
        let last = self.mapping.members.len() - 1;
        self.supersede(last, &format!("it bears the key of {other}; it is left alone"));
        last
    }

    pub(super) fn how_linked(&self, at: usize, snapshot: &Snapshot) -> String {
        let member = &self.mapping.members[at];
        if self.opening(at).is_some() {
            return "we created it".to_owned();
        }
        if member.state == MemberState::Planned {
            return "found under the id that we derived for it".to_owned();
        }
        if let Some(parent) = &snapshot.parent {
            return format!("it is an alert of {parent}");
        }
        match snapshot.links.iter().find(|link| self.mapping.member(link).is_some()) {
            Some(link) => format!("it names {link} as the same incident"),
            None if self.mapping.members.len() > 1 => {
                "another record names it as the same incident".to_owned()
            }
            None => "first record of the mapping".to_owned(),
        }
    }

    /// Where a reopening means a new ticket, a closed one that is found again after its mapping was lost says nothing.
    pub(super) fn is_closed_predecessor(&self, at: usize, snapshot: &Snapshot) -> bool {
        let member = &self.mapping.members[at];
        let status =
            snapshot.native.get(&Field::Status).and_then(|native| self.read(at, Field::Status, native));
        member.state == MemberState::Planned
            && member.record.kind == RecordKind::Ticket
            && self.policy().closing.reopen == Reopen::NewTicket
            && !self.mapping.is_closed()
            && status.is_some_and(|value| value.is_closed())
    }

    /// Records that this one names as the same incident become members, unless they belong elsewhere or to a system
    /// that the bridge does not have.
    pub(super) fn add_links(&mut self, snapshot: &Snapshot) {
        for link in &snapshot.links {
            // An alert may be mapped with its own incident already; here it stands for itself.
            let free = link.kind == RecordKind::Alert || !self.observed.elsewhere.contains(link);
            if self.mapping.member(link).is_none() && free && self.policy().has(&link.system) {
                self.mapping.members.push(Member::new(link.clone(), MemberState::Awaited));
            }
        }
        // Asked for once, when the record is met: the alerts of an incident are dear to list (`sentinel.md` 8.1).
        let met = self.mapping.members.len() == 1 && self.mapping.members[0].base.is_none();
        if snapshot.facts.more_links && !snapshot.fresh && met {
            self.mapping.members[0].unread = true;
        }
    }

    /// A record joins: its values are measured against what is agreed, if anything is.
    pub(super) fn join_field(&mut self, at: usize, snapshot: &Snapshot, field: Field, new: &Native) {
        if snapshot.record.kind == RecordKind::Alert {
            if self.closes(at, field, new) {
                self.alert_closed(at);
            }
            return;
        }
        // A field that the table does not carry.
        let Some(value) = self.read(at, field, new) else { return };
        let Some(agreed) = self.mapping.agreed(field).cloned() else {
            return self.contend(at, snapshot, value, None, true);
        };
        let direction = self.policy().direction(field);
        if self.closed_at_once(at, snapshot) && matches!(field, Field::Status | Field::Verdict) {
            return self.take_first_close(at, snapshot, value, new);
        }
        if self.satisfied(at, field, new) || self.opened_with(at, field, new) {
            return;
        }
        if !direction.leaves(&snapshot.record.system) {
            return;
        }
        if value.is_empty() && !agreed.is_empty() {
            return;
        }
        if agreed.is_closed() && self.is_merge_target(at) {
            let reason = "a closed incident was merged into this open one, and a merge carries no close";
            return self.leave_alone(at, field, new.to_string(), reason);
        }
        // What nobody has said yet, anybody may say.
        let first_word = agreed.is_empty();
        self.contend(at, snapshot, value, None, first_word);
    }

    /// Whether a record that we just created differs because of how it begins: where its status begins is no edit, and
    /// neither is what its system made of a value that it was opened with.
    fn opened_with(&mut self, at: usize, field: Field, new: &Native) -> bool {
        let Some(patch) = self.opening(at) else { return false };
        if let Some(written) = patch.native.get(&field) {
            // It may have been agreed otherwise since; then it is written like any other.
            let same = self.policy().same(&self.mapping.members[at].record, field, written, new);
            if same {
                return true;
            }
            let reason = "the system made something else of what the record was opened with";
            self.leave_alone(at, field, new.to_string(), reason);
            return true;
        }
        matches!(field, Field::Status | Field::Verdict)
    }

    /// Whether somebody closed a ticket between our opening it and our meeting it. A ticket begins as its system begins it,
    /// but hardly any system begins with a closed one.
    fn closed_at_once(&self, at: usize, snapshot: &Snapshot) -> bool {
        let table = self.policy().translation(&snapshot.record.system);
        let closed = snapshot.native.get(&Field::Status).is_some_and(|s| self.closes(at, Field::Status, s));
        let opens_closed = table.is_none_or(Translation::opens_closed) || planted!(ClosedAtOpening);
        closed && !opens_closed && snapshot.record.kind == RecordKind::Ticket && self.opening(at).is_some()
    }

    /// Who closes a ticket right after it was opened has seen for what, and says so like anybody who closes one.
    fn take_first_close(&mut self, at: usize, snapshot: &Snapshot, value: Value, new: &Native) {
        let field = value.field();
        let leaves = self.policy().direction(field).leaves(&snapshot.record.system);
        if !leaves || self.is_vague(at, field, None, new) || self.satisfied(at, field, new) {
            return;
        }
        self.note(
            &snapshot.record,
            AuditKind::Edit {
                field,
                old: "(as it was opened)".to_owned(),
                new: new.to_string(),
                by: snapshot.modified_by.clone(),
                revision: snapshot.revision.clone(),
            },
        );
        let seen = !self.mapping.is_closed();
        self.contend(at, snapshot, value, None, seen);
    }

    /// What a record that joins right now was created with, if that was our doing.
    pub(super) fn opening(&self, at: usize) -> Option<&Patch> {
        let planned = self.mapping.members[at].state == MemberState::Planned;
        self.in_flight(at).next().filter(|_| planned)
    }

    /// Whether the record joined because another one was merged into it.
    fn is_merge_target(&self, at: usize) -> bool {
        let system = &self.mapping.members[at].record.system;
        self.mapping.members.iter().any(|m| m.state == MemberState::Redirected && m.record.system == *system)
    }

    /// Where the bridge opens missing records, they are planned under ids derived from the mapping. A plan falls when
    /// a record of the system turns up, unless its creation may be under way.
    pub(super) fn plan_creations(&mut self) {
        let main = |m: &Member| m.base.is_some() && m.is_live() && m.record.kind != RecordKind::Alert;
        let found: BTreeSet<SystemName> =
            self.mapping.members.iter().filter(|m| main(m)).map(|m| m.record.system.clone()).collect();
        let under_way: Vec<&RecordRef> = self.observed.in_flight.iter().map(|(record, _)| record).collect();
        self.mapping.members.retain(|m| {
            m.state != MemberState::Planned
                || !found.contains(&m.record.system)
                || under_way.contains(&&m.record)
        });
        let ripe = self.mapping.state == MappingState::Live && !found.is_empty();
        // A closed one gets none (`needs`), but its ticket is known by its key all the same: it may be there already.
        if !ripe || planted!(PlannedOnlyWhileOpen) && self.mapping.is_closed() {
            return;
        }
        for system in &self.policy().create_in {
            let main = |m: &Member| m.record.system == *system && m.record.kind != RecordKind::Alert;
            let stands = |m: &Member| main(m) && m.state != MemberState::Superseded;
            if self.mapping.members.iter().any(stands) {
                continue;
            }
            let generation = self.mapping.members.iter().filter(|m| main(m)).count();
            let record = super::route::derived_record(self.mapping.id, system, generation, self.policy());
            let mut member = Member::new(record.clone(), MemberState::Planned);
            member.key = (record.kind == RecordKind::Ticket).then_some(record);
            self.mapping.members.push(member);
        }
    }
}
