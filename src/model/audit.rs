//! What happened to a mapping and why, as `lockstep explain` tells it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Field, IntentId, MappingId, RecordRef};

/// One thing that happened to a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When we recorded it (UTC, our clock).
    pub at: Timestamp,
    /// Whose history it is.
    pub mapping: MappingId,
    /// The record it is about.
    pub record: RecordRef,
    /// What happened.
    pub kind: AuditKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum AuditKind {
    /// The record joined the mapping.
    Linked {
        /// How it was found to belong here.
        how: String,
    },
    /// A person or another program changed a field.
    Edit {
        /// The field.
        field: Field,
        /// Its native value before.
        old: String,
        /// Its native value now.
        new: String,
        /// Who, where the system tells.
        by: Option<String>,
        /// The revision in which it was seen.
        revision: String,
    },
    /// A person or another program wrote a comment.
    Commented {
        /// Who, where the system tells.
        by: Option<String>,
        /// The comment's key.
        key: String,
    },
    /// A field's agreed value changed.
    Agreed {
        /// The field.
        field: Field,
        /// Its value in our words.
        value: String,
    },
    /// An edit was not carried over, and why.
    NotCarried {
        /// The field or `comment`.
        what_of: String,
        /// The value that was not carried over.
        value: String,
        /// Why not.
        reason: String,
    },
    /// We wrote to the record.
    Wrote {
        /// By which intent.
        intent: IntentId,
        /// The action.
        action: String,
        /// The changed fields with their new native values.
        fields: Vec<(Field, String)>,
        /// What caused it.
        causes: Vec<String>,
        /// The service's id of the request, where known.
        request_id: Option<String>,
        /// How we know that it was applied.
        confirmed: String,
    },
    /// An intent ended without a write of ours.
    Settled {
        /// Which.
        intent: IntentId,
        /// Why there was nothing to write.
        reason: String,
    },
    /// A try failed.
    Failed {
        /// Which intent.
        intent: IntentId,
        /// What happened, to which call, and what follows.
        error: String,
        /// The service's id of the request, where known.
        request_id: Option<String>,
    },
    /// An intent was given up.
    Dead {
        /// Which.
        intent: IntentId,
        /// Why.
        reason: String,
    },
    /// The record was merged away or is gone.
    Left {
        /// Which of the two, and where to.
        reason: String,
    },
    /// Native sync has not brought the record into agreement in time.
    NotConverged {
        /// The fields that still differ.
        fields: Vec<Field>,
    },
}
