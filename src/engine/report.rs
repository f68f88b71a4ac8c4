//! Who is told what the engine does. Telemetry implements it.

use std::time::Duration;

use jiff::Timestamp;

use crate::connectors::Malformed;
use crate::http::CallError;
use crate::model::{AuditEntry, Mapping, RecordKind, SystemName};
use crate::store::Counts;

use super::Hinted;

/// Why a collection was not listed to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollFailure {
    /// What it says of the system.
    pub kind: PollFailureKind,
    /// What happened, to which call, and what to do.
    pub message: String,
}

/// What a failed poll says of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollFailureKind {
    /// Nothing new: lockstep held the request back, for its budget or since the system is given a rest.
    HeldBack,
    /// The caller is not let in: its credential or permissions must be mended first.
    Denied,
    /// Anything else: not reached, throttled, an answer that is of no use.
    Failed,
}

impl PollFailureKind {
    /// The word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HeldBack => "held-back",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

impl From<&CallError> for PollFailure {
    fn from(error: &CallError) -> Self {
        let kind = if error.is_held_back() {
            PollFailureKind::HeldBack
        } else if error.is_denied() {
            PollFailureKind::Denied
        } else {
            PollFailureKind::Failed
        };
        Self { kind, message: error.to_string() }
    }
}

/// Told about what happens, after it is durable.
pub trait Report: Send + Sync {
    /// A collection was listed to its end. `cursor` is where it stands now, by the system's clock.
    fn polled(
        &self,
        system: &SystemName,
        kind: RecordKind,
        news: usize,
        took: Duration,
        cursor: Option<Timestamp>,
    );
    /// Listing failed, for the `consecutive`-th time in a row.
    fn poll_failed(&self, system: &SystemName, kind: RecordKind, failure: &PollFailure, consecutive: u32);
    /// A record could not be read.
    fn malformed(&self, system: &SystemName, malformed: &Malformed);
    /// A hint was followed.
    fn hinted(&self, system: &SystemName, outcome: Hinted);
    /// Something entered the history of a mapping.
    fn history(&self, entry: &AuditEntry, mapping: &Mapping);
    /// How much the store holds now.
    fn depths(&self, counts: Counts);
    /// Calls that may leave at once.
    fn budget(&self, system: &SystemName, left: &[(&'static str, u32)]);
    /// Work on a mapping ended in a panic: a defect. The mapping rests until the next start.
    fn defect(&self, mapping: crate::model::MappingId, what: &str);
}
