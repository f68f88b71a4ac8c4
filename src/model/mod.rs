//! The vocabulary: identifiers, values, records, mappings, intents, audit. No I/O, no clock.

mod audit;
mod brief;
mod ids;
mod intent;
mod mapping;
mod snapshot;
mod values;

pub use audit::{AuditEntry, AuditKind};
pub use brief::{AlertBrief, Brief};
pub use ids::{
    BlankId, BridgeName, IntentId, MappingId, RecordId, RecordKind, RecordRef, SystemName, TICKET_KEY,
};
pub use intent::{Action, IllegalTransition, Intent, IntentEvent, IntentState, Patch};
pub use mapping::{Agreed, Base, Closing, Mapping, MappingState, Member, MemberState};
pub use snapshot::{
    Comment, CommentKey, Comments, Facts, Lifecycle, Snapshot, is_earlier_revision, short_hex,
};
pub use values::{Classification, Determination, Field, Native, Natives, Severity, Status, Value, Verdict};
