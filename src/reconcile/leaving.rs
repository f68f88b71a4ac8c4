//! How records leave a mapping: merged, gone, or superseded by another ticket.

use crate::model::{
    Agreed, AuditKind, Closing, Field, Member, MemberState, RecordKind, RecordRef, Snapshot, Status, Value,
};

use super::decide::Work;
use super::policy::TicketGone;

impl Work<'_> {
    /// A merge is no analyst's close: the mapping follows the incident, or its other records are closed as merged.
    pub(super) fn take_redirect(&mut self, at: usize, snapshot: &Snapshot, to: Option<&RecordRef>) {
        if self.mapping.members[at].state == MemberState::Redirected {
            return;
        }
        let target = to.map_or_else(|| "another incident".to_owned(), ToString::to_string);
        self.leave(
            at,
            MemberState::Redirected,
            format!("merged into {target}; this is not taken for a close"),
        );
        if let Some(base) = &mut self.mapping.members[at].base {
            // Versions from before the merge are old from now on.
            base.modified = snapshot.modified;
        }
        let Some(to) = to else { return };
        if self.mapping.member(to).is_some() {
            return;
        }
        if to.kind == RecordKind::Ticket {
            // Merging tickets says nothing of the incident.
            if self.policy().tickets.gone == TicketGone::Follow && !self.observed.elsewhere.contains(to) {
                self.mapping.members.push(Member::new(to.clone(), MemberState::Awaited));
            }
            return;
        }
        if self.observed.elsewhere.contains(to) {
            self.close_as_merged(snapshot, to);
        } else {
            self.mapping.members.push(Member::new(to.clone(), MemberState::Awaited));
        }
    }

    /// The target has records of its own, so the others here are leftovers of the merged incident.
    fn close_as_merged(&mut self, snapshot: &Snapshot, to: &RecordRef) {
        let system = &snapshot.record.system;
        let value = Value::Status(Status::Closed);
        self.mapping.closing = Some(Closing {
            system: system.clone(),
            actor: snapshot.modified_by.clone(),
            comment: Some(format!("the incident was merged into {to}")),
        });
        self.mapping.agreed.insert(
            Field::Status,
            Agreed { value, from: system.clone(), at: snapshot.modified, closed: true },
        );
        self.note(
            &snapshot.record,
            AuditKind::Agreed {
                field: Field::Status,
                value: format!("closed, since it was merged into {to}"),
            },
        );
    }

    pub(super) fn leave(&mut self, at: usize, state: MemberState, reason: String) {
        let record = self.mapping.members[at].record.clone();
        let member = &mut self.mapping.members[at];
        member.state = state;
        member.unread = false;
        self.note(&record, AuditKind::Left { reason });
    }

    pub(super) fn supersede(&mut self, at: usize, reason: &str) {
        self.mapping.members[at].key = None;
        self.leave(at, MemberState::Superseded, reason.to_owned());
    }
}
