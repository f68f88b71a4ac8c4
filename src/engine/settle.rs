//! Settling a write: what its answer shows, and what that means for the intent.

use jiff::SignedDuration;

use crate::connectors::Declined;
use crate::model::{
    Action, AuditKind, Comments, Field, Intent, IntentEvent, IntentId, IntentState, Native, Patch,
    RecordKind, RecordRef, Snapshot,
};
use crate::reconcile::{Mark, follower_that_lacks, is_beginning};

use super::backoff;
use super::lane::{Failure, FailureKind, Run};
use super::retry::DENIED_WAIT;

impl Run<'_, '_> {
    /// The write was answered, or not.
    pub(super) fn wrote(
        &mut self,
        id: IntentId,
        result: Result<Option<Box<Snapshot>>, Failure>,
        request_id: Option<String>,
        (declined, elsewhere): (Vec<Declined>, &[RecordRef]),
    ) {
        let Some(intent) = self.lane.intent_mut(id).cloned() else { return };
        let IntentState::Sending { mut patch } = intent.state.clone() else { return };
        let cut: Vec<Declined> =
            result.iter().flatten().flat_map(|answer| self.cut(&intent, &patch, answer)).collect();
        for field in declined.into_iter().chain(cut) {
            self.declined(&intent, &mut patch, field);
        }
        match result {
            Ok(answer) => self.answered(&intent, &patch, (answer, request_id), elsewhere),
            Err(failure) => self.write_failed(&intent, patch, &failure),
        }
    }

    /// What a record cannot take is left to differ there, and where Microsoft's sync was to bring it from there; and told.
    fn declined(&mut self, intent: &Intent, patch: &mut Patch, Declined { field, reason }: Declined) {
        let Some(value) = patch.native.remove(&field) else { return };
        self.leave_alone(&intent.target, field, &value, reason);
        let policy = &self.context.rules.policy;
        if let Some(follower) = follower_that_lacks(&self.lane.mapping, policy, &intent.target, field) {
            let reason = format!("{} cannot take it, so the sync does not bring it here", intent.target);
            self.leave_alone(&follower, field, &value, reason);
        }
    }

    fn leave_alone(&mut self, record: &RecordRef, field: Field, value: &Native, reason: String) {
        if let Some(member) = self.lane.mapping.member_mut(record) {
            member.exempt.insert(field);
        }
        let (what_of, value) = (field.as_str().to_owned(), value.to_string());
        self.note(record, AuditKind::NotCarried { what_of, value, reason });
    }

    /// Texts of which the record keeps no more than the beginning that it showed before, however often they are written. One
    /// try proves nothing: it may have had no effect at all.
    fn cut(&self, intent: &Intent, patch: &Patch, answer: &Snapshot) -> Vec<Declined> {
        let again = intent.attempts > 0 && !planted!(CutWrittenAgain);
        let Some(member) = self.lane.mapping.member(&intent.target).filter(|_| again) else {
            return Vec::new();
        };
        let cut = |(field, written): &(&Field, &Native)| {
            let now = answer.native.get(*field);
            now == member.native(**field) && now.is_some_and(|now| is_beginning(now, written))
        };
        let reason = "the system keeps only the beginning of what is written".to_owned();
        let fields = patch.native.iter().filter(cut).map(|(field, _)| *field);
        fields.map(|field| Declined { field, reason: reason.clone() }).collect()
    }

    fn answered(
        &mut self,
        intent: &Intent,
        patch: &Patch,
        (answer, request_id): (Option<Box<Snapshot>>, Option<String>),
        elsewhere: &[RecordRef],
    ) {
        self.reached(intent.id);
        let Some(snapshot) = answer else {
            if !matches!(intent.action, Action::Comment { .. }) {
                // An answer that does not state the record proves nothing: read it back.
                return self.transition(intent.id, IntentEvent::Lost);
            }
            self.count_own_comment(intent);
            self.applied(intent, patch, request_id, "answered");
            let decision = self.decide(&[], &[]);
            return self.plan(decision.wishes, decision.copies);
        };
        let snapshot = Box::new(as_planned(intent, *snapshot));
        let decision = self.decide_answer(&snapshot, elsewhere);
        let Some(intent) = &self.lane.intent_mut(intent.id).cloned() else { return };
        let patch = &self.without_left_alone(intent, patch, &snapshot);
        // A 2xx is no proof where the API lies: the answer must show what was written.
        let current = decision.stale.is_empty();
        if planted!(AnswerBelieved) || current && self.shows(intent, patch, &snapshot) {
            self.applied(intent, patch, request_id, "the answer shows it");
        } else {
            if current {
                self.partly(intent, patch, (&snapshot, request_id), "the answer shows this much of it");
            }
            self.transition(intent.id, IntentEvent::Lost);
        }
        self.plan(decision.wishes, decision.copies);
    }

    /// What of a write is still expected to show: not what the record was left to differ in since.
    pub(super) fn without_left_alone(&self, intent: &Intent, patch: &Patch, snapshot: &Snapshot) -> Patch {
        let mut patch = patch.clone();
        let member = self.lane.mapping.member(&intent.target).filter(|_| intent.action != Action::Create);
        let left = |field: &Field| member.is_some_and(|member| member.exempt.contains(field));
        patch.native.retain(|field, written| !left(field) || self.states(snapshot, *field, written));
        patch
    }

    fn write_failed(&mut self, intent: &Intent, patch: Patch, failure: &Failure) {
        let goes_on =
            matches!(failure.kind, FailureKind::NotExecuted | FailureKind::Denied | FailureKind::Blocked);
        if !(goes_on && intent.unreachable > 0) {
            self.failed(intent, failure);
        }
        match failure.kind {
            FailureKind::Unknown if planted!(RetryWithoutReadBack) => {
                self.transition(intent.id, IntentEvent::NotExecuted);
            }
            FailureKind::Unknown => {
                self.transition(intent.id, IntentEvent::Lost);
                let settle = (self.context.settle)(&intent.target.system);
                self.wait(intent.id, settle.max(failure.retry_after.unwrap_or(SignedDuration::ZERO)));
            }
            FailureKind::NotExecuted => {
                self.transition(intent.id, IntentEvent::NotExecuted);
                self.later(intent.id, failure.retry_after);
            }
            FailureKind::Denied => {
                self.transition(intent.id, IntentEvent::NotExecuted);
                self.later(intent.id, Some(SignedDuration::from_secs(DENIED_WAIT)));
            }
            FailureKind::Blocked => {
                self.transition(intent.id, IntentEvent::NotExecuted);
                self.blocked(intent.id);
            }
            FailureKind::Conflict | FailureKind::Gone => {
                self.transition(intent.id, IntentEvent::NotExecuted);
                self.count_attempt(intent.id);
                let wait = backoff::after_conflict(intent.attempts, self.context.rng);
                self.wait(intent.id, wait);
                if let Some(intent) = self.lane.intent_mut(intent.id).cloned() {
                    self.gave_up(&intent);
                }
            }
            FailureKind::Refused => self.give_up(intent, failure.message.clone(), patch),
        }
    }

    /// Whether a record shows what an intent wanted.
    pub(super) fn shows(&self, intent: &Intent, patch: &Patch, snapshot: &Snapshot) -> bool {
        let Action::Comment { key, .. } = &intent.action else {
            if intent.action == Action::Create && intent.target.kind == RecordKind::Ticket {
                return true; // it is there; what its system made of the fields is judged when it joins
            }
            return patch.native.iter().all(|(field, written)| self.states(snapshot, *field, written));
        };
        let (Comments::Listed(comments) | Comments::Recent(comments)) = &snapshot.comments else {
            return false;
        };
        comments.iter().any(|c| self.context.rules.marker.read(&c.text) == Mark::Ours(key.clone()))
    }

    /// Whether a field states what was written, or of a text that was seen to be cut the beginning. One that was there
    /// before shows nothing.
    fn states(&self, snapshot: &Snapshot, field: Field, written: &Native) -> bool {
        let (policy, record) = (&self.context.rules.policy, &snapshot.record);
        let cut = self.lane.mapping.member(record).is_some_and(|member| member.exempt.contains(&field));
        snapshot
            .native
            .get(&field)
            .is_some_and(|now| policy.same(record, field, written, now) || cut && is_beginning(now, written))
    }

    pub(super) fn applied(
        &mut self,
        intent: &Intent,
        patch: &Patch,
        request_id: Option<String>,
        confirmed: &str,
    ) {
        let updates = matches!(intent.action, Action::Update { .. } | Action::Converge);
        if updates && patch.is_empty() {
            return self.settle(intent, "the record could take nothing of it");
        }
        self.remove(intent.id);
        self.tell(intent, patch, request_id, confirmed);
    }

    /// What took effect of a write that did not as a whole is settled and told; open is the rest.
    pub(super) fn partly(
        &mut self,
        intent: &Intent,
        patch: &Patch,
        (snapshot, request_id): (&Snapshot, Option<String>),
        confirmed: &str,
    ) {
        let (mut part, Some(mut rest)) = (patch.clone(), intent.state.in_flight().cloned()) else { return };
        part.native.retain(|field, written| self.states(snapshot, *field, written));
        rest.native.retain(|field, _| !part.native.contains_key(field));
        if !part.is_empty() && !planted!(PartNotTold) {
            self.transition(intent.id, IntentEvent::Partly(rest));
            self.tell(intent, &part, request_id, confirmed);
        }
    }

    fn tell(&mut self, intent: &Intent, patch: &Patch, request_id: Option<String>, confirmed: &str) {
        let fields = patch.native.iter().map(|(field, native)| (*field, native.to_string())).collect();
        let member = self.lane.mapping.member_mut(&intent.target);
        if let (Some(member), Some(note)) = (member, &patch.closing_comment) {
            member.set_own_note(note);
        }
        if planted!(WriteNotTold) {
            return;
        }
        self.note(
            &intent.target,
            AuditKind::Wrote {
                intent: intent.id,
                action: intent.action.as_str().to_owned(),
                fields,
                causes: intent.causes.clone(),
                request_id,
                confirmed: confirmed.to_owned(),
            },
        );
    }

    pub(super) fn settle(&mut self, intent: &Intent, reason: &str) {
        self.remove(intent.id);
        self.note(&intent.target, AuditKind::Settled { intent: intent.id, reason: reason.to_owned() });
    }

    /// A comment of ours is counted, so that the record's own count does not look like news.
    fn count_own_comment(&mut self, intent: &Intent) {
        let member = self.lane.mapping.member_mut(&intent.target);
        if let (Action::Comment { .. }, Some(base)) = (&intent.action, member.and_then(|m| m.base.as_mut())) {
            base.comment_count += 1;
        }
    }
}

/// The answer to a creation is about what was planned, also where its system lost the key.
fn as_planned(intent: &Intent, mut snapshot: Snapshot) -> Snapshot {
    if intent.action == Action::Create && snapshot.record != intent.target {
        snapshot.planned_as = Some(intent.target.clone());
    }
    snapshot
}
