//! What of a record changed since it was acknowledged, and what follows from that.

use crate::model::{Agreed, AuditKind, Base, Field, Native, Natives, RecordKind, Snapshot, Value};
use crate::translate::Translation;

use super::cause::Cause;
use super::decide::Work;
use super::merge::Contender;
use super::needs::{self, is_outcome};
use super::policy::{Reopen, is_beginning};

/// What was last said of a field: not what the system made of it by itself, in answer to a write of ours.
fn said<'s>(snapshot: &'s Snapshot, field: Field, stated: &'s Native) -> &'s Native {
    snapshot.facts.before_reaction.get(&field).unwrap_or(stated)
}

impl Work<'_> {
    /// Compares the stated fields with the base, and acknowledges them.
    pub(super) fn take_fields(&mut self, at: usize, snapshot: &Snapshot) {
        let base = self.mapping.members[at].base.clone();
        for (field, stated) in &snapshot.native {
            let old = base.as_ref().and_then(|base| base.native.get(field));
            let new = if old == Some(stated) { stated } else { said(snapshot, *field, stated) };
            if self.is_unknown(at, *field, new) {
                self.unknown_word(at, snapshot, *field, new);
                continue;
            }
            self.mapping.members[at].unknown.remove(field);
            match base.as_ref().map(|base| base.native.get(field)) {
                None => self.join_field(at, snapshot, *field, new),
                // Stated for the first time. Only a verdict that shows while closed comes with an edit.
                Some(None) if !self.is_fleeting(at, *field) => self.join_field(at, snapshot, *field, new),
                Some(Some(old)) if old == new => {}
                Some(old) => self.changed_field(at, snapshot, *field, old.cloned(), new),
            }
            if new != stated {
                let reason = "the system changed it by itself, in answer to a write of ours";
                if self.closes(at, *field, new) {
                    // It is closed again: nobody has reopened it.
                    self.not_carried(at, *field, stated.to_string(), reason);
                } else {
                    self.leave_alone(at, *field, stated.to_string(), reason);
                }
            }
        }
        let mut native = self.acknowledged(at, snapshot, base.as_ref());
        if planted!(BaseNotUpdated)
            && self.in_flight(at).next().is_some()
            && let Some(base) = &base
        {
            native = base.native.clone();
        }
        let linked_at = self.linked_at(at, snapshot);
        let was_closed = needs::is_ticket_that_says_closed(self.policy(), &self.mapping.members[at]);
        let member = &mut self.mapping.members[at];
        let kept = member.base.take();
        member.base = Some(Base {
            revision: snapshot.revision.clone(),
            modified: snapshot.modified,
            native,
            hidden: snapshot.hidden.clone(),
            comments: kept.as_ref().map(|b| b.comments.clone()).unwrap_or_default(),
            comment_count: kept.as_ref().map_or(0, |b| b.comment_count),
            linked_at: kept.as_ref().map_or(linked_at, |b| b.linked_at),
            created: snapshot.facts.created.or_else(|| kept.as_ref().and_then(|b| b.created)),
            url: snapshot.facts.url.clone().or_else(|| kept.and_then(|b| b.url)),
        });
        self.take_what_is_owed(at, was_closed);
    }

    /// A ticket that was reopened still lacks what it was spared, until it is written or somebody says something else.
    fn take_what_is_owed(&mut self, at: usize, was_closed: bool) {
        let reopened =
            was_closed && !needs::is_ticket_that_says_closed(self.policy(), &self.mapping.members[at]);
        let owed = |field: &Field| {
            let member = &self.mapping.members[at];
            let before = member.owed.contains(field) || reopened && !is_outcome(*field);
            before && !needs::satisfied(&self.mapping, self.policy(), member, *field)
        };
        self.mapping.members[at].owed = Field::ALL.into_iter().filter(owed).collect();
    }

    /// A field of the table that states a word the table lacks.
    fn is_unknown(&self, at: usize, field: Field, new: &Native) -> bool {
        let record = &self.mapping.members[at].record;
        let table = self.policy().translation(&record.system);
        let carried = table.is_some_and(|t| t.carried().any(|(kind, f)| kind == record.kind && f == field));
        carried && self.read(at, field, new).is_none()
    }

    /// It is told once, and left alone while it is there.
    fn unknown_word(&mut self, at: usize, snapshot: &Snapshot, field: Field, new: &Native) {
        let member = &mut self.mapping.members[at];
        if member.unknown.insert(field, new.clone()).as_ref() == Some(new) {
            return;
        }
        let old = member.native(field).map_or_else(|| "(not stated)".to_owned(), ToString::to_string);
        let (by, revision) = (snapshot.modified_by.clone(), snapshot.revision.clone());
        self.note(&snapshot.record, AuditKind::Edit { field, old, new: new.to_string(), by, revision });
        self.not_carried(at, field, new.to_string(), "the translation does not know this value");
    }

    /// A verdict that shows while closed goes away with a reopening, and comes with a close.
    fn is_fleeting(&self, at: usize, field: Field) -> bool {
        let system = &self.mapping.members[at].record.system;
        let table = self.policy().translation(system);
        field == Field::Verdict && table.is_some_and(Translation::verdict_only_when_closed)
    }

    /// What is stated now. From a field that is not stated, or states a word that nobody knows, nothing is concluded,
    /// so it stays as it was: else it would look edited when it says the same again. Only a fleeting verdict goes away.
    fn acknowledged(&self, at: usize, snapshot: &Snapshot, base: Option<&Base>) -> Natives {
        let mut native = base.map(|base| base.native.clone()).unwrap_or_default();
        if self.is_fleeting(at, Field::Verdict) {
            native.remove(&Field::Verdict);
        }
        let unknown = &self.mapping.members[at].unknown;
        let known = snapshot.native.iter().filter(|(field, _)| !unknown.contains_key(*field));
        native.extend(known.map(|(field, new)| (*field, new.clone())));
        native
    }

    fn changed_field(
        &mut self,
        at: usize,
        snapshot: &Snapshot,
        field: Field,
        old: Option<Native>,
        new: &Native,
    ) {
        let cause = self.cause(at, snapshot, field, new);
        if !matches!(cause, Cause::NativeSync) {
            self.foretell_native_sync(at, field, new);
        }
        if matches!(cause, Cause::HalfWay) {
            let reason = "a write of ours that leads on from here is under way";
            return self.not_carried(at, field, new.to_string(), reason);
        }
        if matches!(cause, Cause::Shortened) {
            let reason = "the system kept only the beginning of what was written";
            return self.leave_alone(at, field, new.to_string(), reason);
        }
        if !matches!(cause, Cause::Edit) {
            if old.as_ref().is_some_and(|old| self.was_cut(at, field, old)) && !planted!(CutExcusesAnything) {
                // What took the place of the cut text is not what was left to differ.
                self.mapping.members[at].exempt.remove(&field);
            }
            return;
        }
        if let Some(reason) = self.came_with_our_close(at, snapshot, field, old.as_ref(), new) {
            return self.leave_alone(at, field, new.to_string(), reason);
        }
        if self.in_flight(at).any(|patch| patch.native.contains_key(&field)) {
            self.overtaken.push(snapshot.record.clone());
        }
        let is_alert = snapshot.record.kind == RecordKind::Alert;
        if is_alert && self.satisfied(at, field, new) {
            return; // what the incident says arrives at its alerts
        }
        self.note(
            &snapshot.record,
            AuditKind::Edit {
                field,
                old: old.as_ref().map_or_else(|| "(not stated)".to_owned(), ToString::to_string),
                new: new.to_string(),
                by: snapshot.modified_by.clone(),
                revision: snapshot.revision.clone(),
            },
        );
        if is_alert {
            self.alert_changed(at, field, new);
        } else {
            self.judge_edit(at, snapshot, field, old, new);
        }
    }

    /// Whether a record was left to differ because its system kept only the beginning of what is agreed.
    fn was_cut(&self, at: usize, field: Field, old: &Native) -> bool {
        let member = &self.mapping.members[at];
        let table = self.policy().translation(&member.record.system);
        let written = self.mapping.agreed(field).zip(table).and_then(|(v, t)| t.write(member.record.kind, v));
        member.exempt.contains(&field) && written.is_some_and(|written| is_beginning(old, &written))
    }

    /// Why a verdict that came to show with a close of ours is nobody's word, if so. What the record had before, hidden while
    /// it was open, nobody has set since. What the answer to the close shows besides is the doing of the system itself (a
    /// business rule, a post function), as it is at each close; in a later read it may be a person's.
    fn came_with_our_close(
        &self,
        at: usize,
        snapshot: &Snapshot,
        field: Field,
        old: Option<&Native>,
        new: &Native,
    ) -> Option<&'static str> {
        let ours = self.in_flight(at).any(|patch| {
            patch.native.get(&Field::Status).is_some_and(|status| self.closes(at, Field::Status, status))
        });
        if field != Field::Verdict || old.is_some() || !ours || planted!(LeftOverIsAnEdit) {
            return None;
        }
        let hidden = self.mapping.members[at].base.as_ref().and_then(|base| base.hidden.get(&field));
        if hidden.is_some_and(|hidden| self.policy().same(&snapshot.record, field, hidden, new)) {
            return Some("the record had it before, and kept it when it was closed");
        }
        let answered = self.observed.answered && !planted!(SystemsWordIsAnEdit);
        answered.then_some("the system set it by itself when it was closed")
    }

    /// An edit travels, or the history says why it does not.
    fn judge_edit(
        &mut self,
        at: usize,
        snapshot: &Snapshot,
        field: Field,
        old: Option<Native>,
        new: &Native,
    ) {
        let system = &snapshot.record.system;
        // A field that the table does not carry.
        let Some(value) = self.read(at, field, new) else { return };
        let leaves = self.policy().direction(field).leaves(system);
        if self.says_agreed(at, field, new, &value) && !(leaves && self.another_differs(at, field)) {
            if self.mapping.members[at].exempt.remove(&field) && field == Field::Status {
                self.closed_again.insert(at);
            }
            self.second(at, field);
            self.second_verdict(at, field);
            return self.not_carried(
                at,
                field,
                new.to_string(),
                "the others say so already, or are about to",
            );
        }
        if self.is_vague(at, field, old.as_ref(), new) {
            let reason = "the system wants a verdict at a close, and this one says nothing";
            return self.not_carried(at, field, new.to_string(), reason);
        }
        let same = |old: &Native| self.policy().same(&snapshot.record, field, old, new);
        if old.as_ref().is_some_and(same) && !planted!(SameMeaningIsAnEdit) {
            return self.not_carried(at, field, new.to_string(), "it means the same as before");
        }
        if self.reopens(at, field, old.as_ref(), &value) && planted!(ReopeningDropped) {
            return;
        }
        if let Some(reason) = self.stays(at, field, old.as_ref(), &value) {
            self.doubt_foretold(at, field, &value);
            return self.leave_alone(at, field, new.to_string(), reason);
        }
        let exempt = self.mapping.members[at].exempt.contains(&field);
        let member = &self.mapping.members[at];
        let spared = !planted!(SparedEditLoses)
            && (member.owed.contains(&field) || needs::was_spared(self.policy(), member, field));
        let saw_agreed = !planted!(OlderWins)
            && (exempt
                || spared
                || old
                    .as_ref()
                    .map_or_else(|| !self.closes_unseen(at, snapshot), |old| self.satisfied(at, field, old))
                || self.twin_agreed(at, field));
        self.contend(at, snapshot, value, old, saw_agreed);
    }

    /// Whether somebody closes a record that somebody else has closed elsewhere, unseen: what one of them says with the close
    /// is no answer to what the other said.
    fn closes_unseen(&self, at: usize, snapshot: &Snapshot) -> bool {
        let anew = self.closed_again.contains(&at);
        self.mapping.is_closed()
            && self.is_closed_by_somebody(at, snapshot)
            && !anew
            && !planted!(ListsDecideVerdict)
    }

    /// Whether a snapshot shows that somebody closed a record since it was acknowledged.
    fn is_closed_by_somebody(&self, at: usize, snapshot: &Snapshot) -> bool {
        let closes =
            |native: Option<&Native>| native.is_some_and(|native| self.closes(at, Field::Status, native));
        let ours = self.in_flight(at).any(|patch| closes(patch.native.get(&Field::Status)));
        let before = self.mapping.members[at].native(Field::Status);
        closes(snapshot.native.get(&Field::Status)) && !closes(before) && !ours
    }

    /// Whether a verdict came with a close and says nothing: where a close demands one, or brings one by itself, it stands
    /// for none. Where it could have been left out it is a word.
    pub(super) fn is_vague(&self, at: usize, field: Field, old: Option<&Native>, new: &Native) -> bool {
        let record = &self.mapping.members[at].record;
        let table = self.policy().translation(&record.system);
        let vague = |native: &Native| table.is_some_and(|t| t.is_vague(record.kind, field, native));
        field == Field::Verdict && vague(new) && old.is_none_or(vague) && !planted!(VagueVerdictCounts)
    }

    /// What somebody else says as well as a natively synced pair is not the pair's to take back.
    fn second(&mut self, at: usize, field: Field) {
        let system = self.mapping.members[at].record.system.clone();
        let policy = self.policy();
        let besides = policy.direction(field).leaves(&system) && !policy.is_natively_synced(&system);
        let theirs = |agreed: &&mut Agreed| besides && policy.is_natively_synced(&agreed.from);
        if let Some(agreed) = self.mapping.agreed.get_mut(&field).filter(theirs) {
            agreed.from = system;
        }
    }

    /// Of several systems that say the same verdict the first in the bridge's order stands for it, whichever was heard first.
    fn second_verdict(&mut self, at: usize, field: Field) {
        let system = self.mapping.members[at].record.system.clone();
        let policy = self.policy();
        let goes_first = |agreed: &&mut Agreed| policy.rank(&system) < policy.rank(&agreed.from);
        if field == Field::Verdict
            && !policy.is_natively_synced(&system)
            && let Some(agreed) = self.mapping.agreed.get_mut(&field).filter(goes_first)
        {
            agreed.from = system;
        }
    }

    /// Why an edit stays where it is, if it does.
    fn stays(&self, at: usize, field: Field, old: Option<&Native>, value: &Value) -> Option<&'static str> {
        if !self.policy().direction(field).leaves(&self.mapping.members[at].record.system) {
            return Some("the field's direction does not let it out of this system");
        }
        if self.policy().closing.reopen == Reopen::Ignore && self.reopens(at, field, old, value) {
            return Some("the bridge does not carry reopenings");
        }
        None
    }

    /// Whether an edit reopens what was closed.
    fn reopens(&self, at: usize, field: Field, old: Option<&Native>, value: &Value) -> bool {
        let exempt = self.mapping.members[at].exempt.contains(&field);
        let was_closed = exempt || old.is_some_and(|old| self.closes(at, field, old));
        was_closed && field == Field::Status && self.mapping.is_closed() && !value.is_closed()
    }

    /// Whether another record was left to differ in a field; who states the agreed value anew speaks to that one.
    fn another_differs(&self, at: usize, field: Field) -> bool {
        let others = self.mapping.members.iter().enumerate().filter(|(other, _)| *other != at);
        others.into_iter().any(|(_, member)| member.is_live() && member.exempt.contains(&field))
    }

    /// Within a natively synced pair Microsoft's sync arbitrates, and there the later edit wins.
    fn twin_agreed(&self, at: usize, field: Field) -> bool {
        let twin = needs::native_twin(&self.mapping, &self.rules.policy, at);
        let from = self.mapping.agreed.get(&field).map(|agreed| &agreed.from);
        twin.is_some_and(|twin| from == Some(&self.mapping.members[twin].record.system))
    }

    pub(super) fn contend(
        &mut self,
        at: usize,
        snapshot: &Snapshot,
        value: Value,
        old: Option<Native>,
        saw_agreed: bool,
    ) {
        // A note of ours, left over from an earlier close, is not what whoever closes now has to say.
        let said = snapshot.closing_comment.clone().filter(|note| !self.mapping.members[at].wrote_note(note));
        let field = value.field();
        let is_closed =
            snapshot.native.get(&Field::Status).is_some_and(|s| self.closes(at, Field::Status, s));
        let says_nothing =
            snapshot.native.get(&field).is_some_and(|new| self.is_vague(at, field, old.as_ref(), new));
        self.contenders.push(Contender {
            member: at,
            value,
            old,
            saw_agreed,
            modified: snapshot.modified,
            by: snapshot.modified_by.clone(),
            closing_comment: said,
            closed: is_closed && !says_nothing,
            verdict: self.mapping.members[at].native(Field::Verdict).cloned(),
        });
    }

    /// Whether a native value closes the record.
    pub(super) fn closes(&self, at: usize, field: Field, native: &Native) -> bool {
        field == Field::Status && self.read(at, field, native).is_some_and(|value| value.is_closed())
    }

    pub(super) fn satisfied(&self, at: usize, field: Field, native: &Native) -> bool {
        let record = &self.mapping.members[at].record;
        let Some(agreed) = self.mapping.agreed(field) else { return false };
        self.policy()
            .translation(&record.system)
            .is_some_and(|table| table.satisfies(record.kind, native, agreed))
    }

    /// Whether an edit says what is agreed and no more; a determination where only a classification was agreed is news.
    fn says_agreed(&self, at: usize, field: Field, native: &Native, value: &Value) -> bool {
        let record = &self.mapping.members[at].record;
        let table = self.policy().translation(&record.system);
        let agreed = self.mapping.agreed(field).zip(table);
        let no_more = agreed.is_some_and(|(agreed, table)| {
            table
                .write(record.kind, agreed)
                .is_none_or(|written| table.satisfies(record.kind, &written, value))
        });
        no_more && self.satisfied(at, field, native)
    }

    /// The edit stays where it is, and the record is left to differ.
    pub(super) fn leave_alone(&mut self, at: usize, field: Field, value: String, reason: &str) {
        self.mapping.members[at].exempt.insert(field);
        self.not_carried(at, field, value, reason);
    }

    pub(super) fn not_carried(&mut self, at: usize, field: Field, value: String, reason: &str) {
        let record = self.mapping.members[at].record.clone();
        let what_of = field.as_str().to_owned();
        self.note(&record, AuditKind::NotCarried { what_of, value, reason: reason.to_owned() });
    }
}
