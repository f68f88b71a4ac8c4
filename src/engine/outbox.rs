//! Brings the intents of a lane in line with what is wished: one intent per target and kind of action.

use crate::model::{Action, AuditKind, Intent, IntentEvent, IntentState, RecordRef};
use crate::reconcile::{CopyWish, Wish};

use super::lane::Run;

impl Run<'_, '_> {
    /// Keeps what is still wished, drops what is not (unless it may be under way), adds what is new.
    pub(super) fn plan(&mut self, wishes: Vec<Wish>, copies: Vec<CopyWish>) {
        self.drop_unwished(&wishes);
        self.drop_orphaned_comments();
        for wish in wishes {
            match self.lane.intents.iter().position(|i| same_work(i, &wish)) {
                Some(at) => self.refresh(at, wish),
                None => self.add(wish.target, wish.action, wish.causes),
            }
        }
        for copy in copies {
            self.add(copy.target, copy.action, vec![copy.cause]);
        }
    }

    fn drop_unwished(&mut self, wishes: &[Wish]) {
        let unwished = |i: &Intent| {
            let idle = matches!(i.state, IntentState::Planned | IntentState::Dead { .. })
                || planted!(ListEndsIntent);
            idle && !matches!(i.action, Action::Comment { .. }) && !wishes.iter().any(|w| same_work(i, w))
        };
        let dropped: Vec<Intent> = self.lane.intents.iter().filter(|i| unwished(i)).cloned().collect();
        for intent in dropped {
            self.remove(intent.id);
            if intent.action != Action::Fetch {
                let reason =
                    "there is nothing left to write: the record says so already, or the wish was overtaken";
                self.note(
                    &intent.target,
                    AuditKind::Settled { intent: intent.id, reason: reason.to_owned() },
                );
            }
        }
    }

    /// Comments for a record that left the mapping have nowhere to go.
    fn drop_orphaned_comments(&mut self) {
        let mapping = &self.lane.mapping;
        let orphaned = |i: &Intent| {
            let comment = matches!(i.action, Action::Comment { .. }) && i.state.in_flight().is_none();
            comment && mapping.member(&i.target).is_none_or(|m| !m.is_live() && !m.is_missed())
        };
        let dropped: Vec<Intent> = self.lane.intents.iter().filter(|i| orphaned(i)).cloned().collect();
        for intent in dropped {
            self.remove(intent.id);
            let kind = AuditKind::NotCarried {
                what_of: "comment".to_owned(),
                value: intent.causes.join(", "),
                reason: "the record left the mapping".to_owned(),
            };
            self.note(&intent.target, kind);
        }
    }

    fn refresh(&mut self, at: usize, wish: Wish) {
        let (now, wait) = (self.context.now, self.patience(&wish.action));
        let intent = &mut self.lane.intents[at];
        match &intent.state {
            IntentState::Planned => {
                if intent.action == Action::Converge && intent.causes != wish.causes {
                    intent.due = now + wait;
                }
                intent.action = wish.action;
                intent.causes = wish.causes;
            }
            IntentState::Dead { patch, .. } if patch.native != wish.patch.native => {
                let id = intent.id;
                intent.action = wish.action;
                intent.causes = wish.causes;
                (intent.attempts, intent.unreachable, intent.due) = (0, 0, now);
                self.transition(id, IntentEvent::Retry);
            }
            _ => {}
        }
    }

    /// How long to wait before the first look: native sync has its deadline, counted from the latest edit.
    fn patience(&self, action: &Action) -> jiff::SignedDuration {
        match (action, &self.context.rules.policy.native_sync) {
            (Action::Converge, Some(native)) => native.deadline,
            _ => jiff::SignedDuration::ZERO,
        }
    }

    fn add(&mut self, target: RecordRef, action: Action, causes: Vec<String>) {
        let wait = self.patience(&action);
        let id = self.lane.mapping.take_intent_id();
        let planned = self.context.now;
        let due = planned + wait;
        let state = IntentState::Planned;
        self.lane.intents.push(Intent {
            id,
            target,
            action,
            state,
            planned,
            due,
            attempts: 0,
            unreachable: 0,
            misses: 0,
            missed: None,
            overtaken: false,
            causes,
        });
    }
}

fn same_work(intent: &Intent, wish: &Wish) -> bool {
    intent.target == wish.target && intent.action.as_str() == wish.action.as_str()
}
