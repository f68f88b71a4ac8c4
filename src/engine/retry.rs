//! Trying again: tries, waits, and when an intent is given up.

use jiff::SignedDuration;

use crate::model::{AuditKind, Intent, IntentEvent, IntentId, IntentState, Patch};

use super::backoff;
use super::lane::{Failure, FailureKind, Run};

/// Tries that a service may refuse or leave without effect, conflicts included, before an intent is given up.
const MAX_ATTEMPTS: u32 = 8;
/// Least wait after a refusal for lack of permission, in seconds.
pub(super) const DENIED_WAIT: i64 = 60;

impl Run<'_, '_> {
    pub(super) fn gave_up(&mut self, intent: &Intent) -> bool {
        if intent.attempts < MAX_ATTEMPTS || intent.state != IntentState::Planned {
            return false;
        }
        let reason = format!("{} tries had no effect; see the history of {}", intent.attempts, intent.target);
        let decision = self.decide(&[], &[]);
        let wanted = decision.wishes.into_iter().find(|w| w.target == intent.target).map(|w| w.patch);
        self.give_up(intent, reason, wanted.unwrap_or_default());
        true
    }

    pub(super) fn give_up(&mut self, intent: &Intent, reason: String, wanted: Patch) {
        if matches!(intent.state, IntentState::Sending { .. }) {
            // Refused for good: the request that was refused is a try as any other.
            self.count_attempt(intent.id);
        }
        self.transition(intent.id, IntentEvent::GiveUp { reason: reason.clone(), wanted });
        self.note(&intent.target, AuditKind::Dead { intent: intent.id, reason });
    }

    pub(super) fn count_attempt(&mut self, id: IntentId) {
        if let Some(intent) = self.lane.intent_mut(id) {
            intent.attempts += 1;
            intent.misses = 0;
        }
    }

    /// Tries again later: as the service asked, else after a growing while.
    pub(super) fn later(&mut self, id: IntentId, asked: Option<SignedDuration>) {
        let Some(intent) = self.lane.intent_mut(id) else { return };
        intent.unreachable += 1;
        let tries = intent.unreachable;
        let own = backoff::unreachable(tries, self.context.rng);
        self.wait(id, asked.unwrap_or(own));
    }

    pub(super) fn wait(&mut self, id: IntentId, wait: SignedDuration) {
        let due = if planted!(NoSettleTime) { self.context.now } else { self.context.now + wait };
        if let Some(intent) = self.lane.intent_mut(id) {
            intent.due = due;
        }
    }

    /// A record that is there was not missed. Whether a read shows a write of unknown outcome is another question.
    pub(super) fn found(&mut self, intent: &Intent) {
        let unknown = matches!(intent.state, IntentState::Unknown { .. });
        if let Some(intent) = self.lane.intent_mut(intent.id).filter(|_| !unknown) {
            intent.misses = 0;
        }
    }

    pub(super) fn missed(&mut self, intent: &Intent) {
        let settle = (self.context.settle)(&intent.target.system);
        let now = self.context.now;
        if let Some(intent) = self.lane.intent_mut(intent.id) {
            intent.misses += 1;
            intent.missed = Some(now);
        }
        self.wait(intent.id, settle);
    }

    pub(super) fn reached(&mut self, id: IntentId) {
        if let Some(intent) = self.lane.intent_mut(id) {
            intent.unreachable = 0;
        }
    }

    pub(super) fn unreachable(&mut self, intent: &Intent, failure: &Failure) {
        if intent.unreachable == 0 {
            self.failed(intent, failure);
        }
        let wait = match failure.kind {
            FailureKind::Denied => Some(SignedDuration::from_secs(DENIED_WAIT)),
            FailureKind::Blocked => return self.blocked(intent.id),
            _ => failure.retry_after,
        };
        self.later(intent.id, wait);
    }

    /// What stands in the way may go away at any time, or never: it is tried ever more seldom, and not given up.
    pub(super) fn blocked(&mut self, id: IntentId) {
        let Some(intent) = self.lane.intent_mut(id) else { return };
        let wait = backoff::blocked(intent.unreachable + 1, self.context.rng);
        self.later(id, Some(wait));
    }

    pub(super) fn failed(&mut self, intent: &Intent, failure: &Failure) {
        let (error, request_id) = (failure.message.clone(), failure.request_id.clone());
        self.note(&intent.target, AuditKind::Failed { intent: intent.id, error, request_id });
    }
}
