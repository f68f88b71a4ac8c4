//! Several edits of one field become one agreed value.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::{
    Agreed, AuditKind, Closing, Field, MemberState, Native, RecordKind, SystemName, Value, Verdict,
};

use super::decide::Work;
use super::policy::{Conflicts, Reopen, is_beginning};

/// A value that wants to be agreed.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    /// The record that was edited, by its place in the mapping.
    pub(super) member: usize,
    /// Its new value.
    pub(super) value: Value,
    /// Its native value before.
    pub(super) old: Option<Native>,
    /// Whether the record had the agreed value before the edit; if not, the two are concurrent.
    pub(super) saw_agreed: bool,
    /// When, by the record's clock.
    pub(super) modified: Timestamp,
    /// Who, where the system tells.
    pub(super) by: Option<String>,
    /// The note that came with a close.
    pub(super) closing_comment: Option<String>,
    /// Whether the record is closed, by whomever.
    pub(super) closed: bool,
    /// The verdict that the record stated before.
    pub(super) verdict: Option<Native>,
}

/// One of the values that compete, edit or agreed already.
struct Rival {
    value: Value,
    from: SystemName,
    at: Timestamp,
    contender: Option<usize>,
    /// Whether it was said of a closed record.
    closed: bool,
}

impl Work<'_> {
    /// Merges all edits, field by field.
    pub(super) fn merge(&mut self) {
        // Before the others compete: an edit may answer just what the pair came to.
        self.take_native_consensus();
        let mut by_field: BTreeMap<Field, Vec<Contender>> = BTreeMap::new();
        for contender in std::mem::take(&mut self.contenders) {
            by_field.entry(contender.value.field()).or_default().push(contender);
        }
        for (field, mut contenders) in by_field {
            // So that nothing depends on the order in which the records were read.
            contenders.sort_by_key(|c| {
                (c.modified, self.policy().rank(&self.mapping.members[c.member].record.system))
            });
            if field == Field::Tags {
                self.merge_tags(&contenders);
            } else {
                self.merge_field(field, &contenders);
            }
        }
        self.take_native_consensus();
        self.default_verdict();
    }

    /// What a natively synced pair came to by itself stands: where both say the same and the agreed value was one of
    /// theirs, lockstep does not argue. While one of them has something to say, they have not come to anything.
    fn take_native_consensus(&mut self) {
        let Some(pair) = self.policy().native_sync.as_ref() else { return };
        let Some(at) = self.mapping.members.iter().position(|m| {
            m.record.system == pair.writer
                && m.record.kind != RecordKind::Alert
                && m.state == MemberState::Linked
        }) else {
            return;
        };
        let Some(twin) = super::needs::native_twin(&self.mapping, self.policy(), at) else { return };
        for field in Field::ALL {
            let Some(agreed) = self.mapping.agreed.get(&field) else { continue };
            let theirs = self.policy().is_natively_synced(&agreed.from);
            let speaks = |c: &Contender| (c.member == at || c.member == twin) && c.value.field() == field;
            if !theirs
                || self.contenders.iter().any(speaks)
                || self.states(at, field)
                || self.states(twin, field)
            {
                continue;
            }
            if let Some((at, value)) = self.word_of_both(at, twin, field) {
                self.settled_natively(at, value);
            }
        }
    }

    /// What two records both say, and which of them says it in full: one may keep only the beginning of a text.
    fn word_of_both(&self, at: usize, twin: usize, field: Field) -> Option<(usize, Value)> {
        let native = |at: usize| self.mapping.members[at].native(field);
        let value = |at: usize| self.read(at, field, native(at)?);
        let (one, other) = (native(at)?, native(twin)?);
        if is_beginning(one, other) {
            return Some((twin, value(twin)?));
        }
        let word = value(at)?;
        (is_beginning(other, one) || value(twin)? == word).then_some((at, word))
    }

    /// Microsoft's sync is nobody's word: who edits a record that states what was agreed before answers all that was said.
    fn settled_natively(&mut self, at: usize, value: Value) {
        let field = value.field();
        let others = (0..self.mapping.members.len()).filter(|other| self.states(*other, field));
        for other in others.collect::<Vec<_>>() {
            self.mapping.members[other].owed.insert(field);
        }
        let member = &self.mapping.members[at];
        let (record, modified) = (member.record.clone(), member.base.as_ref().map(|base| base.modified));
        self.note(&record, AuditKind::Agreed { field, value: format!("{value} (native sync settled it)") });
        let at = modified.unwrap_or_default();
        self.mapping.agreed.insert(field, Agreed { value, from: record.system, at, closed: false });
        let answers = |c: &Contender| {
            c.value.field() == field && c.old.as_ref().is_some_and(|old| self.satisfied(c.member, field, old))
        };
        let answers: Vec<bool> = self.contenders.iter().map(answers).collect();
        for (contender, answers) in self.contenders.iter_mut().zip(answers) {
            contender.saw_agreed |= answers;
        }
    }

    /// Whether a member states the agreed value of a field.
    fn states(&self, at: usize, field: Field) -> bool {
        self.mapping.members[at].native(field).is_some_and(|native| self.satisfied(at, field, native))
    }

    fn merge_field(&mut self, field: Field, contenders: &[Contender]) {
        let mut rivals: Vec<Rival> = contenders.iter().enumerate().map(|(i, c)| self.rival(c, i)).collect();
        let unseen = contenders.iter().all(|c| !c.saw_agreed);
        if let Some(agreed) = self.mapping.agreed.get(&field).filter(|_| unseen) {
            let Agreed { value, from, at, closed } = agreed.clone();
            rivals.push(Rival { value, from, at, contender: None, closed });
        }
        if field == Field::Verdict {
            outrank(&mut rivals);
        }
        // Until a system is heard from which the field comes, the first one heard speaks for it.
        let direction = self.policy().direction(field);
        if rivals.iter().any(|r| direction.leaves(&r.from)) {
            rivals.retain(|r| direction.leaves(&r.from));
        }
        let Some(winner) = self.winner(&rivals) else { return };
        for rival in rivals.iter().filter(|r| r.value != rivals[winner].value) {
            self.note_loser(rival, &rivals[winner], contenders);
            let elsewhere = !self.policy().is_natively_synced(&rivals[winner].from);
            if let Some(index) = rival.contender.filter(|_| elsewhere) {
                self.doubt_foretold(contenders[index].member, field, &rival.value);
            }
        }
        if let Some(index) = self.speaker(&rivals, winner).contender {
            self.agree(&contenders[index]);
        }
    }

    /// Who stands for what won. What somebody else says as well as a natively synced pair is not the pair's to take back.
    fn speaker<'r>(&self, rivals: &'r [Rival], winner: usize) -> &'r Rival {
        let synced = |rival: &Rival| self.policy().is_natively_synced(&rival.from);
        let besides = |rival: &&Rival| {
            synced(&rivals[winner])
                && !synced(rival)
                && rival.contender.is_some()
                && rival.value == rivals[winner].value
        };
        rivals.iter().find(besides).unwrap_or(&rivals[winner])
    }

    fn rival(&self, contender: &Contender, index: usize) -> Rival {
        let from = self.mapping.members[contender.member].record.system.clone();
        let Contender { modified, closed, .. } = *contender;
        Rival { value: contender.value.clone(), from, at: modified, contender: Some(index), closed }
    }

    /// The bridge's conflict policy.
    fn winner(&self, rivals: &[Rival]) -> Option<usize> {
        let policy = self.policy();
        let rank = |r: &Rival| policy.rank(&r.from);
        let indices = 0..rivals.len();
        match policy.conflicts {
            Conflicts::CloseWins => {
                indices.min_by_key(|i| (!rivals[*i].value.is_closed(), rank(&rivals[*i])))
            }
            Conflicts::Order => indices.min_by_key(|i| rank(&rivals[*i])),
            Conflicts::Latest => {
                indices.max_by_key(|i| (rivals[*i].at, std::cmp::Reverse(rank(&rivals[*i]))))
            }
        }
    }

    fn note_loser(&mut self, loser: &Rival, winner: &Rival, contenders: &[Contender]) {
        let record = match loser.contender {
            Some(index) => self.mapping.members[contenders[index].member].record.clone(),
            None => match self.mapping.members.iter().find(|m| m.record.system == loser.from) {
                Some(member) => member.record.clone(),
                None => return,
            },
        };
        if planted!(LoserNotTold) {
            return;
        }
        let reason = format!("lost a conflict: {} says {} at the same time", winner.from, winner.value);
        let what_of = loser.value.field().as_str().to_owned();
        self.note(&record, AuditKind::NotCarried { what_of, value: loser.value.to_string(), reason });
    }

    /// The value of an edit is agreed. What was left to differ is brought in line again.
    fn agree(&mut self, contender: &Contender) {
        let record = self.mapping.members[contender.member].record.clone();
        let value = contender.value.clone();
        let field = value.field();
        let from = record.system.clone();
        if field == Field::Status {
            self.revoke_verdict(contender, &value);
            self.retire_tickets(contender, &value);
            self.mapping.closing = value.is_closed().then(|| Closing {
                system: from.clone(),
                actor: contender.by.clone(),
                comment: contender.closing_comment.clone(),
            });
        }
        let known = self.mapping.agreed.contains_key(&field);
        if known || contender.old.is_some() {
            self.note(&record, AuditKind::Agreed { field, value: value.to_string() });
        }
        let (at, closed) = (contender.modified, contender.closed);
        self.mapping.agreed.insert(field, Agreed { value, from, at, closed });
        for member in &mut self.mapping.members {
            member.exempt.remove(&field);
            member.owed.remove(&field);
        }
        self.tell_of_closed_tickets(contender.member, field);
    }

    /// Who reopens an incident takes back the verdict that it was closed with, as far as that had reached the record: one that
    /// was said elsewhere meanwhile was not seen, and stands.
    fn revoke_verdict(&mut self, contender: &Contender, status: &Value) {
        let field = Field::Verdict;
        let Some(agreed) = self.mapping.agreed.get(&field).cloned() else { return };
        // Who loses a close to a record that was never closed has not been reopened.
        let was_closed =
            contender.old.as_ref().is_some_and(|old| self.closes(contender.member, Field::Status, old));
        let reopened = was_closed && self.mapping.is_closed() && !status.is_closed();
        let differs = self.mapping.members[contender.member].exempt.contains(&field);
        let says = |said| self.satisfied(contender.member, field, said);
        let seen = differs || contender.verdict.as_ref().is_none_or(says);
        // A system whose verdicts go nowhere takes none back.
        let leaves =
            self.policy().direction(field).leaves(&self.mapping.members[contender.member].record.system);
        if !leaves || !reopened || agreed.value.is_empty() || !seen || planted!(VerdictOutlivesReopening) {
            return;
        }
        let record = self.mapping.members[contender.member].record.clone();
        let value = Value::Verdict(Verdict::UNDETERMINED);
        self.note(
            &record,
            AuditKind::Agreed { field, value: format!("{value} (the reopening revokes {})", agreed.value) },
        );
        self.mapping
            .agreed
            .insert(field, Agreed { value, from: record.system, at: contender.modified, closed: false });
        for member in &mut self.mapping.members {
            member.exempt.remove(&field);
            member.owed.remove(&field);
        }
    }

    fn tell_of_closed_tickets(&mut self, from: usize, field: Field) {
        for at in 0..self.mapping.members.len() {
            let member = &self.mapping.members[at];
            let spared = super::needs::is_spared(&self.mapping, self.policy(), member, field);
            if at != from && spared && !self.states(at, field) && member.native(field).is_some() {
                let value = self.mapping.agreed(field).map(ToString::to_string).unwrap_or_default();
                self.not_carried(at, field, value, "the ticket is closed, and is not touched for that");
            }
        }
    }

    /// Where a reopening means a new ticket, those that are closed are done with, but for one that was reopened itself.
    fn retire_tickets(&mut self, contender: &Contender, value: &Value) {
        let reopened = self.mapping.is_closed() && !value.is_closed();
        if !reopened || self.policy().closing.reopen != Reopen::NewTicket {
            return;
        }
        for at in 0..self.mapping.members.len() {
            let member = &self.mapping.members[at];
            if at != contender.member && super::needs::is_closed_ticket(&self.mapping, self.policy(), member)
            {
                self.supersede(at, "the incident was reopened: another ticket follows");
            }
        }
    }

    /// Tags are added and removed as sets, so concurrent edits do not compete.
    fn merge_tags(&mut self, contenders: &[Contender]) {
        let mut tags = match self.mapping.agreed(Field::Tags) {
            Some(Value::Tags(tags)) => tags.clone(),
            _ => BTreeSet::new(),
        };
        let before = tags.clone();
        let delta = |c: &Contender| {
            let old = match &c.old {
                Some(Native::Set(set)) => set.clone(),
                _ => BTreeSet::new(),
            };
            let new = if let Value::Tags(new) = &c.value { new.clone() } else { BTreeSet::new() };
            (&new - &old, &old - &new)
        };
        for (_, removed) in contenders.iter().map(delta) {
            tags = &tags - &removed;
        }
        for (added, _) in contenders.iter().map(delta) {
            tags = &tags | &added;
        }
        let Some(last) = contenders.last() else { return };
        if tags != before || !self.mapping.agreed.contains_key(&Field::Tags) {
            self.agree(&Contender { value: Value::Tags(tags), ..last.clone() });
        } else {
            self.not_carried(last.member, Field::Tags, last.value.to_string(), "the others say so already");
        }
    }

    /// A close that came without a verdict gets the bridge's own.
    fn default_verdict(&mut self) {
        let default = self.policy().closing.default_verdict;
        let without = self.mapping.agreed(Field::Verdict).is_none_or(Value::is_empty);
        let Some(status) = self.mapping.agreed.get(&Field::Status).cloned() else { return };
        if default != Verdict::UNDETERMINED && without && status.value.is_closed() {
            let value = Value::Verdict(default);
            self.mapping
                .agreed
                .insert(Field::Verdict, Agreed { value, from: status.from, at: status.at, closed: false });
        }
    }
}

/// Of verdicts that compete, one that was said in closing or since outranks one that was not, and any outranks none.
fn outrank(rivals: &mut Vec<Rival>) {
    let says = |rival: &Rival| rival.closed || !rival.value.is_empty();
    if rivals.iter().any(says) {
        rivals.retain(says);
    }
    if rivals.iter().any(|rival| rival.closed) {
        rivals.retain(|rival| rival.closed);
    }
}
