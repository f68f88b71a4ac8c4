//! What an operator changes in the store: records linked or taken out, dead letters tried again or discarded.
//!
//! Each function says what is to be committed. The worker must be stopped: it would not see the change.

use jiff::Timestamp;

use crate::model::{
    Action, AuditEntry, AuditKind, Intent, IntentEvent, IntentId, IntentState, Mapping, Member, MemberState,
    RecordKind, RecordRef,
};
use crate::reconcile::Policy;
use crate::store::{Change, Store, StoreError};

/// Why a change cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It makes no sense; the text says why, and what to do.
    #[error("{0}")]
    Rejected(String),
}

impl OperatorError {
    fn rejected<T>(why: impl Into<String>) -> Result<T, Self> {
        Err(Self::Rejected(why.into()))
    }
}

/// The store and the bridges that an operator works on.
#[derive(Clone, Copy)]
pub struct Operator<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// The configured bridges.
    pub bridges: &'a [&'a Policy],
    /// Now, by our clock (UTC).
    pub now: Timestamp,
}

impl Operator<'_> {
    /// Puts a record into the mapping of another. It is read, and measured against what is agreed there, at the next
    /// start.
    pub fn link(&self, record: &RecordRef, joining: &RecordRef) -> Result<Vec<Change>, OperatorError> {
        let mut mapping = self.mapping_of(record)?;
        let policy = self.bridges.iter().find(|policy| policy.bridge == mapping.bridge);
        if !policy.is_some_and(|policy| policy.has(&joining.system)) {
            let why = format!("bridge {} has no system `{}`", mapping.bridge, joining.system);
            return OperatorError::rejected(why);
        }
        if mapping.member(joining).is_some_and(Member::is_live) {
            return OperatorError::rejected(format!("{joining} belongs to mapping {} already", mapping.id));
        }
        if let Some(present) = rival(&mapping, joining) {
            let why = format!(
                "mapping {} has {present} already, and one incident has one record of a kind in a system; unlink {present} \
                 first if {joining} is the right one",
                mapping.id
            );
            return OperatorError::rejected(why);
        }
        let mut changes = Vec::new();
        let how = format!("an operator linked it to {record}");
        if let Some(other) = self.store.find(&mapping.bridge, joining)?.filter(|id| *id != mapping.id) {
            let Some(mut left) = self.store.mapping(other)? else {
                return OperatorError::rejected(format!("mapping {other} is not in the store"));
            };
            changes.extend(self.take_out(&mut left, joining, &how)?);
        }
        mapping.members.retain(|member| member.record != *joining);
        mapping.members.push(Member::new(joining.clone(), MemberState::Awaited));
        changes.push(self.audit(&mapping, joining, AuditKind::Linked { how }));
        let fetch = self.fetch(&mut mapping, joining);
        changes.extend([Change::PutMapping(Box::new(mapping)), Change::PutIntent(Box::new(fetch))]);
        Ok(changes)
    }

    /// Takes a record out of its mapping, for good: links that name it do not bring it back.
    pub fn unlink(&self, record: &RecordRef) -> Result<(Mapping, Vec<Change>), OperatorError> {
        let mut mapping = self.mapping_of(record)?;
        let changes = self.take_out(&mut mapping, record, "an operator unlinked it")?;
        Ok((mapping, changes))
    }

    /// Tries a dead letter again.
    pub fn retry(&self, id: IntentId) -> Result<(&'static str, Vec<Change>), OperatorError> {
        let intent = self.dead_letter(id)?;
        let Ok(state) = intent.state.clone().on(IntentEvent::Retry) else {
            return OperatorError::rejected(format!("{id} cannot be tried again"));
        };
        let again = Intent { state, due: self.now, attempts: 0, unreachable: 0, ..intent.clone() };
        let reason = "an operator asked for another try";
        Ok((reason, vec![Change::PutIntent(Box::new(again)), self.settled(&intent, reason)]))
    }

    /// Forgets a dead letter. Its fields are left to differ, else the next decision would wish the same again.
    pub fn discard(&self, id: IntentId) -> Result<(&'static str, Vec<Change>), OperatorError> {
        let intent = self.dead_letter(id)?;
        let reason = "an operator discarded it; the record is left to differ until the agreed value changes";
        let mut changes = vec![Change::RemoveIntent(id)];
        if let IntentState::Dead { patch, .. } = &intent.state
            && let Some(mut mapping) = self.store.mapping(id.mapping)?
            && let Some(member) = mapping.member_mut(&intent.target)
        {
            member.exempt.extend(patch.native.keys().copied());
            changes.push(Change::PutMapping(Box::new(mapping)));
        }
        changes.push(self.settled(&intent, reason));
        Ok((reason, changes))
    }

    fn take_out(
        &self,
        mapping: &mut Mapping,
        record: &RecordRef,
        reason: &str,
    ) -> Result<Vec<Change>, OperatorError> {
        let intents = self.store.intents(mapping.id)?.into_iter().filter(|intent| intent.target == *record);
        let mut changes: Vec<Change> = intents.map(|intent| Change::RemoveIntent(intent.id)).collect();
        if let Some(member) = mapping.member_mut(record) {
            member.state = MemberState::Detached;
        }
        changes.push(self.audit(mapping, record, AuditKind::Left { reason: reason.to_owned() }));
        changes.push(Change::PutMapping(Box::new(mapping.clone())));
        Ok(changes)
    }

    fn mapping_of(&self, record: &RecordRef) -> Result<Mapping, OperatorError> {
        for policy in self.bridges {
            if let Some(id) = self.store.find(&policy.bridge, record)? {
                return match self.store.mapping(id)? {
                    Some(mapping) => Ok(mapping),
                    None => OperatorError::rejected(format!("mapping {id} is not in the store")),
                };
            }
        }
        OperatorError::rejected(format!("no bridge knows {record}; see `lockstep mappings list`"))
    }

    fn dead_letter(&self, id: IntentId) -> Result<Intent, OperatorError> {
        let found = self.store.intents(id.mapping)?.into_iter().find(|intent| intent.id == id);
        match found.filter(|intent| matches!(intent.state, IntentState::Dead { .. })) {
            Some(intent) => Ok(intent),
            None => OperatorError::rejected(format!(
                "there is no dead letter {id}; see `lockstep dead-letters list`"
            )),
        }
    }

    fn fetch(&self, mapping: &mut Mapping, target: &RecordRef) -> Intent {
        Intent {
            id: mapping.take_intent_id(),
            target: target.clone(),
            action: Action::Fetch,
            state: IntentState::Planned,
            planned: self.now,
            due: self.now,
            attempts: 0,
            unreachable: 0,
            misses: 0,
            missed: None,
            overtaken: false,
            causes: Vec::new(),
        }
    }

    fn settled(&self, intent: &Intent, reason: &str) -> Change {
        let kind = AuditKind::Settled { intent: intent.id, reason: reason.to_owned() };
        let (mapping, record) = (intent.id.mapping, intent.target.clone());
        Change::Audit(Box::new(AuditEntry { at: self.now, mapping, record, kind }))
    }

    fn audit(&self, mapping: &Mapping, record: &RecordRef, kind: AuditKind) -> Change {
        let entry = AuditEntry { at: self.now, mapping: mapping.id, record: record.clone(), kind };
        Change::Audit(Box::new(entry))
    }
}

/// The live record in whose place another one would stand. An incident has many alerts, so those are nobody's rivals.
fn rival<'a>(mapping: &'a Mapping, joining: &RecordRef) -> Option<&'a RecordRef> {
    let mut live = mapping.members.iter().filter(|member| member.is_live()).map(|member| &member.record);
    live.find(|present| {
        joining.kind != RecordKind::Alert && present.system == joining.system && present.kind == joining.kind
    })
}
