//! Who is told what the engine does. Telemetry implements it.

use std::time::Duration;

use jiff::Timestamp;

use crate::connectors::Malformed;
use crate::model::{AuditEntry, Mapping, RecordKind, SystemName};
use crate::store::Counts;

use super::Hinted;

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
    fn poll_failed(&self, system: &SystemName, kind: RecordKind, error: &str, consecutive: u32);
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
