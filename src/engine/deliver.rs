//! Delivering an intent: read the target, compare, write.

use crate::model::{
    Action, AuditKind, Field, Intent, IntentEvent, IntentId, IntentState, MemberState, Patch, RecordKind,
    RecordRef, Snapshot,
};
use crate::reconcile::{Late, patch_for};

use super::backoff;
use super::lane::{Effect, Failure, FailureKind, Lane, Request, Run};

/// Fresh reads that must agree that a request of unknown outcome had no effect: one alone may be stale. Where it shows
/// what somebody else wrote since, it is enough.
const MISSES: u32 = 2;
/// Reads in a row that must say so before a record counts as gone, with `settle` and a complete list of its system between
/// the last two.
const GONE: u32 = 2;
/// Looks for a record that was taken for gone, after 1 hour, doubling to a day: some 40 days.
const LOOKS: u32 = 44;

impl Lane {
    /// Whether a look-up that finds nothing is followed by the creation.
    pub(super) fn opens_next(&self, id: IntentId) -> bool {
        let creates = |intent: &&Intent| intent.id == id && intent.action == Action::Create;
        self.intents.iter().find(creates).is_some_and(|intent| match intent.state {
            IntentState::Planned => true,
            IntentState::Unknown { .. } => intent.misses + 1 >= MISSES,
            IntentState::Sending { .. } | IntentState::Dead { .. } => false,
        })
    }
}

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
            let patch = &self.without_left_alone(&intent, patch, &snapshot);
            if self.shows(&intent, patch, &snapshot) {
                self.applied(&intent, patch, None, "read back after an open outcome");
            } else if intent.misses + 1 < MISSES && !intent.overtaken {
                self.missed(&intent);
            } else {
                self.partly(&intent, patch, (&snapshot, None), "read back: this much of it");
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
            FailureKind::Gone if intent.action == Action::Create => self.create(intent),
            FailureKind::Gone => self.gone(intent, failure),
            FailureKind::Refused | FailureKind::Conflict => {
                self.failed(intent, failure);
                self.count_attempt(intent.id);
                self.later(intent.id, failure.retry_after);
                if let Some(intent) = self.lane.intent_mut(intent.id).cloned() {
                    self.gave_up(&intent);
                }
            }
            FailureKind::Denied | FailureKind::Blocked | FailureKind::NotExecuted | FailureKind::Unknown => {
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

    /// A record that is said to be gone twice is gone, if the same caller could list its system in between: else it may be
    /// the caller who sees nothing any more. Nothing is concluded from that for the others. A replica that lags may not
    /// know a record that was just made, however often it is asked, so `settle` lies between the two.
    fn gone(&mut self, intent: &Intent, failure: &Failure) {
        let Some(member) = self.lane.mapping.member(&intent.target) else { return self.remove(intent.id) };
        if member.is_missed() {
            return self.still_gone(intent);
        }
        let listed = (self.context.listed)(&intent.target.system);
        let witnessed = planted!(CallerNotAsked)
            || intent.missed.zip(listed).is_some_and(|(missed, listed)| listed > missed);
        if intent.misses + 1 < GONE || !witnessed {
            return self.missed(intent);
        }
        let reason = format!("it is not there any more: {}", failure.message);
        if let Some(member) = self.lane.mapping.member_mut(&intent.target) {
            (member.state, member.unread) = (MemberState::Gone, !planted!(GoneForGood));
        }
        self.note(&intent.target, AuditKind::Left { reason });
        if let Action::Comment { .. } = intent.action {
            self.found(intent); // it waits until the record is found
        } else {
            self.remove(intent.id);
        }
        let decision = self.decide(&[], &[]);
        self.plan(decision.wishes, decision.copies);
        let look = |i: &&mut Intent| i.target == intent.target && i.action == Action::Fetch;
        if let Some(look) = self.lane.intents.iter_mut().find(look) {
            (look.misses, look.due) = (0, self.context.now + backoff::look_again(0));
        }
    }

    /// It may only have been out of sight, and comes back then as it left; so it is looked for, ever more seldom.
    fn still_gone(&mut self, intent: &Intent) {
        let looks = intent.misses + 1;
        if looks >= LOOKS {
            if let Some(member) = self.lane.mapping.member_mut(&intent.target) {
                member.unread = false;
            }
            let decision = self.decide(&[], &[]);
            return self.plan(decision.wishes, decision.copies);
        }
        self.wait(intent.id, backoff::look_again(looks));
        if let Some(intent) = self.lane.intent_mut(intent.id) {
            intent.misses = looks;
        }
    }
}
