//! Delivering an intent: read the target, compare, write, settle. What each answer means for the intent.

use jiff::SignedDuration;

use crate::connectors::Declined;
use crate::model::{
    Action, AuditKind, Comments, Field, Intent, IntentEvent, IntentId, IntentState, MemberState, Native,
    Patch, RecordKind, RecordRef, Snapshot,
};
use crate::reconcile::{Late, Mark, is_beginning, patch_for};

use super::backoff;
use super::lane::{Effect, Failure, FailureKind, Request, Run};

/// Tries that a service may refuse or leave without effect, conflicts included, before an intent is given up.
const MAX_ATTEMPTS: u32 = 8;
/// Fresh reads that must agree that a request of unknown outcome had no effect: one alone may be stale. Where it shows
/// what somebody else wrote since, it is enough.
const MISSES: u32 = 2;
/// Reads in a row that must say "not found" before a record counts as gone, with `settle` between them.
const NOT_FOUND: u32 = 2;
/// Least wait after a refusal for lack of permission, in seconds.
const DENIED_WAIT: i64 = 60;

impl Run<'_, '_> {
    /// The target was read. Anything the read shows is decided first, so that no edit is written over unseen.
    pub(super) fn read(
        &mut self,
        id: IntentId,
        result: Result<Box<Snapshot>, Failure>,
        elsewhere: &[RecordRef],
    ) {
        let Some(intent) = self.lane.intent_mut(id).cloned() else { return };
        let snapshot = match result {
            Ok(snapshot) => snapshot,
            Err(failure) => return self.read_failed(&intent, &failure),
        };
        self.found(&intent);
        let decision = self.decide(std::slice::from_ref(&*snapshot), elsewhere);
        let Some(intent) = self.lane.intent_mut(id).cloned() else { return };
        if decision.stale.contains(&intent.target) {
            self.plan(decision.wishes, decision.copies);
            return self.later(id, None);
        }
        if let IntentState::Unknown { patch } = &intent.state {
            if self.shows(&intent, patch, &snapshot) {
                self.applied(&intent, patch, None, "read back after an open outcome");
            } else if intent.misses + 1 < MISSES && !intent.overtaken {
                self.missed(&intent);
            } else {
                self.transition(id, IntentEvent::ReadBack);
                self.count_attempt(id);
            }
        }
        self.plan(decision.wishes, decision.copies);
        self.begin_write(id, snapshot);
    }

    /// Sends what the fresh read still lacks, if the intent survived the decision.
    fn begin_write(&mut self, id: IntentId, snapshot: Box<Snapshot>) {
        let Some(intent) = self.lane.intent_mut(id).cloned() else { return };
        if intent.state != IntentState::Planned || self.gave_up(&intent) {
            return;
        }
        match &intent.action {
            Action::Update { .. } => self.begin_update(&intent, snapshot, false),
            Action::Converge => self.converge(&intent, snapshot),
            Action::Comment { key, text } => {
                if self.shows(&intent, &Patch::default(), &snapshot) {
                    self.settle(&intent, "the copy is there already");
                } else {
                    let request = Request::Comment(key.clone(), text.clone());
                    self.send(&intent, Patch::default(), Some(snapshot), request);
                }
            }
            Action::Fetch => {
                // Still wished for, so the answer did not say what it was asked for.
                self.count_attempt(id);
                self.later(id, None);
            }
            Action::Create => {}
        }
    }

    fn begin_update(&mut self, intent: &Intent, snapshot: Box<Snapshot>, late_native: bool) {
        let patch = patch_for(&self.lane.mapping, self.context.rules, &snapshot, late_native);
        if patch.is_empty() {
            return self.settle(intent, "the record says so already");
        }
        self.send(intent, patch.clone(), Some(snapshot), Request::Update(patch));
    }

    /// Native sync had its time. What still differs is reported, or written if the bridge says so.
    fn converge(&mut self, intent: &Intent, snapshot: Box<Snapshot>) {
        if intent.due > self.context.now {
            return;
        }
        let late = self.context.rules.policy.native_sync.as_ref().map_or(Late::Report, |n| n.late);
        if late == Late::Write {
            return self.begin_update(intent, snapshot, true);
        }
        let patch = patch_for(&self.lane.mapping, self.context.rules, &snapshot, true);
        let fields: Vec<Field> = patch.native.keys().copied().collect();
        self.note(&intent.target, AuditKind::NotConverged { fields: fields.clone() });
        if let Some(member) = self.lane.mapping.member_mut(&intent.target) {
            member.exempt.extend(fields);
        }
        self.remove(intent.id);
    }

    fn send(&mut self, intent: &Intent, patch: Patch, current: Option<Box<Snapshot>>, request: Request) {
        self.transition(intent.id, IntentEvent::Send(patch));
        if let Some(intent) = self.lane.intent_mut(intent.id) {
            intent.overtaken = false;
        }
        self.effect = Some(Effect { intent: intent.id, target: intent.target.clone(), current, request });
    }

    fn read_failed(&mut self, intent: &Intent, failure: &Failure) {
        match failure.kind {
            FailureKind::NotFound if intent.action == Action::Create => self.create(intent),
            FailureKind::NotFound => self.not_found(intent, failure),
            FailureKind::Refused | FailureKind::Conflict => {
                self.failed(intent, failure);
                self.count_attempt(intent.id);
                self.later(intent.id, failure.retry_after);
                if let Some(intent) = self.lane.intent_mut(intent.id).cloned() {
                    self.gave_up(&intent);
                }
            }
            FailureKind::Denied | FailureKind::NotExecuted | FailureKind::Unknown => {
                self.unreachable(intent, failure);
            }
        }
    }

    /// Nothing stands under the derived name: create, unless an earlier try may still be on its way, or the system has
    /// not been listed since and may hold a record of its own for this incident. Nobody but us opens a ticket for one.
    fn create(&mut self, intent: &Intent) {
        let ticket = intent.target.kind == RecordKind::Ticket;
        let listed = (self.context.listed)(&intent.target.system);
        if !ticket && listed.is_none_or(|listed| listed < intent.planned) {
            return self.later(intent.id, None);
        }
        if matches!(intent.state, IntentState::Unknown { .. }) {
            if intent.misses + 1 < MISSES {
                return self.missed(intent);
            }
            self.transition(intent.id, IntentEvent::ReadBack);
            self.count_attempt(intent.id);
        }
        let decision = self.decide(&[], &[]);
        let patch = decision.wishes.iter().find(|w| w.target == intent.target).map(|w| w.patch.clone());
        self.plan(decision.wishes, decision.copies);
        let Some(intent) = self.lane.intent_mut(intent.id).cloned() else { return };
        if let Some(patch) = patch.filter(|_| intent.state == IntentState::Planned && !self.gave_up(&intent))
        {
            self.send(&intent, patch.clone(), None, Request::Create(patch));
        }
    }

    /// A record that was not found twice is gone; nothing is concluded from that for the others. A replica that lags
    /// may not know a record that was just made, however often it is asked, so `settle` lies between the two.
    fn not_found(&mut self, intent: &Intent, failure: &Failure) {
        if intent.misses + 1 < NOT_FOUND {
            return self.missed(intent);
        }
        let reason = format!("it is not there any more: {}", failure.message);
        if let Some(member) = self.lane.mapping.member_mut(&intent.target) {
            member.state = MemberState::Gone;
        }
        self.note(&intent.target, AuditKind::Left { reason });
        self.remove(intent.id);
        let decision = self.decide(&[], &[]);
        self.plan(decision.wishes, decision.copies);
    }

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
        for field in declined {
            self.declined(&intent, &mut patch, field);
        }
        match result {
            Ok(answer) => self.answered(&intent, &patch, (answer, request_id), elsewhere),
            Err(failure) => self.write_failed(&intent, patch, &failure),
        }
    }

    /// What a record cannot take is left to differ there, and told.
    fn declined(&mut self, intent: &Intent, patch: &mut Patch, Declined { field, reason }: Declined) {
        let Some(value) = patch.native.remove(&field) else { return };
        if let Some(member) = self.lane.mapping.member_mut(&intent.target) {
            member.exempt.insert(field);
        }
        let (what_of, value) = (field.as_str().to_owned(), value.to_string());
        self.note(&intent.target, AuditKind::NotCarried { what_of, value, reason });
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
        let decision = self.decide(std::slice::from_ref(&*snapshot), elsewhere);
        let Some(intent) = &self.lane.intent_mut(intent.id).cloned() else { return };
        // A 2xx is no proof where the API lies: the answer must show what was written.
        if planted!(AnswerBelieved) || decision.stale.is_empty() && self.shows(intent, patch, &snapshot) {
            self.applied(intent, patch, request_id, "the answer shows it");
        } else {
            self.transition(intent.id, IntentEvent::Lost);
        }
        self.plan(decision.wishes, decision.copies);
    }

    fn write_failed(&mut self, intent: &Intent, patch: Patch, failure: &Failure) {
        let goes_on = matches!(failure.kind, FailureKind::NotExecuted | FailureKind::Denied);
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
            FailureKind::Conflict | FailureKind::NotFound => {
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
    fn shows(&self, intent: &Intent, patch: &Patch, snapshot: &Snapshot) -> bool {
        let Action::Comment { key, .. } = &intent.action else {
            if intent.action == Action::Create && intent.target.kind == RecordKind::Ticket {
                return true; // it is there; what its system made of the fields is judged when it joins
            }
            let (policy, record) = (&self.context.rules.policy, &snapshot.record);
            let shown = |(field, written): (&Field, &Native)| {
                let kept = |now| policy.same(record, *field, written, now) || is_beginning(now, written);
                snapshot.native.get(field).is_some_and(kept)
            };
            return patch.native.iter().all(shown);
        };
        let (Comments::Listed(comments) | Comments::Recent(comments)) = &snapshot.comments else {
            return false;
        };
        comments.iter().any(|c| self.context.rules.marker.read(&c.text) == Mark::Ours(key.clone()))
    }

    fn applied(&mut self, intent: &Intent, patch: &Patch, request_id: Option<String>, confirmed: &str) {
        let updates = matches!(intent.action, Action::Update { .. } | Action::Converge);
        if updates && patch.is_empty() {
            return self.settle(intent, "the record could take nothing of it");
        }
        let fields = patch.native.iter().map(|(field, native)| (*field, native.to_string())).collect();
        let member = self.lane.mapping.member_mut(&intent.target);
        if let (Some(member), Some(note)) = (member, &patch.closing_comment) {
            member.set_own_note(note);
        }
        self.remove(intent.id);
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

    fn settle(&mut self, intent: &Intent, reason: &str) {
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

    /// A record that is there was not missed. Whether a read shows a write of unknown outcome is another question.
    fn found(&mut self, intent: &Intent) {
        let unknown = matches!(intent.state, IntentState::Unknown { .. });
        if let Some(intent) = self.lane.intent_mut(intent.id).filter(|_| !unknown) {
            intent.misses = 0;
        }
    }

    fn missed(&mut self, intent: &Intent) {
        let settle = (self.context.settle)(&intent.target.system);
        if let Some(intent) = self.lane.intent_mut(intent.id) {
            intent.misses += 1;
        }
        self.wait(intent.id, settle);
    }

    fn unreachable(&mut self, intent: &Intent, failure: &Failure) {
        if intent.unreachable == 0 {
            self.failed(intent, failure);
        }
        let wait = match failure.kind {
            FailureKind::Denied => Some(SignedDuration::from_secs(DENIED_WAIT)),
            _ => failure.retry_after,
        };
        self.later(intent.id, wait);
    }

    fn failed(&mut self, intent: &Intent, failure: &Failure) {
        let (error, request_id) = (failure.message.clone(), failure.request_id.clone());
        self.note(&intent.target, AuditKind::Failed { intent: intent.id, error, request_id });
    }

    fn gave_up(&mut self, intent: &Intent) -> bool {
        if intent.attempts < MAX_ATTEMPTS || intent.state != IntentState::Planned {
            return false;
        }
        let reason = format!("{} tries had no effect; see the history of {}", intent.attempts, intent.target);
        let decision = self.decide(&[], &[]);
        let wanted = decision.wishes.into_iter().find(|w| w.target == intent.target).map(|w| w.patch);
        self.give_up(intent, reason, wanted.unwrap_or_default());
        true
    }

    fn give_up(&mut self, intent: &Intent, reason: String, wanted: Patch) {
        self.transition(intent.id, IntentEvent::GiveUp { reason: reason.clone(), wanted });
        self.note(&intent.target, AuditKind::Dead { intent: intent.id, reason });
    }

    fn count_attempt(&mut self, id: IntentId) {
        if let Some(intent) = self.lane.intent_mut(id) {
            intent.attempts += 1;
            intent.misses = 0;
        }
    }

    fn reached(&mut self, id: IntentId) {
        if let Some(intent) = self.lane.intent_mut(id) {
            intent.unreachable = 0;
        }
    }

    /// Tries again later: as the service asked, else after a growing while.
    fn later(&mut self, id: IntentId, asked: Option<SignedDuration>) {
        let Some(intent) = self.lane.intent_mut(id) else { return };
        intent.unreachable += 1;
        let tries = intent.unreachable;
        let own = backoff::unreachable(tries, self.context.rng);
        self.wait(id, asked.unwrap_or(own));
    }

    fn wait(&mut self, id: IntentId, wait: SignedDuration) {
        let due = if planted!(NoSettleTime) { self.context.now } else { self.context.now + wait };
        if let Some(intent) = self.lane.intent_mut(id) {
            intent.due = due;
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
