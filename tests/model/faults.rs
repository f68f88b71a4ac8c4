//! Faults planted into the protocol: each must be found, or the exploration proves little.

use lockstep::engine::{Lane, Step};
use lockstep::model::IntentState;

use super::messages::Input;

/// A way to get the protocol wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    /// The request leaves before its intent is stored.
    SendBeforeCommit,
    /// A commit is acknowledged before it is on the disk.
    AckBeforeSync,
    /// A step is stored in two commits: the mapping, then its intents.
    TornCommit,
    /// The inbox entry is removed before what follows from it is stored.
    InboxRemovedFirst,
    /// The cursor is stored before the inbox entry.
    CursorFirst,
    /// A request of unknown outcome is sent once more at once, as an HTTP client does that retries.
    ResendWithoutRead,
    /// One read that does not show a request is believed.
    OneReadBack,
    /// The read-back does not wait.
    NoSettle,
    /// The intent is removed when its request leaves, not when it is known to have arrived.
    ForgetWhenSent,
    /// What was written does not become the base.
    BaseNotUpdated,
    /// A record is made without looking whether it is there.
    CreateWithoutLookUp,
    /// The write does not say which revision it was made for.
    NoGuard,
}

impl Planted {
    /// Tampers with the lane that takes a read.
    pub(crate) fn before_read(self, lane: &mut Lane, intent: u32) {
        if self == Self::OneReadBack {
            for intent in lane.intents.iter_mut().filter(|i| i.id.number == intent) {
                intent.misses = 1;
            }
        }
    }

    /// Tampers with what a step left.
    pub(crate) fn after_step(self, before: &Lane, after: &mut Lane, input: &Input, step: &Step) {
        match (self, input) {
            (Self::ForgetWhenSent, Input::Read(..)) if step.effect.is_some() => {
                after.intents.retain(|intent| !matches!(intent.state, IntentState::Sending { .. }));
            }
            (Self::BaseNotUpdated, Input::Wrote(..)) => {
                for member in &mut after.mapping.members {
                    if let Some(old) = before.mapping.member(&member.record) {
                        member.base.clone_from(&old.base);
                    }
                }
            }
            _ => {}
        }
    }
}
