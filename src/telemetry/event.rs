//! What people watch for. Each event writes one log line; [`super::Telemetry::emit`] also counts it.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use crate::engine::{PollFailure, PollFailureKind};
use crate::model::{Field, IntentId, MappingId, RecordKind, RecordRef, SystemName};

/// Something that happened. Texts that come from outside are logged escaped.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the fields say it with the words of the model
pub enum Event<'a> {
    /// A collection was asked for changes, up to its last page.
    Polled { system: &'a SystemName, kind: RecordKind, records: usize, elapsed: Duration },
    /// A poll failed; the next one comes by itself.
    PollFailed { system: &'a SystemName, kind: RecordKind, failure: &'a PollFailure, consecutive: u32 },
    /// A collection was listed again after trouble that began at `since` (our clock, UTC).
    Recovered { system: &'a SystemName, kind: RecordKind, since: Timestamp },
    /// A record could not be read, and was passed over.
    Malformed { system: &'a SystemName, id: Option<&'a str>, reason: &'a str },
    /// A webhook called.
    HookCalled { system: &'a SystemName, outcome: &'a str },
    /// A record that a webhook named was queued, dropped, or read.
    HintFollowed { system: &'a SystemName, outcome: &'a str },
    /// A record joined a mapping.
    Linked { mapping: MappingId, record: &'a RecordRef, how: &'a str },
    /// A record is in its mapping no longer. `state` is where it stands now, and counts as the reason: `redirected`,
    /// `gone`, `superseded` or `detached`.
    Left { mapping: MappingId, record: &'a RecordRef, state: &'static str, reason: &'a str },
    /// Someone edited a field.
    Edited {
        mapping: MappingId,
        record: &'a RecordRef,
        field: Field,
        old: &'a str,
        new: &'a str,
        by: Option<&'a str>,
    },
    /// Someone wrote a comment.
    Commented { mapping: MappingId, record: &'a RecordRef, by: Option<&'a str> },
    /// A field's agreed value changed.
    Agreed { mapping: MappingId, field: Field, value: &'a str },
    /// An edit or comment was not carried over: filtered, against the direction, or lost to another one.
    NotCarried {
        mapping: MappingId,
        record: &'a RecordRef,
        what_of: &'a str,
        value: &'a str,
        reason: &'a str,
    },
    /// A write was applied. `propagation` is the system whose edit it carries, and the time since that edit.
    Wrote {
        mapping: MappingId,
        record: &'a RecordRef,
        action: &'a str,
        intent: IntentId,
        request_id: Option<&'a str>,
        propagation: Option<(&'a SystemName, Duration)>,
    },
    /// An intent ended without a write.
    NothingToWrite { mapping: MappingId, record: &'a RecordRef, intent: IntentId, reason: &'a str },
    /// A try failed. `next_try` is our clock, UTC, where it is known already.
    IntentFailed { record: &'a RecordRef, intent: IntentId, error: &'a str, next_try: Option<Timestamp> },
    /// An intent was given up.
    DeadLetter { record: &'a RecordRef, intent: IntentId, reason: &'a str },
    /// Native sync did not bring a record into agreement in time.
    NativeLate { mapping: MappingId, record: &'a RecordRef, fields: &'a [Field] },
    /// Work on a mapping ended in a panic. The mapping rests until the next start.
    Defect { mapping: MappingId, what: &'a str },
    /// The store failed; the worker stops.
    StoreFailed { error: &'a str },
}

impl Event<'_> {
    /// Writes the log line.
    pub(super) fn log(&self) {
        match self {
            Self::Polled { .. }
            | Self::PollFailed { .. }
            | Self::Recovered { .. }
            | Self::Malformed { .. }
            | Self::HookCalled { .. }
            | Self::HintFollowed { .. } => self.log_watch(),
            Self::Wrote { .. }
            | Self::NothingToWrite { .. }
            | Self::IntentFailed { .. }
            | Self::DeadLetter { .. }
            | Self::NativeLate { .. }
            | Self::Defect { .. }
            | Self::StoreFailed { .. } => self.log_delivery(),
            _ => self.log_decision(),
        }
    }

    fn log_watch(&self) {
        match self {
            Self::Polled { system, kind, records, elapsed } => {
                debug!(%system, kind = kind.as_str(), records, ?elapsed, "polled");
            }
            Self::PollFailed { system, kind, failure, consecutive } => {
                log_poll_failure(system, *kind, failure, *consecutive);
            }
            Self::Recovered { system, kind, since } => {
                info!(%system, kind = kind.as_str(), %since, "listed again after trouble");
            }
            Self::Malformed { system, id, reason } => {
                warn!(%system, id, ?reason, "a record could not be read and was passed over");
            }
            Self::HookCalled { system, outcome } => debug!(%system, outcome, "a webhook called"),
            Self::HintFollowed { system, outcome } => debug!(%system, outcome, "a hint"),
            _ => {}
        }
    }

    fn log_decision(&self) {
        match self {
            Self::Linked { mapping, record, how } => info!(%mapping, %record, how, "linked"),
            Self::Left { mapping, record, state, reason } => {
                warn!(%mapping, %record, state, reason, "left its mapping: nothing is written to it any more");
            }
            Self::Edited { mapping, record, field, old, new, by } => {
                info!(%mapping, %record, %field, ?old, ?new, by, "edited");
            }
            Self::Commented { mapping, record, by } => info!(%mapping, %record, by, "commented"),
            Self::Agreed { mapping, field, value } => debug!(%mapping, %field, ?value, "agreed"),
            Self::NotCarried { mapping, record, what_of, value, reason } => {
                info!(%mapping, %record, what_of, ?value, reason, "not carried over");
            }
            _ => {}
        }
    }

    fn log_delivery(&self) {
        match self {
            Self::Wrote { mapping, record, action, intent, request_id, propagation } => {
                let (from, after) =
                    propagation.map_or((None, None), |(from, after)| (Some(from.as_str()), Some(after)));
                info!(%mapping, %record, action, %intent, request_id, from, ?after, "wrote");
            }
            Self::NothingToWrite { mapping, record, intent, reason } => {
                debug!(%mapping, %record, %intent, reason, "nothing to write");
            }
            Self::IntentFailed { record, intent, error, next_try } => {
                let next_try = next_try.map(|at| at.to_string());
                warn!(%record, %intent, error, next_try, "a try failed");
            }
            Self::DeadLetter { record, intent, reason } => {
                error!(%record, %intent, reason, "given up; see `lockstep dead-letters list`, then retry or discard");
            }
            Self::NativeLate { mapping, record, fields } => {
                warn!(%mapping, %record, ?fields, "native sync is late; check Microsoft's connector in Sentinel");
            }
            Self::Defect { mapping, what } => {
                error!(%mapping, ?what, "a defect in lockstep: the mapping rests until the next start; please report it");
            }
            Self::StoreFailed { error } => {
                error!(
                    error,
                    "the store failed, the worker stops; see the error for what to mend, then start it again"
                );
            }
            _ => {}
        }
    }
}

/// One failure is the network's daily bread. A row of them is for people, and so is a caller who is not let in.
fn log_poll_failure(system: &SystemName, kind: RecordKind, failure: &PollFailure, consecutive: u32) {
    let (kind, error) = (kind.as_str(), &failure.message);
    match failure.kind {
        PollFailureKind::Denied => {
            error!(%system, kind, consecutive, error, "denied: changes there are not seen until the credential or its permissions are mended");
        }
        PollFailureKind::HeldBack | PollFailureKind::Failed if consecutive >= 5 => {
            error!(%system, kind, consecutive, error, "polling keeps failing: changes there are not seen; see the error for what to mend");
        }
        PollFailureKind::HeldBack | PollFailureKind::Failed => {
            warn!(%system, kind, consecutive, error, "poll failed, tried again by itself");
        }
    }
}
