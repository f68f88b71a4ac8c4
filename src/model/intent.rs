//! One remote call that must happen, made durable before it is sent, and its legal life.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CommentKey, IntentId, Natives, RecordRef};

/// One remote write (or a read that adoption waits for), made durable before it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Its name.
    pub id: IntentId,
    /// The record it is about.
    pub target: RecordRef,
    /// What is to be done.
    pub action: Action,
    /// Where it stands.
    pub state: IntentState,
    /// When it was planned (UTC, our clock).
    pub planned: Timestamp,
    /// When it is to be looked at next (UTC, our clock).
    pub due: Timestamp,
    /// How often the service refused it or took it without effect. Outages do not count.
    pub attempts: u32,
    /// How often in a row the service could not be reached; the measure of the back-off.
    #[serde(default)]
    pub unreachable: u32,
    /// How many fresh reads in a row did not show a request of unknown outcome, or did not find the record at all. One
    /// may be stale, so two decide.
    #[serde(default)]
    pub misses: u32,
    /// When its record was last said to be gone (UTC, our clock).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Timestamp>,
    /// Whether, since it was sent, somebody changed a field that it was to change.
    #[serde(default)]
    pub overtaken: bool,
    /// The edits it carries, for the audit: `alice@example.org: status in defender/incident/4711`.
    pub causes: Vec<String>,
}

/// What an intent does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Read a record that another one named.
    Fetch,
    /// Bring the record to the agreed state. What to write is decided from a fresh read.
    Update {
        /// Whether the update closes the record; such intents go first.
        closing: bool,
    },
    /// Create the record under its client-chosen id.
    Create,
    /// Copy a comment.
    Comment {
        /// Tells the copy; part of the request itself.
        key: CommentKey,
        /// The text with its marker.
        text: String,
    },
    /// Look whether native sync has brought the record into agreement by now.
    Converge,
}

impl Action {
    /// What goes first: closing, then other updates, comments last.
    pub fn priority(&self) -> u8 {
        match self {
            Self::Fetch => 0,
            Self::Update { closing: true } => 1,
            Self::Create => 2,
            Self::Update { closing: false } => 3,
            Self::Converge => 4,
            Self::Comment { .. } => 5,
        }
    }

    /// The word for logs and audit.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Update { .. } => "update",
            Self::Create => "create",
            Self::Comment { .. } => "comment",
            Self::Converge => "converge",
        }
    }
}

/// What one write changes. A field is left alone (absent), cleared (`Native::Empty`) or set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// The native values to write.
    pub native: Natives,
    /// The note that goes with a close, where the record has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing_comment: Option<String>,
}

impl Patch {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.native.is_empty()
    }
}

/// Where an intent stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntentState {
    /// Not sent.
    Planned,
    /// Sent, or about to be: after a restart this counts as `Unknown`.
    Sending {
        /// What the request says.
        patch: Patch,
    },
    /// Sent, outcome not known. Never sent again before a fresh read of the record.
    Unknown {
        /// What the request said.
        patch: Patch,
    },
    /// Given up; an operator can retry or discard it.
    Dead {
        /// Why, for people.
        reason: String,
        /// What it would have written: another wish revives the intent.
        patch: Patch,
    },
}

/// What happens to an intent.
#[derive(Debug, Clone, PartialEq)]
pub enum IntentEvent {
    /// The request is about to leave.
    Send(Patch),
    /// The request certainly was not executed.
    NotExecuted,
    /// The outcome is not known.
    Lost,
    /// A part of the request took effect; this is the rest, whose outcome is open.
    Partly(Patch),
    /// A fresh read showed that the request had no effect, or that more is to be written.
    ReadBack,
    /// No further try.
    GiveUp {
        /// Why, for people.
        reason: String,
        /// What it would have written.
        wanted: Patch,
    },
    /// An operator wants another try.
    Retry,
}

/// An event that cannot happen to an intent in its state: a defect of ours.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("an intent that is {state} cannot take {event:?}")]
pub struct IllegalTransition {
    state: &'static str,
    event: IntentEvent,
}

impl IntentState {
    /// The one list of legal transitions. Settling and superseding remove the intent, so they are no states.
    pub fn on(self, event: IntentEvent) -> Result<Self, IllegalTransition> {
        use IntentEvent as E;
        match (self, event) {
            (Self::Planned, E::Send(patch)) => Ok(Self::Sending { patch }),
            (Self::Sending { .. }, E::NotExecuted) | (Self::Unknown { .. }, E::ReadBack) => Ok(Self::Planned),
            (Self::Sending { .. }, E::Partly(patch)) => Ok(Self::Sending { patch }),
            (Self::Unknown { .. }, E::Partly(patch)) => Ok(Self::Unknown { patch }),
            (Self::Sending { patch }, E::Lost) => Ok(Self::Unknown { patch }),
            (Self::Planned | Self::Sending { .. }, E::GiveUp { reason, wanted }) => {
                Ok(Self::Dead { reason, patch: wanted })
            }
            (Self::Dead { .. }, E::Retry) => Ok(Self::Planned),
            (state, event) => Err(IllegalTransition { state: state.as_str(), event }),
        }
    }

    /// The word for logs, metrics and audit.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending { .. } => "sending",
            Self::Unknown { .. } => "unknown",
            Self::Dead { .. } => "dead",
        }
    }

    /// The request that may have been executed.
    pub fn in_flight(&self) -> Option<&Patch> {
        match self {
            Self::Sending { patch } | Self::Unknown { patch } => Some(patch),
            Self::Planned | Self::Dead { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_is_never_sent_again_without_a_read() {
        let unknown = IntentState::Unknown { patch: Patch::default() };
        assert!(unknown.clone().on(IntentEvent::Send(Patch::default())).is_err());
        let planned = unknown.on(IntentEvent::ReadBack).unwrap();
        assert!(planned.on(IntentEvent::Send(Patch::default())).is_ok());
    }

    #[test]
    fn a_dead_letter_comes_back_only_by_an_operator() {
        let dead = IntentState::Dead { reason: "refused".into(), patch: Patch::default() };
        assert!(dead.clone().on(IntentEvent::Send(Patch::default())).is_err());
        assert_eq!(dead.on(IntentEvent::Retry), Ok(IntentState::Planned));
    }
}
