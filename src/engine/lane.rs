//! One mapping and its intents, and the pure step that moves them on: event in, changes and at most one effect out.
//!
//! ```text
//! Observed, Read, Wrote, Restarted  ->  step  ->  (lane', changes to commit, the write to send after that)
//! ```
//!
//! Guarantees: no clock, no I/O, no hidden randomness. Whatever a step does to the lane is in its changes, because
//! they are the difference between before and after. A write leaves only as the effect of a step whose changes hold
//! its intent as `Sending`.

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;

use crate::connectors::{Declined, Depth};
use crate::model::{
    Action, AuditEntry, AuditKind, CommentKey, Intent, IntentEvent, IntentId, IntentState, Mapping, Member,
    Patch, RecordRef, Snapshot, SystemName,
};
use crate::reconcile::{Decision, Observed, Rules, decide};
use crate::store::Change;

/// One mapping with its intents, oldest first. Worked on by one task at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// The mapping.
    pub mapping: Mapping,
    /// Its part of the outbox.
    pub intents: Vec<Intent>,
}

/// How a call failed, sorted by what may be concluded.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What may be concluded.
    pub kind: FailureKind,
    /// What happened, to which call, and what to do.
    pub message: String,
    /// The service's id of the request, where known.
    pub request_id: Option<String>,
    /// When the service wants to be asked again.
    pub retry_after: Option<SignedDuration>,
}

/// What may be concluded from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Certainly not executed; try again later.
    NotExecuted,
    /// The record moved: read it and decide again.
    Conflict,
    /// The service says of this very record that it is not there.
    Gone,
    /// Permissions must change first.
    Denied,
    /// The service refuses it for a reason that can pass, such as an open dependency.
    Blocked,
    /// This request will never succeed.
    Refused,
    /// Nothing may be concluded: a write may have been executed, a read says nothing of the record.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Watch saw records of this mapping.
    Observed {
        /// As listed.
        snapshots: Vec<Snapshot>,
        /// Linked records that belong to other mappings.
        elsewhere: Vec<RecordRef>,
    },
    /// The target of an intent was read.
    Read {
        /// Whose target.
        intent: IntentId,
        /// The record, or why not.
        result: Result<Box<Snapshot>, Failure>,
        /// Linked records that belong to other mappings.
        elsewhere: Vec<RecordRef>,
    },
    /// The write of an intent was answered, or not.
    Wrote {
        /// Whose write.
        intent: IntentId,
        /// The record as the answer states it, if it does; or what went wrong.
        result: Result<Option<Box<Snapshot>>, Failure>,
        /// The service's id of the request, where known.
        request_id: Option<String>,
        /// Fields that the record cannot take.
        declined: Vec<Declined>,
        /// Linked records that belong to other mappings: the answer too may say that the record was merged away.
        elsewhere: Vec<RecordRef>,
    },
    /// The worker begins: what was being sent may have been sent.
    Restarted,
}

/// A write to send, once the changes of its step are durable.
#[derive(Debug, Clone)]
pub struct Effect {
    /// For which intent.
    pub intent: IntentId,
    /// The record.
    pub target: RecordRef,
    /// The record as just read; `None` for a record that is to be created.
    pub current: Option<Box<Snapshot>>,
    /// What to send.
    pub request: Request,
}

/// What to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Change fields.
    Update(Patch),
    /// Create under the id of the target.
    Create(Patch),
    /// Add a comment.
    Comment(CommentKey, String),
}

/// What a step does.
#[derive(Debug, Default)]
pub struct Step {
    /// To be committed whole.
    pub changes: Vec<Change>,
    /// To be sent after that.
    pub effect: Option<Effect>,
}

/// What a step goes by.
pub struct Context<'a> {
    /// The bridge's rules.
    pub rules: &'a Rules,
    /// Now, by our clock.
    pub now: Timestamp,
    /// How long after a request of unknown outcome a read of this system is certain to show its effect.
    pub settle: &'a dyn Fn(&SystemName) -> SignedDuration,
    /// When the last complete list of a system began whose records are all routed (our clock). A record that is to be
    /// created might be among what was not listed yet.
    pub listed: &'a dyn Fn(&SystemName) -> Option<Timestamp>,
    /// Whether a system takes comment ids of our choice, so that a repeated one is harmless.
    pub chooses_comment_ids: &'a dyn Fn(&SystemName) -> bool,
    /// Jitter.
    pub rng: &'a mut StdRng,
}

impl Lane {
    /// Moves the lane on.
    pub fn step(&mut self, event: Event, context: &mut Context<'_>) -> Step {
        let before = self.clone();
        let mut run = Run { lane: self, context, audit: Vec::new(), effect: None };
        match event {
            Event::Observed { snapshots, elsewhere } => run.observed(&snapshots, &elsewhere),
            Event::Read { intent, result, elsewhere } => run.read(intent, result, &elsewhere),
            Event::Wrote { intent, result, request_id, declined, elsewhere } => {
                run.wrote(intent, result, request_id, (declined, &elsewhere));
            }
            Event::Restarted => run.restarted(),
        }
        let (audit, effect, now) = (run.audit, run.effect, run.context.now);
        let mut changes = difference(&before, self);
        let mapping = self.mapping.id;
        changes.extend(
            audit
                .into_iter()
                .map(|(record, kind)| Change::Audit(Box::new(AuditEntry { at: now, mapping, record, kind }))),
        );
        Step { changes, effect }
    }

    /// The intent to work on now: closing first, comments last; and how much of its target to read.
    /// `chooses_comment_ids` says so of a system; see [`Context`].
    pub fn next_due(
        &self,
        now: Timestamp,
        chooses_comment_ids: &dyn Fn(&SystemName) -> bool,
    ) -> Option<(IntentId, RecordRef, Depth)> {
        let due = self.intents.iter().filter(|i| self.is_in_work(i) && i.due <= now);
        let next = due.min_by_key(|i| (i.action.priority(), i.id))?;
        let looks_up = !chooses_comment_ids(&next.target.system);
        Some((next.id, next.target.clone(), self.depth(next, looks_up)))
    }

    /// When the lane wants to be worked on next, and how urgent that is.
    pub fn wake_at(&self) -> Option<(Timestamp, u8)> {
        let live = self.intents.iter().filter(|i| self.is_in_work(i));
        live.map(|i| (i.due, i.action.priority())).min()
    }

    /// What is given up waits for an operator, and what is meant for a record that was taken for gone until it is found.
    fn is_in_work(&self, intent: &Intent) -> bool {
        let missed = self.mapping.member(&intent.target).is_some_and(Member::is_missed);
        !matches!(intent.state, IntentState::Dead { .. }) && (!missed || intent.action == Action::Fetch)
    }

    fn depth(&self, intent: &Intent, looks_up: bool) -> Depth {
        let known = self.mapping.member(&intent.target).is_some_and(|m| m.base.is_some());
        match (&intent.action, &intent.state) {
            (Action::Fetch, _) if known => {
                let alone = self.mapping.members.len() == 1;
                if alone { Depth::Links } else { Depth::Comments }
            }
            (Action::Comment { .. }, IntentState::Unknown { .. }) => Depth::Comments,
            (Action::Comment { .. }, _) if looks_up => Depth::Comments,
            _ => Depth::Record,
        }
    }

    pub(super) fn intent_mut(&mut self, id: IntentId) -> Option<&mut Intent> {
        self.intents.iter_mut().find(|intent| intent.id == id)
    }
}

/// What must be stored so that `before` becomes `after`.
fn difference(before: &Lane, after: &Lane) -> Vec<Change> {
    let mut changes = Vec::new();
    if before.mapping != after.mapping {
        changes.push(Change::PutMapping(Box::new(after.mapping.clone())));
    }
    for intent in &after.intents {
        if before.intents.iter().find(|i| i.id == intent.id) != Some(intent) {
            changes.push(Change::PutIntent(Box::new(intent.clone())));
        }
    }
    let gone = before.intents.iter().filter(|b| after.intents.iter().all(|a| a.id != b.id));
    changes.extend(gone.map(|intent| Change::RemoveIntent(intent.id)));
    changes
}

/// A step in the making.
pub(super) struct Run<'a, 'c> {
    pub(super) lane: &'a mut Lane,
    pub(super) context: &'a mut Context<'c>,
    pub(super) audit: Vec<(RecordRef, AuditKind)>,
    pub(super) effect: Option<Effect>,
}

impl Run<'_, '_> {
    fn observed(&mut self, snapshots: &[Snapshot], elsewhere: &[RecordRef]) {
        let decision = self.decide(snapshots, elsewhere);
        self.plan(decision.wishes, decision.copies);
    }

    fn restarted(&mut self) {
        for at in 0..self.lane.intents.len() {
            if matches!(self.lane.intents[at].state, IntentState::Sending { .. }) {
                let id = self.lane.intents[at].id;
                let settle = (self.context.settle)(&self.lane.intents[at].target.system);
                if planted!(RestartForgets) {
                    self.transition(id, IntentEvent::NotExecuted);
                    continue;
                }
                self.transition(id, IntentEvent::Lost);
                self.lane.intents[at].due = self.context.now + settle;
            }
        }
    }

    /// Decides over what was read, and acknowledges it. Wishes are left to the caller.
    pub(super) fn decide(&mut self, snapshots: &[Snapshot], elsewhere: &[RecordRef]) -> Decision {
        self.decide_over(snapshots, elsewhere, false)
    }

    /// The same over the answer to a write of ours.
    pub(super) fn decide_answer(&mut self, answer: &Snapshot, elsewhere: &[RecordRef]) -> Decision {
        self.decide_over(std::slice::from_ref(answer), elsewhere, true)
    }

    fn decide_over(&mut self, snapshots: &[Snapshot], elsewhere: &[RecordRef], answered: bool) -> Decision {
        let in_flight: Vec<(RecordRef, Patch)> = self
            .lane
            .intents
            .iter()
            .filter_map(|i| i.state.in_flight().map(|patch| (i.target.clone(), patch.clone())))
            .collect();
        let observed = Observed { snapshots, in_flight: &in_flight, elsewhere, answered };
        let mut decision = decide(&self.lane.mapping, observed, self.context.rules);
        self.audit.append(&mut decision.audit);
        self.lane.mapping = decision.mapping.clone();
        for intent in self.lane.intents.iter_mut().filter(|i| i.state.in_flight().is_some()) {
            intent.overtaken |= decision.overtaken.contains(&intent.target);
        }
        self.rename_targets();
        decision
    }

    /// A ticket that was met under its key has an id of its own from now on.
    fn rename_targets(&mut self) {
        if planted!(KeyNotRenamed) {
            return;
        }
        let Lane { mapping, intents } = &mut *self.lane;
        for intent in intents.iter_mut().filter(|i| mapping.member(&i.target).is_none()) {
            let member = mapping.members.iter().find(|m| m.key.as_ref() == Some(&intent.target));
            if let Some(member) = member {
                intent.target = member.record.clone();
            }
        }
    }

    /// Applies the one list of legal transitions; an illegal one is a defect of ours, is logged and changes nothing.
    pub(super) fn transition(&mut self, id: IntentId, event: IntentEvent) {
        let Some(intent) = self.lane.intent_mut(id) else { return };
        match intent.state.clone().on(event) {
            Ok(state) => intent.state = state,
            Err(error) => tracing::error!(intent = %id, %error, "defect: illegal transition"),
        }
    }

    pub(super) fn remove(&mut self, id: IntentId) {
        self.lane.intents.retain(|intent| intent.id != id);
    }

    pub(super) fn note(&mut self, record: &RecordRef, kind: AuditKind) {
        self.audit.push((record.clone(), kind));
    }
}
